import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

/** The example of the protocol's documents, as any CNI user would type it. */
const example = (cniVersion: string, dataDir: string) => ({
  cniVersion,
  name: 'mynet',
  type: 'bridge',
  bridge: 'cni0',
  isGateway: true,
  ipMasq: true,
  ipam: { type: 'host-local', subnet: '10.22.0.0/16', dataDir, routes: [{ dst: '0.0.0.0/0' }] },
});
const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
  // A server outside that has no route back to the containers: only masqueraded traffic gets an answer.
  lab.container('outside');
  lab.sh(`ip link add uplink type veth peer name eth0 && ip address add 192.0.2.1/24 dev uplink`);
  lab.sh(`ip link set eth0 netns ${lab.dir}/netns/outside && ip link set uplink up`);
  lab.inside(`${lab.dir}/netns/outside`, 'ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up');
});
afterAll(() => lab.close());

describe.each(versions)('the example with cniVersion %s', (version) => {
  test('gives an address, reaches the gateway and the world, passes CHECK, and leaves nothing', async () => {
    const netns = lab.container(`ns-${version}`);
    const call = { netns, containerId: `id-${version}`, ifname: 'eth3' };
    const conf = example(version, lab.networks);
    const added = await lab.plugin(`${ours}/bridge`, conf, { ...call, command: 'ADD' });
    expect(added, added.stdout + added.stderr).toMatchObject({ status: 0, json: { cniVersion: version } });

    expect(lab.inside(netns, 'ping -c1 -W2 10.22.0.1').status).toBe(0);
    expect(lab.inside(netns, 'ping -c1 -W2 192.0.2.2').status).toBe(0);

    if (version >= '0.4.0') {
      const checked = { ...conf, prevResult: added.json };
      const good = await lab.plugin(`${ours}/bridge`, checked, { ...call, command: 'CHECK' });
      expect(good).toMatchObject({ status: 0, stdout: '' });
      lab.inside(netns, 'ip address flush dev eth3');
      const bad = await lab.plugin(`${ours}/bridge`, checked, { ...call, command: 'CHECK' });
      expect(bad.json?.msg).toMatch(/^Failed to match addr 10\.22\.0\.\d+\/16 on interface eth3/);
    }

    for (const _ of ['first', 'second']) {
      const gone = await lab.plugin(`${ours}/bridge`, conf, { ...call, command: 'DEL' });
      expect(gone).toMatchObject({ status: 0, stdout: '' });
    }
    expect(lab.links().filter((name) => name.startsWith('veth'))).toEqual([]);
    expect(lab.reservations('mynet')).toEqual([]);
    expect(lab.sh('iptables-save -t nat 2>/dev/null; nft list ruleset 2>/dev/null')).not.toMatch(/CNI-|id-/);
  });

  // Debian 12's Go plugins do not know 1.1.0 yet.
  test.skipIf(!existsSync(theirs) || version === '1.1.0')(
    'has a result shaped as the Go plugin shapes it',
    async () => {
      const shape = async (folder: string, network: string) => {
        const netns = lab.container(`shape-${network}-${version}`);
        const conf = {
          ...example(version, lab.networks),
          name: network,
          bridge: `br-${network}`,
          ipMasq: false,
        };
        const ipam = { ...conf.ipam, subnet: network === 'go' ? '10.23.0.0/16' : '10.24.0.0/16' };
        const call = { netns, containerId: `s-${version}`, path: folder };
        const added = await lab.plugin(`${folder}/bridge`, { ...conf, ipam }, { ...call, command: 'ADD' });
        expect(added.status, added.stdout).toBe(0);
        await lab.plugin(`${folder}/bridge`, { ...conf, ipam }, { ...call, command: 'DEL' });
        return anonymous(added.json, network);
      };
      expect(await shape(ours, 'ts')).toEqual(await shape(theirs, 'go'));
    },
  );
});

/** Members that differ from run to run by nature, replaced by what they are. */
function anonymous(json: Record<string, unknown> | undefined, network: string): unknown {
  // Releases before 1.2 wrote an empty `dns` in 1.0.0 results as well, which later ones and the specification leave out.
  const { dns, ...rest } = json ?? {};
  const keep = JSON.stringify(dns) !== '{}' || String(json?.cniVersion) < '1.0.0';
  const text = JSON.stringify(keep ? json : rest)
    .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, '<mac>')
    .replaceAll(/veth[0-9a-f]{8}/g, '<veth>')
    .replaceAll(/10\.2[34]\.0\.\d+/g, '<address>')
    .replaceAll(`br-${network}`, '<bridge>')
    .replaceAll(/shape-(ts|go)/g, 'shape');
  return JSON.parse(text);
}
