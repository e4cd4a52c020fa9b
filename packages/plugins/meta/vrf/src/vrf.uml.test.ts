/** VRFs need a kernel that has them: these run in user-mode Linux (`npm test` boots it). */
import { hostLocal } from '@cni-ts/host-local/host-local';
import { ptp } from '@cni-ts/ptp/ptp';
import { sbr } from '@cni-ts/sbr/sbr';
import { type Command, call, pluginFolder, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, test } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { describe, expect } from 'vitest';
import { vrf } from './vrf.ts';

const address6 = 'abcd:1234:ffff::cdde/64';

/** A link with addresses and routes of its own, as an earlier plugin leaves it. */
function makeLink(container: Container, name = 'd0'): object {
  container.sh(`
    ip link add ${name} type veth peer name ${name}far; ip link set ${name}far up; ip link set ${name} up
    ip address add 10.0.0.2/24 dev ${name}; ip address add ${address6} dev ${name} nodad`);
  return resultOf(container, name);
}

function resultOf(container: Container, name: string): object {
  const mac = JSON.parse(container.sh(`ip -j link show ${name}`))[0].address;
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name, mac, sandbox: container.path }],
    ips: [{ address: '10.0.0.2/24', interface: 0 }],
  };
}

function addRoutes(container: Container, name = 'd0'): void {
  container.sh(`ip route add 10.10.10.0/24 via 10.0.0.1 dev ${name}
    ip -6 route add 1111:dddd::/80 via abcd:1234:ffff::1 dev ${name}`);
}

function given(container: Container, ifname: string, own: object, prevResult?: object) {
  return {
    config: { cniVersion: '1.1.0', name: 'net', type: 'vrf', ...own },
    container,
    ifname,
    containerId: 'c1',
    prevResult: prevResult ?? resultOf(container, ifname),
  };
}

async function ok(container: Container, command: Command, ifname: string, own: object = { vrfname: 'vrf0' }) {
  return await succeed(vrf, command, given(container, ifname, own));
}

async function failure(
  container: Container,
  command: Command,
  ifname: string,
  own: object = { vrfname: 'vrf0' },
) {
  return (await call(vrf, command, given(container, ifname, own))).error?.msg;
}

const linkOf = (at: Container, name: string) => JSON.parse(at.sh(`ip -j -d link show ${name}`))[0];
const table = (at: Container, name: string) => linkOf(at, name).linkinfo.info_data.table;
const masterOf = (at: Container, name: string) => linkOf(at, name).master;
const isThere = (at: Container, name: string) => at.succeeds(`ip link show ${name}`);
const routes = (at: Container, which: string) =>
  at
    .sh(`ip route show ${which} 2>/dev/null; ip -6 route show ${which} 2>/dev/null; true`)
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

if (has('vrf')) {
  conformance(vrf, [
    {
      title: 'vrf',
      ifname: 'd0',
      config: () => ({ vrfname: 'vrf0' }),
      before(_, container) {
        const result = makeLink(container);
        addRoutes(container);
        return result;
      },
      leavesInContainer: {
        members: ['routes', 'addresses', 'rules', 'settings'],
        because: 'the kernel drops routes and IPv6 addresses of a link that leaves a VRF, and keeps its rule',
      },
      keeps: { members: ['rules'], because: 'the kernel keeps its rule for VRFs' },
      tamperings: {
        'the link left': {
          by: (_, c) => c.sh('ip link set d0 nomaster'),
          says: /^failed to find d0 associated to vrf vrf0/,
        },
        'the VRF is gone': { by: (_, c) => c.sh('ip link del vrf0'), says: /^Link not found/ },
        'the VRF is down': { by: (_, c) => c.sh('ip link set vrf0 down'), says: /^VRF vrf0 is down/ },
      },
    },
  ]);
}

describe.skipIf(!has('vrf'))('vrf', () => {
  test('makes the VRF, up, with the first table, and puts the link into it (vrf 1)', async ({
    container,
  }) => {
    makeLink(container);
    const { result } = await ok(container, 'ADD', 'd0');
    expect(linkOf(container, 'vrf0')).toMatchObject({
      linkinfo: { info_kind: 'vrf', info_data: { table: 1 } },
      flags: expect.arrayContaining(['UP']),
    });
    expect(masterOf(container, 'd0')).toBe('vrf0');
    expect(result?.interfaces).toHaveLength(1);
  });

  test('takes the name in the common spelling, and a table (vrf 2, 3)', async ({ container }) => {
    makeLink(container);
    await ok(container, 'ADD', 'd0', { vrfName: 'vrf0', table: 1001 });
    expect(table(container, 'vrf0')).toBe(1001);
  });

  test('takes the first table that no VRF, rule or route uses (vrf 8, trap 13)', async ({ container }) => {
    makeLink(container);
    for (const n of [1, 2, 3, 5]) container.sh(`ip link add v${n} type vrf table ${n}`);
    container.sh('ip route add 192.0.2.0/24 dev d0 table 4; ip rule add from 1.2.3.4 table 6');
    await ok(container, 'ADD', 'd0');
    expect(table(container, 'vrf0')).toBe(7);
  });

  test('is one for two links that name it, which keep their addresses (vrf 9, 21, trap 15)', async ({
    container,
  }) => {
    makeLink(container);
    makeLink(container, 'd1');
    await ok(container, 'ADD', 'd0');
    await ok(container, 'ADD', 'd1');
    for (const name of ['d0', 'd1']) {
      expect(masterOf(container, name)).toBe('vrf0');
      const addresses = container.sh(`ip -br address show ${name}`);
      expect(addresses).toContain('10.0.0.2/24');
      expect(addresses).toContain(address6);
    }
    await ok(container, 'DEL', 'd0');
    expect([isThere(container, 'vrf0'), masterOf(container, 'd1')]).toEqual([true, 'vrf0']);
    await ok(container, 'DEL', 'd1');
    expect(isThere(container, 'vrf0')).toBe(false);
  });

  test('keeps two VRFs apart, with the same addresses (vrf 10); or with the same table (vrf 11)', async ({
    container,
  }) => {
    for (const name of ['d0', 'd1', 'd2']) makeLink(container, name);
    await ok(container, 'ADD', 'd0');
    await ok(container, 'ADD', 'd1', { vrfname: 'vrf1' });
    expect([table(container, 'vrf0'), table(container, 'vrf1')]).toEqual([1, 2]);
    await ok(container, 'ADD', 'd2', { vrfname: 'vrf2', table: 1 });
    expect(table(container, 'vrf2')).toBe(1);
  });

  test('with another table than the VRF has is refused (vrf 12, trap 14)', async ({ container }) => {
    makeLink(container);
    container.sh('ip link add vrf0 type vrf table 1001');
    expect(await failure(container, 'ADD', 'd0', { vrfname: 'vrf0', table: 1002 })).toBe(
      'cmdAdd failed: VRF vrf0 already exist with different routing table 1001',
    );
    await ok(container, 'ADD', 'd0', { vrfname: 'vrf0', table: 1001 });
    expect(linkOf(container, 'vrf0').flags).toContain('UP');
  });

  test('leaves a VRF that somebody else made (trap 22)', async ({ container }) => {
    makeLink(container);
    container.sh('ip link add vrf0 type vrf table 9');
    await ok(container, 'ADD', 'd0');
    await ok(container, 'DEL', 'd0');
    expect([isThere(container, 'vrf0'), masterOf(container, 'd0')]).toEqual([true, undefined]);
  });

  test('refuses a port of a bridge (vrf 13); twice is once (vrf 14, trap 9)', async ({ container }) => {
    makeLink(container);
    container.sh('ip link add br0 type bridge; ip link set d0 master br0');
    expect(await failure(container, 'ADD', 'd0')).toBe(
      'cmdAdd failed: interface d0 has already a master set: br0',
    );
    expect(isThere(container, 'vrf0')).toBe(false);
    container.sh('ip link set d0 nomaster');
    await ok(container, 'ADD', 'd0');
    await ok(container, 'ADD', 'd0');
    expect(masterOf(container, 'd0')).toBe('vrf0');
  });

  test('moves the routes of this link alone, with their metrics (vrf 15 to 18, traps 3, 4)', async ({
    container,
  }) => {
    makeLink(container);
    addRoutes(container);
    container.sh(`ip route add 172.16.0.0/16 dev d0 scope global; ip route add 172.17.0.0/16 via 10.0.0.1 metric 100
      ip link add d1 type veth peer name d1far; ip link set d1far up; ip link set d1 up
      ip address add 10.1.0.2/24 dev d1; ip route add 10.11.0.0/16 via 10.1.0.1`);
    await ok(container, 'ADD', 'd0');
    const inVrf = routes(container, 'vrf vrf0').join('\n');
    for (const one of [
      '10.10.10.0/24 via 10.0.0.1 dev d0',
      '1111:dddd::/80 via abcd:1234:ffff::1 dev d0',
      '172.16.0.0/16 dev d0',
      '172.17.0.0/16 via 10.0.0.1 dev d0 metric 100',
      '10.0.0.0/24 dev d0 proto kernel',
    ])
      expect(inVrf).toContain(one);
    expect(inVrf).not.toContain('dev d1');
    const main = routes(container, 'table main').join('\n');
    expect(main).not.toMatch(/dev d0\b/);
    expect(main).toContain('10.11.0.0/16 via 10.1.0.1 dev d1');
    expect(container.sh('ip -br address show d0')).toContain(address6);
  });

  test('does not put on again what the kernel keeps (vrf 19); nor waits for a link-local address (trap 5)', async ({
    container,
  }) => {
    makeLink(container);
    container.sh('sysctl -qw net.ipv6.conf.d0.keep_addr_on_down=1');
    await ok(container, 'ADD', 'd0');
    expect(container.sh('ip -br address show d0')).toContain(address6);
  });

  test('moves the route of an address that came without one (trap 7)', async ({ container }) => {
    container.sh(`ip link add d0 type veth peer name d0far; ip link set d0far up; ip link set d0 up
      ip address add 10.0.0.2/24 dev d0 noprefixroute; ip route add 10.0.0.0/24 dev d0 scope link
      ip route add default via 10.0.0.1`);
    await ok(container, 'ADD', 'd0');
    const inVrf = routes(container, 'vrf vrf0').join('\n');
    expect(inVrf).toContain('10.0.0.0/24 dev d0');
    expect(inVrf).toContain('default via 10.0.0.1 dev d0');
  });

  test('moves a default route by a link-local gateway (trap 21)', async ({ container }) => {
    makeLink(container);
    container.sh('ip -6 route add default via fe80::1 dev d0');
    await ok(container, 'ADD', 'd0');
    expect(routes(container, 'vrf vrf0').join('\n')).toContain('default via fe80::1 dev d0');
  });

  test('takes its way out of a default route that several links share (trap 2)', async ({ container }) => {
    makeLink(container);
    container.sh(`ip link add e0 type veth peer name e0far; ip link set e0far up; ip link set e0 up
      ip address add fd01::2/64 dev e0 nodad; ip address add 10.9.0.2/24 dev e0
      ip -6 route add default via fd01::1 dev e0; ip -6 route append default via abcd:1234:ffff::1 dev d0
      ip route add default nexthop via 10.9.0.1 dev e0 nexthop via 10.0.0.1 dev d0`);
    await ok(container, 'ADD', 'd0');
    const main = routes(container, 'table main').join('\n');
    expect(main).toMatch(/^default via fd01::1 dev e0/m);
    expect(main).toMatch(/^default via 10\.9\.0\.1 dev e0/m);
    expect(main).not.toMatch(/dev d0\b/);
    const inVrf = routes(container, 'vrf vrf0').join('\n');
    expect(inVrf).toMatch(/^default via abcd:1234:ffff::1 dev d0/m);
    expect(inVrf).toMatch(/^default via 10\.0\.0\.1 dev d0/m);
  });

  test('DEL without the link removes the VRF (vrf 23, trap 1)', async ({ container }) => {
    const prevResult = makeLink(container);
    await ok(container, 'ADD', 'd0');
    container.sh('ip link del d0');
    await succeed(vrf, 'DEL', given(container, 'd0', { vrfname: 'vrf0' }, prevResult));
    expect(isThere(container, 'vrf0')).toBe(false);
  });

  test('CHECK tells a link that left, and a VRF that is gone (vrf 24)', async ({ container }) => {
    makeLink(container);
    await ok(container, 'ADD', 'd0');
    await ok(container, 'CHECK', 'd0');
    container.sh('ip link set d0 nomaster');
    expect(await failure(container, 'CHECK', 'd0')).toBe('failed to find d0 associated to vrf vrf0');
    container.sh('ip link del vrf0');
    expect(await failure(container, 'CHECK', 'd0')).toBe('Link not found');
  });

  test('names the setting that forbids two VRFs on one table (trap 12)', async ({ container }) => {
    makeLink(container);
    container.sh('ip link add other type vrf table 7; sysctl -qw net.vrf.strict_mode=1');
    expect(await failure(container, 'ADD', 'd0', { vrfname: 'vrf0', table: 7 })).toContain(
      'net.vrf.strict_mode',
    );
    expect(isThere(container, 'vrf0')).toBe(false);
  });

  test('CHECK of the plugin before follows the routes into the table (trap 17)', async ({
    host,
    container,
  }) => {
    const ipam = {
      type: 'host-local',
      dataDir: `${host.dir}/networks`,
      ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:5::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    };
    const first = {
      config: { cniVersion: '1.1.0', name: 'net', type: 'ptp', ipam },
      container,
      ifname: 'd0',
      path: pluginFolder(host, 'host-local'),
      plugins: [hostLocal],
    };
    const { result } = await succeed(ptp, 'ADD', first);
    const prevResult: object = result ?? {};
    await succeed(vrf, 'ADD', given(container, 'd0', { vrfname: 'vrf0' }, prevResult));
    await succeed(ptp, 'CHECK', { ...first, prevResult });
    expect(container.sh('ip vrf exec vrf0 ping -c1 -W2 10.1.2.1; true')).toContain('1 received');
  });

  test('and sbr behind it do not go together, which sbr says (sbr trap 14)', async ({ container }) => {
    makeLink(container);
    const { result } = await ok(container, 'ADD', 'd0');
    const rules = container.sh('ip rule');
    const config = { cniVersion: '1.1.0', name: 'net', type: 'sbr' };
    const answer = await call(sbr, 'ADD', { config, container, ifname: 'd0', prevResult: result });
    expect(answer.error?.msg).toMatch(/d0 is in the VRF "vrf0".*remove one of both plugins/);
    expect(container.sh('ip rule')).toBe(rules);
  });
});
