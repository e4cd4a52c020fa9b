import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Call, call, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Place, test } from '@cni-ts/testing/namespaces';
import { describe, expect } from 'vitest';
import { loopback } from './loopback.ts';

const config = { cniVersion: '1.0.0', name: 'lo', type: 'loopback' };

conformance(loopback, [
  {
    title: 'lo',
    config: () => ({}),
    ifname: 'lo',
    leavesInContainer: {
      members: ['addresses', 'links'],
      because: 'lo stays up: it goes with the namespace, and programs that go on living there need it',
    },
    tamperings: {
      'the link is down': {
        by: (_, container) => void container.sh('ip link set lo down'),
        says: /^loopback interface is down$/,
      },
      'the address is gone': {
        by: (_, container) => void container.sh('ip address del 127.0.0.1/8 dev lo'),
        says: /^loopback interface has no address of 127\.0\.0\.0\/8$/,
      },
    },
  },
]);

const add = (given: Omit<Call, 'config'>, more: object = {}) =>
  call(loopback, 'ADD', { config: { ...config, ...more }, ...given });

const isUp = (place: Place) => /<.*\bUP\b.*>/.test(place.sh('ip link show lo'));

const ipv4 = { address: '127.0.0.1/8', interface: 0 };
const ipv6 = { address: '::1/128', interface: 0 };

describe('ADD', () => {
  test('brings lo up and reports its addresses (loopback 1)', async ({ container }) => {
    const { result } = await add({ container });
    expect(result).toEqual({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: container.path }],
      ips: [ipv4, ipv6],
    });
    expect(container.sh('ping -c 1 -W 5 127.0.0.1')).toContain('1 received');
  });

  test('answers the same a second time (loopback 2)', async ({ container }) => {
    const first = await add({ container });
    expect((await add({ container })).stdout).toBe(first.stdout);
  });

  test('leaves out IPv6 where lo has none (loopback 3)', async ({ container }) => {
    container.sh('echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6');
    expect((await add({ container })).result?.ips).toEqual([ipv4]);
  });

  test('reports the first address the kernel has (loopback 4)', async ({ container }) => {
    container.sh('ip address add 127.0.0.5/32 dev lo');
    expect((await add({ container })).result?.ips?.[0]).toEqual({ address: '127.0.0.5/32', interface: 0 });
    expect(container.sh('ip address show lo')).toContain('127.0.0.1/8');
  });

  test('refuses an lo with a foreign IPv4 address and leaves it down (loopback 5)', async ({ container }) => {
    container.sh('ip address add 10.0.0.1/32 dev lo');
    const { error } = await add({ container });
    expect(error?.msg).toBe('loopback interface found with non-loopback address "10.0.0.1"');
    expect(isUp(container)).toBe(false);
  });

  test('refuses an lo with a foreign IPv6 address (loopback 6)', async ({ container }) => {
    container.sh('ip link set lo up; ip address add fd00::1/128 dev lo');
    const { error } = await add({ container });
    expect(error?.msg).toBe('loopback interface found with non-loopback address "fd00::1"');
  });

  test('passes a prevResult on as it is (loopback 7)', async ({ container }) => {
    const prevResult = { interfaces: [{ name: 'q' }], ips: [{ address: '1.2.3.4/24' }] };
    const { result } = await add({ container, prevResult });
    expect(result).toEqual({ cniVersion: '1.0.0', ...prevResult });
    expect(isUp(container)).toBe(true);
  });

  test('takes an empty prevResult for one (loopback 8)', async ({ container }) => {
    expect((await add({ container, prevResult: {} })).result).toEqual({ cniVersion: '1.0.0' });
  });

  test('refuses a prevResult that is none before it touches lo (loopback 8)', async ({ container }) => {
    const { error } = await add({ container, prevResult: { ips: 3 } });
    expect(error?.msg).toMatch(/^failed to parse prevResult: could not parse prevResult: /);
    expect(isUp(container)).toBe(false);
  });

  test('refuses a prevResult of another JSON type (loopback 9)', async ({ container }) => {
    const { error } = await add({ container }, { prevResult: 'x' });
    expect(error?.msg).toMatch(/^failed to parse network config: /);
    expect(isUp(container)).toBe(false);
  });

  test('says in bare words that there is no namespace (loopback 10)', async ({ host }) => {
    const { error } = await add({ netns: '/nowhere' });
    expect(error?.msg).toBe('failed to Statfs "/nowhere": no such file or directory');
    const file = join(host.dir, 'file');
    writeFileSync(file, '');
    expect((await add({ netns: file })).error?.msg).toMatch(/^unknown FS magic on ".*\/file": [0-9a-f]+$/);
  });

  test('answers in version 0.1.0 when the configuration has none (loopback 11)', async ({ container }) => {
    const { result } = await add({ container }, { cniVersion: undefined });
    expect(result).toEqual({
      cniVersion: '0.1.0',
      ip4: { ip: '127.0.0.1/8' },
      ip6: { ip: '::1/128' },
      dns: {},
    });
  });

  test('looks neither at ipam nor at dns (loopback 12)', async ({ container }) => {
    const { result } = await add({ container }, { ipam: { type: 'nope' }, dns: { domain: 'example.org' } });
    expect(result).toMatchObject({ ips: [ipv4, ipv6] });
    expect(result).not.toHaveProperty('dns');
  });
});

describe('DEL', () => {
  test('leaves lo up, as often as it is asked: whoever lives in the namespace needs it (loopback 13)', async ({
    container,
  }) => {
    await add({ container });
    for (let i = 0; i < 2; i++) {
      expect((await succeed(loopback, 'DEL', { config, container })).stdout).toBe('');
      expect(isUp(container)).toBe(true);
    }
  });

  test('has nothing to do without a namespace, nor where another file is left in its place (loopback 13)', async ({
    host,
  }) => {
    await succeed(loopback, 'DEL', { config, netns: '' });
    await succeed(loopback, 'DEL', { config, netns: '/nowhere' });
    const netns = join(host.dir, 'file');
    writeFileSync(netns, '');
    await succeed(loopback, 'DEL', { config, netns });
  });

  test('does not read the configuration beyond its name (loopback 14)', async ({ container }) => {
    await succeed(loopback, 'DEL', { config: { ...config, prevResult: 'x' }, container });
    const { error } = await call(loopback, 'DEL', { config: {}, container });
    expect(error).toMatchObject({ code: 7, msg: 'missing network name' });
  });
});

test('CHECK looks at lo and not at prevResult (loopback 15)', async ({ container }) => {
  const down = await call(loopback, 'CHECK', { config, container });
  expect(down.error?.msg).toBe('loopback interface is down');
  await add({ container });
  const up = await succeed(loopback, 'CHECK', { config: { ...config, prevResult: 'garbage' }, container });
  expect(up.stdout).toBe('');
  const gone = await call(loopback, 'CHECK', { config, netns: '/nowhere' });
  expect(gone.error?.msg).toBe('failed to Statfs "/nowhere": no such file or directory');
});

test('STATUS and GC succeed in silence from 1.1.0 on (loopback 16)', async ({ host }) => {
  expect(host.dir).toBeTruthy();
  for (const command of ['STATUS', 'GC'] as const) {
    const newest = await succeed(loopback, command, { config: { ...config, cniVersion: '1.1.0' } });
    expect(newest.stdout).toBe('');
    const { error } = await call(loopback, command, { config });
    expect(error).toEqual({ code: 1, msg: `config version does not allow ${command}` });
  }
});

test('CNI_IFNAME must be a name, whatever it is (loopback 17)', async ({ container }) => {
  expect((await add({ container, ifname: 'a/b' })).error).toMatchObject({
    code: 4,
    msg: 'interface name contains / or : or whitespace characters',
  });
  expect((await add({ container, ifname: '' })).error).toMatchObject({
    code: 4,
    msg: 'required env variables [CNI_IFNAME] missing',
  });
  expect((await add({ container, ifname: 'whatever0' })).result?.interfaces?.[0]?.name).toBe('lo');
});

test('its own namespace is refused before lo is touched (loopback 18)', async ({ host }) => {
  const { error, stdout } = await add({ netns: '/proc/thread-self/ns/net' });
  expect(error).toMatchObject({
    code: 8,
    msg: "plugin's netns and netns from CNI_NETNS should not be the same",
  });
  expect(() => JSON.parse(stdout)).not.toThrow();
  expect(isUp(host)).toBe(false);
});
