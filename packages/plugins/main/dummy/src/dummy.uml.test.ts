/** Dummies need a kernel that has them: these run in user-mode Linux (`npm test` boots it). */

import { writeFileSync } from 'node:fs';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { staticPlugin } from '@cni-ts/static/static';
import { type Call, call, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import type { Case } from '@cni-ts/testing/case';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { writeProgram } from '@cni-ts/testing/shell';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { dummy } from './dummy.ts';

const both: Case = {
  title: 'dummy with addresses of both families',
  plugins: [hostLocal],
  config: (host) => ({
    ipam: {
      type: 'host-local',
      dataDir: `${host.dir}/networks`,
      ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:1::/64' }]],
      routes: [{ dst: '10.8.0.0/16' }],
    },
  }),
  tamperings: {
    'link gone': {
      by: (_, c) => void c.sh('ip link del eth0'),
      says: /^Container Interface name in prevResult: eth0 not found/,
    },
    'another link of the name': {
      by: (_, c) => void c.sh('ip link del eth0; ip link add eth0 type veth peer name x'),
      says: /^Error: Container interface eth0 not of type dummy/,
    },
    'MAC changed': {
      by: (_, c) => void c.sh('ip link set eth0 address 02:00:00:00:00:99'),
      says: /^Interface eth0 Mac .* doesn't match container Mac: 02:00:00:00:00:99/,
    },
    'link down': { by: (_, c) => void c.sh('ip link set eth0 down'), says: /^Interface eth0 is down/ },
    'address gone': {
      by: (_, c) => void c.sh('ip address del 10.1.2.2/24 dev eth0'),
      says: /^Failed to match addr 10\.1\.2\.2\/24 on interface eth0/,
    },
    'route gone': { by: (_, c) => void c.sh('ip route del 10.8.0.0/16'), says: /10\.8\.0\.0/ },
  },
};

conformance(dummy, [both]);
ownLinks(dummy, both, { hostLinks: false });

function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  const full = { cniVersion: '1.1.0', name: 'net1', type: 'dummy', ipam: { type: 'fake' }, ...config };
  return { config: full, container, path: host.bin, ...more };
}

// biome-ignore lint/suspicious/noExplicitAny: what `ip` prints
function link(container: Container, name = 'eth0'): any {
  return container.succeeds(`ip link show ${name}`)
    ? JSON.parse(container.sh(`ip -j -d address show ${name}`))[0]
    : undefined;
}

function answering(host: Host, more: object = {}): () => string[] {
  return fakeIpam(host.bin, 'fake', {
    cniVersion: '1.1.0',
    ips: [{ address: '10.9.0.2/24', gateway: '10.9.0.1' }],
    routes: [{ dst: '0.0.0.0/0' }],
    ...more,
  });
}

describe('ADD', () => {
  test('makes a dummy, up, as a hand-made one, whatever the host has of its name (dummy 1, 2, traps 1, 8)', async ({
    host,
    container,
  }) => {
    answering(host);
    host.sh('ip link add eth0 type veth peer name p0');
    const before = snapshot();
    const { result } = await succeed(dummy, 'ADD', given(host, container, {}));
    expect(link(container)).toMatchObject({
      mtu: 1500,
      txqlen: 1000,
      flags: expect.arrayContaining(['UP', 'NOARP']),
      linkinfo: { info_kind: 'dummy' },
      addr_info: expect.arrayContaining([
        expect.objectContaining({ local: '10.9.0.2', broadcast: '10.9.0.255' }),
      ]),
    });
    expect(container.sh('ip route show default')).toContain('via 10.9.0.1 dev eth0');
    expect(result).toMatchObject({
      interfaces: [{ name: 'eth0', mac: link(container).address, sandbox: container.path }],
      ips: [{ address: '10.9.0.2/24', interface: 0 }],
    });
    expect(snapshot()).toEqual(before);
  });

  test('of a name that is taken leaves that link, also by the DEL that follows, and asks no IPAM (dummy 3, trap 9)', async ({
    host,
    container,
  }) => {
    const log = answering(host);
    container.sh('ip link add eth0 type veth peer name x; ip address add 192.0.2.1/24 dev eth0');
    const before = snapshot(container.netns);
    expect(await message(call(dummy, 'ADD', given(host, container, {})))).toMatch(
      /^failed to create dummy: file exists/,
    );
    expect(log()).toEqual([]);
    await succeed(dummy, 'DEL', given(host, container, {}));
    expect(snapshot(container.netns)).toEqual(before);
  });

  test('needs an IPAM, and a namespace that is there (dummy 4, 5)', async ({ host, container }) => {
    const none = given(host, container, { ipam: undefined }, { container: undefined, netns: '/nope' });
    expect(await message(call(dummy, 'ADD', none))).toBe('dummy interface requires an IPAM configuration');
    const gone = given(host, container, {}, { container: undefined, netns: '/nope' });
    expect(await message(call(dummy, 'ADD', gone))).toContain(
      'failed to Statfs "/nope": no such file or directory',
    );
  });

  test('has no mtu and mac of the configuration, and the dns of IPAM (dummy 6, 7, traps 4, 5)', async ({
    host,
    container,
  }) => {
    answering(host, { dns: { nameservers: ['9.9.9.9'] } });
    const config = { mtu: 1300, mac: '02:00:00:00:00:01', dns: { domain: 'z' } };
    const { result } = await succeed(dummy, 'ADD', given(host, container, config));
    expect(link(container)).toMatchObject({ mtu: 1500 });
    expect(link(container).address).not.toBe('02:00:00:00:00:01');
    expect(result?.dns).toEqual({ nameservers: ['9.9.9.9'] });
  });

  test('sets addresses and default routes of both families, and tells its own link alone (dummy 8, trap 10)', async ({
    host,
    container,
  }) => {
    answering(host, {
      interfaces: [{ name: 'bogus' }],
      ips: [
        { address: '10.9.0.2/24', gateway: '10.9.0.1', interface: 0 },
        { address: 'fd00:9::2/64', gateway: 'fd00:9::1' },
      ],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    });
    const started = performance.now();
    const { result } = await succeed(dummy, 'ADD', given(host, container, {}));
    // Duplicate address detection would take a second, and its patience is five.
    expect(performance.now() - started).toBeLessThan(4000);
    expect(container.sh('ip route show default; ip -6 route show default')).toMatch(
      /10\.9\.0\.1 dev eth0[\s\S]*fd00:9::1 dev eth0/,
    );
    expect(container.sh('ip -6 address show eth0')).not.toContain('tentative');
    expect(container.sh('cat /proc/sys/net/ipv6/conf/eth0/keep_addr_on_down').trim()).toBe('1');
    expect(result?.interfaces?.map(({ name }) => name)).toEqual(['eth0']);
  });

  test('that fails at IPAM, or at a route, leaves no link (dummy 9, 10, 11)', async ({ host, container }) => {
    const before = snapshot(container.netns);
    fakeIpam(host.bin, 'fake', { code: 11, msg: 'm', details: 'd' }, 1);
    expect((await call(dummy, 'ADD', given(host, container, {}))).error).toMatchObject({
      code: 11,
      msg: 'm',
      details: 'd',
    });
    fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0' });
    expect(await message(call(dummy, 'ADD', given(host, container, {})))).toBe(
      'IPAM plugin returned missing IP config',
    );
    const log = answering(host, { routes: [{ dst: '10.77.0.0/16', gw: '10.250.0.1' }] });
    expect(await message(call(dummy, 'ADD', given(host, container, {})))).toMatch(
      /^failed to add route '10\.77\.0\.0\/16 via 10\.250\.0\.1 dev eth0/,
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(snapshot(container.netns)).toEqual(before);
  });

  test('looks at no prevResult, which must be an object all the same (dummy 12)', async ({
    host,
    container,
  }) => {
    answering(host);
    await succeed(dummy, 'ADD', given(host, container, {}, { prevResult: { ips: 4 } }));
    const text = given(host, container, { prevResult: 'x' });
    expect(await message(call(dummy, 'ADD', { ...text, ifname: 'eth1' }))).toMatch(
      /^failed to .*: prevResult: expected/,
    );
  });

  test('gives addresses of their own that are reachable in the container, and changes nothing else there (dummy trap 2)', async ({
    host,
    container,
  }) => {
    pluginFolder(host, 'static');
    container.sh(`ip link add eth0 type veth peer name x; ip address add 192.0.2.1/24 dev eth0; ip link set lo up
      ip link set x up; ip link set eth0 up; ip route add default via 192.0.2.9`);
    const routes = container.sh('ip route');
    const ipam = {
      type: 'static',
      addresses: [{ address: '169.254.169.254/32' }, { address: 'fd00::53/128' }],
    };
    const one = given(host, container, { ipam }, { ifname: 'svc0', plugins: [staticPlugin] });
    const { result } = await succeed(dummy, 'ADD', one);
    expect(container.sh('ip -4 -br address show svc0')).toContain('169.254.169.254/32');
    expect(link(container, 'svc0').addr_info[0]).not.toHaveProperty('broadcast');
    expect(container.sh('ip route')).toBe(routes);
    container.sh('ping -c1 -W2 169.254.169.254; ping -c1 -W2 fd00::53');
    await succeed(dummy, 'CHECK', { ...one, prevResult: result });
  });

  test("is refused where IPAM's default route would lead all the container sends into nothing (dummy trap 3)", async ({
    host,
    container,
  }) => {
    container.sh(`ip link add eth0 type veth peer name x; ip address add 192.0.2.1/24 dev eth0
      ip link set x up; ip link set eth0 up; ip route add default via 192.0.2.9 metric 100`);
    const before = snapshot(container.netns);
    const log = answering(host);
    const one = given(host, container, {}, { ifname: 'svc0' });
    expect(await message(call(dummy, 'ADD', one))).toContain(
      'the default route 0.0.0.0/0 of IPAM leads to a dummy',
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(snapshot(container.netns)).toEqual(before);
    answering(host, { routes: [{ dst: '0.0.0.0/0', priority: 200 }] });
    await succeed(dummy, 'ADD', one);
    expect(container.sh('ip route get 8.8.8.8')).toContain('dev eth0');
  });
});

describe('DEL', () => {
  test('deletes the link, asks IPAM each time, and succeeds again (dummy 13)', async ({
    host,
    container,
  }) => {
    const log = answering(host);
    const one = given(host, container, {});
    await succeed(dummy, 'ADD', one);
    await succeed(dummy, 'DEL', one);
    expect(link(container)).toBeUndefined();
    await succeed(dummy, 'DEL', one);
    await succeed(dummy, 'DEL', { ...one, container: undefined, netns: '' });
    await succeed(dummy, 'DEL', { ...one, container: undefined, netns: '/nope' });
    expect(log()).toEqual(['ADD', 'DEL', 'DEL', 'DEL', 'DEL']);
  });

  test('without ipam says so, and the link is gone (dummy 14, trap 6)', async ({ host, container }) => {
    answering(host);
    await succeed(dummy, 'ADD', given(host, container, {}));
    expect(await message(call(dummy, 'DEL', given(host, container, { ipam: undefined })))).toBe(
      'no plugin name provided',
    );
    expect(link(container)).toBeUndefined();
  });
});

describe('CHECK and STATUS', () => {
  test('CHECK finds what is not as ADD left it, routes too, in the known words (dummy 15, 17, trap 12)', async ({
    host,
    container,
  }) => {
    answering(host);
    const one = given(host, container, {});
    const { result } = await succeed(dummy, 'ADD', one);
    const known = { ...one, prevResult: result };
    expect((await succeed(dummy, 'CHECK', known)).stdout).toBe('');
    container.sh('ip route del default');
    expect(await message(call(dummy, 'CHECK', known))).toMatch(/0\.0\.0\.0/);
    container.sh('ip link set eth0 down');
    expect(await message(call(dummy, 'CHECK', known))).toBe('Interface eth0 is down');
    container.sh('ip address flush dev eth0; ip link set eth0 up');
    expect(await message(call(dummy, 'CHECK', known))).toMatch(
      /^Failed to match addr 10\.9\.0\.2\/24 on interface eth0/,
    );
    const interfaces = [{ name: 'v9', sandbox: container.path }];
    expect(await message(call(dummy, 'CHECK', { ...one, ifname: 'v9', prevResult: { interfaces } }))).toBe(
      'Container Interface name in prevResult: v9 not found',
    );
    expect(await message(call(dummy, 'CHECK', { ...one, prevResult: {} }))).toBe(
      `Sandbox in prevResult  doesn't match configured netns: ${container.path}`,
    );
  });

  test('CHECK needs a prevResult and an IPAM, whose error is its own (dummy 16)', async ({
    host,
    container,
  }) => {
    answering(host);
    const one = given(host, container, {});
    const { result } = await succeed(dummy, 'ADD', one);
    expect(await message(call(dummy, 'CHECK', one))).toBe('dummy: Required prevResult missing');
    expect(await message(call(dummy, 'CHECK', given(host, container, { ipam: undefined })))).toBe(
      'dummy interface requires an IPAM configuration',
    );
    writeProgram(`${host.bin}/fake`, `#!/bin/sh\necho '{"code":100,"msg":"no"}'\nexit 1\n`);
    expect((await call(dummy, 'CHECK', { ...one, prevResult: result })).error).toMatchObject({
      code: 100,
      msg: 'no',
    });
  });

  test('STATUS is that of IPAM, and GC is silent (dummy 18)', async ({ host, container }) => {
    writeFileSync(`${host.bin}/fake`, `#!/bin/sh\necho '{"code":50,"msg":"full"}'\nexit 1\n`, {
      mode: 0o755,
    });
    expect((await call(dummy, 'STATUS', given(host, container, {}))).error).toMatchObject({
      code: 50,
      msg: 'full',
    });
    answering(host);
    await succeed(dummy, 'STATUS', given(host, container, {}));
    expect(await message(call(dummy, 'STATUS', given(host, container, { ipam: undefined })))).toBe(
      'no plugin name provided',
    );
    const gc = await succeed(dummy, 'GC', given(host, container, { 'cni.dev/valid-attachments': [] }));
    expect(gc.stdout).toBe('');
  });
});
