/** VLANs need a kernel with bridge VLAN filtering: these run in user-mode-linux (`npm test` boots it). */
import { hostLocal } from '@cni-ts/host-local/host-local';
import { type Call, call, pluginFolder, succeed } from '@cni-ts/testing/call';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { losing } from '@cni-ts/testing/own-links';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect, vi } from 'vitest';
import { bridge } from './bridge.ts';

const plugins = [hostLocal];

function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  const full = { cniVersion: '1.1.0', name: 'net1', type: 'bridge', ...config };
  return { config: full, container, path: host.bin, plugins, ...more };
}

function dual(host: Host): object {
  const ranges = [[{ subnet: '10.1.2.0/24' }], [{ subnet: '2001:db8::/64' }]];
  return { type: 'host-local', dataDir: `${host.dir}/networks`, ranges };
}

/** An attachment in a VLAN with a gateway, and what made it. */
async function gatewayIn100(host: Host, container: Container) {
  pluginFolder(host, 'host-local');
  const config = { vlan: 100, isDefaultGateway: true, ipam: dual(host) };
  const first = given(host, container, config);
  const { result } = await succeed(bridge, 'ADD', first);
  return { config, first, result };
}

/** The VLANs of the port of a container, as iproute2 shows them: `100 PVID Egress Untagged`. */
function vlans(host: Host, hostLink: string | undefined): string[] {
  const listed = JSON.parse(host.sh('bridge -j vlan show')) as {
    ifname: string;
    vlans: { vlan: number; vlanEnd?: number; flags?: string[] }[];
  }[]; // reason: iproute2's JSON
  const own = listed.find(({ ifname }) => ifname === hostLink)?.vlans ?? [];
  return own.map(({ vlan, vlanEnd, flags }) =>
    [vlanEnd ? `${vlan}-${vlanEnd}` : vlan, ...(flags ?? [])].join(' '),
  );
}

describe.skipIf(!has('bridge vlan filtering'))('VLANs of a bridge', () => {
  test('an ADD that does not hear any one answer of the kernel leaves nothing of its VLAN', async ({
    host,
    container,
  }) => {
    const path = pluginFolder(host, 'host-local');
    const config = { isGateway: true, vlan: 100, ipam: dual(host) };
    const look = () =>
      [snapshot(), snapshot(container.netns)].map(({ links, addresses }) => [links, addresses]);
    const before = look();
    let more = true;
    for (let nth = 1; more; nth++) {
      const { seen } = losing(nth);
      const add = call(bridge, 'ADD', given(host, container, config, { path }));
      const { status, stdout } = await add.finally(() => vi.restoreAllMocks());
      more = seen() >= nth;
      if (!more) return;
      expect(status).toBe(1);
      await vi.waitFor(() => expect(look(), `answer ${nth} was lost: ${stdout}`).toEqual(before), 5000);
    }
  });

  test('vlan makes the port untagged in it alone; preserveDefaultVlan keeps VLAN 1 (bridge 25)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(bridge, 'ADD', given(host, container, { vlan: 100 }));
    expect(host.sh('ip -d link show cni0')).toContain('vlan_filtering 1');
    expect(vlans(host, result?.interfaces?.[1]?.name)).toEqual(['100 PVID Egress Untagged']);
    const other = given(
      host,
      host.container('c2'),
      { vlan: 100, preserveDefaultVlan: true },
      { containerId: 'c2' },
    );
    const kept = await succeed(bridge, 'ADD', other);
    expect(vlans(host, kept.result?.interfaces?.[1]?.name)).toEqual([
      '1 Egress Untagged',
      '100 PVID Egress Untagged',
    ]);
  });

  test.for([
    [{ vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 210 }] }, ['1 PVID Egress Untagged', '101', '200-210']],
    [
      { vlan: 100, vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 210 }] },
      ['100 PVID Egress Untagged', '101', '200-210'],
    ],
    [{ vlanTrunk: [{ id: 1 }, { id: 2 }] }, ['1 PVID Egress Untagged', '2']],
    [{ vlanTrunk: [] }, ['1 PVID Egress Untagged']],
  ] as const)('%j gives the port %j (bridge 26)', async ([config, expected], { host, container }) => {
    const { result } = await succeed(bridge, 'ADD', given(host, container, config));
    const seen = host
      .sh(`bridge vlan show dev ${result?.interfaces?.[1]?.name} | tail -n +2 | sed 's/^[^ ]* *//'`)
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    const single = expected.flatMap((entry) => {
      const range = /^(\d+)-(\d+)$/.exec(entry);
      if (!range) return [entry];
      return Array.from(
        { length: Number(range[2]) - Number(range[1]) + 1 },
        (_, i) => `${Number(range[1]) + i}`,
      );
    });
    expect(seen).toEqual(single);
    const checked = { ...given(host, container, config), prevResult: result };
    await succeed(bridge, 'CHECK', checked);
    if (expected.length < 2) return;
    const last = single.at(-1);
    host.sh(`bridge vlan del dev ${result?.interfaces?.[1]?.name} vid ${last}`);
    const { error } = await call(bridge, 'CHECK', checked);
    expect(error?.msg).toMatch(new RegExp(`^Interface veth[0-9a-f]{8} is not in VLAN ${last}`));
  });

  test('a VLAN with a gateway gets a link of its own on the host, shared by all and kept (bridge 28)', async ({
    host,
    container,
  }) => {
    const { config, first, result } = await gatewayIn100(host, container);
    expect(result?.interfaces?.[3]).toMatchObject({ name: 'cni0.100', mac: expect.stringMatching(/:/) });
    expect(host.sh('ip -br address show dev cni0.100')).toMatch(/10\.1\.2\.1\/24.*2001:db8::1\/64/);
    expect(host.sh('ip -br -4 address show dev cni0')).not.toContain('10.1.2.1');
    expect(container.succeeds('ping -c1 -W3 10.1.2.1')).toBe(true);
    await succeed(bridge, 'CHECK', { ...first, prevResult: result });
    const second = given(host, host.container('c2'), config, { containerId: 'c2' });
    const more = await succeed(bridge, 'ADD', second);
    expect(more.result?.interfaces?.[3]).toEqual(result?.interfaces?.[3]);
    expect(container.succeeds('ping -c1 -W3 10.1.2.3')).toBe(true);
    await succeed(bridge, 'DEL', first);
    await succeed(bridge, 'DEL', second);
    expect(host.succeeds('ip link show cni0.100')).toBe(true);
  });

  test("the host's leg in a VLAN that a killed ADD left unfinished is completed by the next, and found by CHECK", async ({
    host,
    container,
  }) => {
    const { config, first, result } = await gatewayIn100(host, container);
    const port = JSON.parse(host.sh('ip -j link show cni0.100'))[0].link;
    const harms = [
      `ip link set ${port} nomaster; ip link set cni0.100 down`,
      `bridge vlan del dev ${port} vid 100`,
    ];
    for (const [i, harm] of harms.entries()) {
      host.sh(harm);
      expect(container.succeeds('ping -c1 -W1 10.1.2.1'), harm).toBe(false);
      const { error } = await call(bridge, 'CHECK', { ...first, prevResult: result });
      expect(error?.msg).toContain(port);
      const second = given(host, host.container(`other${i}`), config, { containerId: `other${i}` });
      await succeed(bridge, 'ADD', second);
      expect(container.succeeds('ping -c1 -W3 10.1.2.1'), harm).toBe(true);
      await succeed(bridge, 'CHECK', { ...first, prevResult: result });
      await succeed(bridge, 'DEL', second);
    }
  });

  test('a name that gets too long with the VLAN is refused, and nothing is left', async ({
    host,
    container,
  }) => {
    pluginFolder(host, 'host-local');
    const config = { bridge: 'abcdefghijkl', vlan: 1000, isGateway: true, ipam: dual(host) };
    const answer = await call(bridge, 'ADD', given(host, container, config));
    expect(answer.error?.msg).toContain('failed to make veth pair: numerical result out of range');
    expect(host.succeeds('ip link show abcdefghijkl')).toBe(false);
  });

  test('a bridge that does not filter is used as it is (bridge 29)', async ({ host, container }) => {
    host.sh('ip link add cni0 type bridge');
    const { result } = await succeed(bridge, 'ADD', given(host, container, { vlan: 100 }));
    expect(host.sh('ip -d link show cni0')).toContain('vlan_filtering 0');
    expect(vlans(host, result?.interfaces?.[1]?.name)).toEqual(['100 PVID Egress Untagged']);
  });

  test('containers of different VLANs do not reach each other', async ({ host, container }) => {
    await succeed(bridge, 'ADD', given(host, container, { vlan: 100 }));
    const [same, apart] = [host.container('same'), host.container('apart')];
    await succeed(bridge, 'ADD', given(host, same, { vlan: 100 }, { containerId: 'same' }));
    await succeed(bridge, 'ADD', given(host, apart, { vlan: 200 }, { containerId: 'apart' }));
    for (const [i, one] of [container, same, apart].entries())
      one.sh(`ip address add 10.9.9.${i + 1}/24 dev eth0`);
    expect(container.succeeds('ping -c1 -W3 10.9.9.2')).toBe(true);
    expect(container.succeeds('ping -c1 -W1 10.9.9.3')).toBe(false);
  });
});
