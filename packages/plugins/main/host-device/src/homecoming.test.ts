/** How devices come home: by DEL, GC, the next ADD, and what others did to them meanwhile. */
import { call, fakeIpam, message, succeed } from '@cni-ts/testing/call';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { given, link, mac } from '../test/device-trial.ts';
import { hostDevice } from './host-device.ts';

function makeDevice(host: Host, name = 'd0', address = mac): void {
  host.sh(`ip link add ${name} address ${address} type veth peer name p${name}
    ip link set p${name} up; ip link set ${name} up`);
}

/** As the reference's plugin, or ours before a restart emptied the folder of records, leaves a device in the container. */
function forget(host: Host): void {
  host.sh(`rm -rf ${host.dir}/devices`);
}

/** As the kernel does with hardware when a namespace ends without a DEL; a veth would go with it. */
function crash(host: Host, container: Container, ifname: string): void {
  const home = host.sh('sleep 20 >/dev/null 2>&1 </dev/null & echo $!').trim();
  container.sh(`ip link set ${ifname} down; ip link set ${ifname} netns ${home}; kill ${home}`);
  container.remove();
}

describe('DEL', () => {
  test('takes the device home as it was: name, MAC, MTU, queue, alias, up and down (host-device 2, traps 15, 16)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    host.sh("ip link set d0 mtu 1400 txqueuelen 77 promisc on alias 'to the switch'");
    const before = snapshot(undefined, host.dir);
    const one = given(host, container, { device: 'd0' });
    for (const state of ['up', 'down']) {
      host.sh(`ip link set d0 ${state}`);
      await succeed(hostDevice, 'ADD', one);
      container.sh(`ip link set eth0 down
        ip link set eth0 mtu 1300 address 02:00:00:00:00:55 txqueuelen 5 promisc off; ip link set eth0 up`);
      await succeed(hostDevice, 'DEL', one);
      expect(link(host, 'd0')).toMatchObject({
        mtu: 1400,
        txqlen: 77,
        address: mac,
        ifalias: 'to the switch',
      });
      expect(link(host, 'd0').flags.includes('UP')).toBe(state === 'up');
      expect(container.sh('ip -o link').trim().split('\n')).toHaveLength(1);
    }
    host.sh('ip link set d0 up');
    expect(snapshot(undefined, host.dir)).toEqual(before);
  });

  test('of what the reference has moved clears the alias and leaves it down, as the reference does (host-device 2)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const one = given(host, container, { device: 'd0' });
    const { result } = await succeed(hostDevice, 'ADD', one);
    forget(host);
    await succeed(hostDevice, 'DEL', { ...one, prevResult: result });
    expect(link(host, 'd0')).toMatchObject({ address: mac });
    expect(link(host, 'd0')).not.toHaveProperty('ifalias');
    expect(link(host, 'd0').flags).not.toContain('UP');
  });

  test('of what the reference has moved is not kept by a record of ours that is older than that', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const first = given(host, host.container('first'), { device: 'd0' }, { containerId: 'first' });
    await succeed(hostDevice, 'ADD', first);
    // As the reference takes it home, and then moves it.
    crash(host, first.container as Container, 'eth0');
    host.sh(
      `ip link set eth0 down; ip link set eth0 name d0; ip link set d0 netns ${container.path} name eth0`,
    );
    const one = given(host, container, { device: 'd0' }, { containerId: 'second' });
    await succeed(hostDevice, 'DEL', one);
    expect(link(host, 'd0')).toMatchObject({ address: mac });
  });

  test('leaves the device in the container, up and marked, while the host has another link of its name (host-device 16)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const one = given(host, container, { device: 'd0' });
    await succeed(hostDevice, 'ADD', one);
    host.sh('ip link add d0 type bridge');
    expect(await message(call(hostDevice, 'DEL', one))).toMatch(
      /^failed to move "d0" to hostNS: file exists/,
    );
    expect(link(container, 'eth0')).toMatchObject({ ifalias: 'd0', flags: expect.arrayContaining(['UP']) });
    host.sh('ip link del d0');
    await succeed(hostDevice, 'DEL', one);
    expect(link(host, 'd0')).toMatchObject({ address: mac });
  });

  test('leaves a link without our mark, and succeeds a second time and without a namespace (host-device 17, 18, trap 2)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add eth0 type veth peer name x');
    const one = given(host, container, { device: 'd0' });
    const before = snapshot(container.netns);
    for (let i = 0; i < 2; i++) await succeed(hostDevice, 'DEL', one);
    await succeed(hostDevice, 'DEL', { ...one, container: undefined, netns: '' });
    await succeed(hostDevice, 'DEL', { ...one, container: undefined, netns: '/nope' });
    expect(snapshot(container.netns)).toEqual(before);
  });

  test('releases the address when the namespace is gone, and with an empty CNI_NETNS (host-device trap 1)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: [{ address: '10.9.0.2/24' }] });
    const one = given(host, container, { device: 'd0', ipam: { type: 'fake' } });
    await succeed(hostDevice, 'ADD', one);
    container.remove();
    await succeed(hostDevice, 'DEL', { ...one, container: undefined, netns: container.path });
    await succeed(hostDevice, 'DEL', { ...one, container: undefined, netns: '' });
    expect(log()).toEqual(['ADD', 'DEL', 'DEL']);
  });

  test.for(['recorded', 'of the reference'])(
    'finds a device, %s, that was renamed in the container (host-device trap 3)',
    async (which, { host, container }) => {
      makeDevice(host);
      const one = given(host, container, { device: 'd0' }, { ifname: 'net1' });
      await succeed(hostDevice, 'ADD', one);
      if (which === 'of the reference') forget(host);
      container.sh('ip link set net1 down; ip link set net1 name lan');
      await succeed(hostDevice, 'DEL', one);
      expect(link(host, 'd0')).toMatchObject({ address: mac });
      expect(link(host, 'd0')).not.toHaveProperty('ifalias');
    },
  );

  test('of two links that may be the device moves none and names both (host-device trap 3)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const one = given(host, container, { device: 'd0' }, { ifname: 'net1' });
    await succeed(hostDevice, 'ADD', one);
    container.sh(`ip link set net1 down; ip link set net1 name lan
      ip link add fake type veth peer name x; ip link set fake alias d0`);
    expect(await message(call(hostDevice, 'DEL', one))).toMatch(/"fake".*"lan"|"lan".*"fake"/);
    container.sh('ip link del fake');
    await succeed(hostDevice, 'DEL', one);
    expect(link(host, 'd0')).toMatchObject({ address: mac });
  });

  test.for(['../x', 'a'.repeat(40), 'lo', 'other', ''])(
    'goes by its own record, whatever the container made of the alias: "%s" (host-device trap 4)',
    async (alias, { host, container }) => {
      makeDevice(host);
      makeDevice(host, 'other', '02:00:00:00:00:20');
      const one = given(host, container, { device: 'd0' });
      await succeed(hostDevice, 'ADD', one);
      container.sh(`ip link set eth0 alias '${alias}'`);
      await succeed(hostDevice, 'DEL', one);
      expect(link(host, 'd0')).toMatchObject({ address: mac });
      expect(link(host, 'd0')).not.toHaveProperty('ifalias');
    },
  );

  test.for(['../x', 'a'.repeat(40), 'lo', 'other'])(
    'without a record refuses an alias that is no free name: "%s" (host-device trap 4)',
    async (alias, { host, container }) => {
      makeDevice(host);
      makeDevice(host, 'other', '02:00:00:00:00:20');
      const one = given(host, container, { device: 'd0' });
      const { result } = await succeed(hostDevice, 'ADD', one);
      forget(host);
      container.sh(`ip link set eth0 alias '${alias}'`);
      const before = snapshot(undefined, host.dir);
      const answer = await call(hostDevice, 'DEL', { ...one, prevResult: result });
      expect(answer.error?.msg).toMatch(/no name for a link|failed to move ".*" to hostNS: file exists/);
      expect(link(container, 'eth0')).toMatchObject({ address: mac, flags: expect.arrayContaining(['UP']) });
      expect(snapshot(undefined, host.dir)).toEqual(before);
    },
  );

  test("that comes late leaves a device alone that is another container's by now (host-device trap 6)", async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const first = given(host, container, { device: 'd0' }, { containerId: 'a' });
    const { result } = await succeed(hostDevice, 'ADD', first);
    crash(host, container, 'eth0');
    const other = host.container('b');
    await succeed(hostDevice, 'ADD', given(host, other, { device: 'd0' }, { containerId: 'b' }));
    const before = snapshot(other.netns);
    for (const prevResult of [result, undefined]) {
      await succeed(hostDevice, 'DEL', { ...first, prevResult, container: undefined, netns: container.path });
      await succeed(hostDevice, 'DEL', { ...first, prevResult, container: other });
    }
    expect(snapshot(other.netns)).toEqual(before);
    await succeed(hostDevice, 'DEL', given(host, other, { device: 'd0' }, { containerId: 'b' }));
    expect(link(host, 'd0')).toMatchObject({ address: mac });
  });

  test('takes the device out of a living container whose namespace it is not told (host-device 18)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const one = given(host, container, { device: 'd0' });
    await succeed(hostDevice, 'ADD', one);
    await succeed(hostDevice, 'DEL', { ...one, container: undefined, netns: '' });
    expect(link(host, 'd0')).toMatchObject({ address: mac, flags: expect.arrayContaining(['UP']) });
    expect(link(container, 'eth0')).toBeUndefined();
  });
});

describe("a device that came home without a DEL under the container's name", () => {
  test('gets its name back, and all it was, by DEL', async ({ host, container }) => {
    makeDevice(host);
    const one = given(host, container, { device: 'd0' });
    const before = snapshot(undefined, host.dir);
    await succeed(hostDevice, 'ADD', one);
    container.sh('ip link set eth0 mtu 1300');
    crash(host, container, 'eth0');
    expect(link(host, 'eth0')).toMatchObject({ ifalias: 'd0', address: mac });
    await succeed(hostDevice, 'DEL', { ...one, container: undefined, netns: container.path });
    expect(snapshot(undefined, host.dir)).toEqual(before);
  });

  test('gets its name back by DEL also where the reference had moved it', async ({ host, container }) => {
    makeDevice(host);
    const one = given(host, container, { hwaddr: mac });
    const { result } = await succeed(hostDevice, 'ADD', one);
    forget(host);
    crash(host, container, 'eth0');
    await succeed(hostDevice, 'DEL', {
      ...one,
      prevResult: result,
      container: undefined,
      netns: container.path,
    });
    expect(link(host, 'd0')).toMatchObject({ address: mac });
    expect(link(host, 'd0')).not.toHaveProperty('ifalias');
  });

  test('gets its name back by GC', async ({ host, container }) => {
    makeDevice(host);
    const before = snapshot(undefined, host.dir);
    await succeed(hostDevice, 'ADD', given(host, container, { device: 'd0' }));
    crash(host, container, 'eth0');
    const gc = { 'cni.dev/valid-attachments': [{ containerID: 'other', ifname: 'eth0' }] };
    await succeed(hostDevice, 'GC', given(host, container, gc, { container: undefined }));
    expect(snapshot(undefined, host.dir)).toEqual(before);
  });

  test.for(['DEL', 'GC'] as const)(
    '%s takes away a record that a killed ADD had half written',
    async (command, { host, container }) => {
      makeDevice(host);
      const one = given(host, container, { device: 'd0', 'cni.dev/valid-attachments': [] });
      await succeed(hostDevice, 'ADD', one);
      await succeed(hostDevice, 'DEL', one);
      host.sh(`cd ${host.dir}/devices; touch d0@1.json.new d0@$(stat -Lc %i /proc/self/ns/net).json.new`);
      await succeed(hostDevice, command, command === 'GC' ? { ...one, container: undefined } : one);
      // Another host's, or nobody's: the number in the name is not this namespace's.
      expect(host.sh(`ls ${host.dir}/devices`)).toBe('d0@1.json.new\nlock\n');
    },
  );

  test.for([{ device: 'd0' }, { hwaddr: mac }])(
    'is found by the next ADD, whose DEL gives it its own name, MTU and state: %o (host-device trap 5)',
    async (key, { host, container }) => {
      makeDevice(host);
      const before = snapshot(undefined, host.dir);
      await succeed(hostDevice, 'ADD', given(host, container, key, { containerId: 'a', ifname: 'net1' }));
      container.sh('ip link set net1 mtu 1300');
      crash(host, container, 'net1');
      const next = host.container('next');
      const one = given(host, next, key, { containerId: 'b', ifname: 'net2' });
      await succeed(hostDevice, 'ADD', one);
      expect(link(next, 'net2')).toMatchObject({ ifalias: 'd0' });
      await succeed(hostDevice, 'DEL', one);
      expect(snapshot(undefined, host.dir)).toEqual(before);
    },
  );

  test.for([{ device: 'd0' }, { hwaddr: mac }])(
    'is known by its alias alone where no record is left: %o (host-device trap 5)',
    async (key, { host, container }) => {
      makeDevice(host, 'net1');
      host.sh('ip link set net1 down; ip link set net1 alias d0');
      const one = given(host, container, key);
      await succeed(hostDevice, 'ADD', one);
      expect(link(container, 'eth0')).toMatchObject({ ifalias: 'd0' });
      await succeed(hostDevice, 'DEL', one);
      expect(link(host, 'd0')).toMatchObject({ address: mac });
      expect(link(host, 'd0')).not.toHaveProperty('ifalias');
    },
  );

  test("is not what a link is that has an administrator's alias (host-device trap 5)", async ({
    host,
    container,
  }) => {
    makeDevice(host);
    host.sh('ip link set d0 alias uplink');
    const one = given(host, container, { device: 'd0' });
    const before = snapshot(undefined, host.dir);
    await succeed(hostDevice, 'ADD', one);
    await succeed(hostDevice, 'DEL', one);
    expect(snapshot(undefined, host.dir)).toEqual(before);
  });
});

test('an ADD that finds its device in a container says in whose (host-device traps 24, 27)', async ({
  host,
  container,
}) => {
  makeDevice(host);
  await succeed(hostDevice, 'ADD', given(host, container, { device: 'd0' }));
  const again = given(host, host.container('c2'), { device: 'd0' }, { containerId: 'c2' });
  expect(await message(call(hostDevice, 'ADD', again))).toBe(
    'failed to find host device: Link not found: container c1 of network net1 has "d0" as eth0; DEL brings it back',
  );
  container.remove();
  expect(await message(call(hostDevice, 'ADD', again))).toContain('Link not found');
});

test('REPAIR moves a device again that somebody has put back on the host', async ({ host, container }) => {
  makeDevice(host);
  const one = given(host, container, { device: 'd0' });
  const { result } = await succeed(hostDevice, 'ADD', one);
  const home = host.sh('sleep 20 >/dev/null 2>&1 </dev/null & echo $!').trim();
  container.sh(`ip link set eth0 down; ip link set eth0 netns ${home} name d0; kill ${home}`);
  host.sh("ip link set d0 alias ''");
  const known = { ...one, prevResult: result };
  expect(await message(call(hostDevice, 'CHECK', known))).toBe(
    'Container Interface name in prevResult: eth0 not found',
  );
  await succeed(hostDevice, 'REPAIR', known);
  await succeed(hostDevice, 'CHECK', known);
  expect(link(container, 'eth0')).toMatchObject({ address: mac, ifalias: 'd0' });
});

test('two ADDs for one device at once: one has it, and the DEL of the other takes nothing away', async ({
  host,
  container,
}) => {
  makeDevice(host);
  const a = given(host, container, { device: 'd0' }, { containerId: 'a' });
  const b = given(host, host.container('b'), { device: 'd0' }, { containerId: 'b' });
  const answers = await Promise.all([call(hostDevice, 'ADD', a), call(hostDevice, 'ADD', b)]);
  expect(answers.map(({ status }) => status).sort()).toEqual([0, 1]);
  const [winner, loser] = answers[0]?.status === 0 ? [a, b] : [b, a];
  await succeed(hostDevice, 'DEL', loser);
  expect(link(winner.container as Container, 'eth0')).toMatchObject({ address: mac });
  await succeed(hostDevice, 'DEL', winner);
  expect(link(host, 'd0')).toMatchObject({ address: mac });
});
