import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

/** A plugin of a later day: what it answers to ADD has members that no spec version of ours has. */
function later(folder: string, name: string, answer: object): void {
  const script = `#!/bin/sh\ncat >/dev/null\n[ "$CNI_COMMAND" = ADD ] && cat <<'END'\n${JSON.stringify(answer)}\nEND\nexit 0\n`;
  writeFileSync(join(folder, name), script, { mode: 0o755 });
}

test.each(['bridge', 'ptp', 'macvlan'])(
  'what an IPAM plugin says of an address or a route that we do not know goes through %s, the chain and the cache',
  async (type) => {
    const folder = join(lab.dir, 'plugins');
    mkdirSync(folder);
    for (const name of [type, 'tuning', 'portmap', 'firewall', 'bandwidth', 'loopback'])
      symlinkSync(join(ours, name), join(folder, name));
    lab.sh('ip link add uplink type dummy 2>/dev/null || ip link add uplink type veth peer name far');
    later(folder, 'ipam', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.64.0.2/24', gateway: '10.64.0.1', lease: { until: 5 } }],
      routes: [{ dst: '10.65.0.0/16', gw: '10.64.0.1', realm: 7 }],
    });
    const plugins = [
      { type, bridge: 'br64', master: 'uplink', ipam: { type: 'ipam' } },
      { type: 'tuning', mtu: 1400 },
      { type: 'portmap', backend: 'nftables' },
      { type: 'firewall', backend: 'nftables' },
      { type: 'bandwidth', ingressRate: 8_000_000, ingressBurst: 8_000_000 },
    ].slice(0, type === 'macvlan' ? 4 : 5);
    const env = { NETCONFPATH: lab.network('later', plugins, '1.1.0'), CNI_PATH: folder };
    const netns = lab.container('c1');
    const { json, stderr } = await lab.cnitool(['add', 'later', netns], env);
    expect(stderr).toBe('');
    const members = {
      ips: [{ address: '10.64.0.2/24', lease: { until: 5 } }],
      routes: [{ dst: '10.65.0.0/16', realm: 7 }],
    };
    expect(json).toMatchObject(members);
    const results = join(lab.state, 'cache/results');
    const [entry = ''] = readdirSync(results);
    expect(JSON.parse(readFileSync(join(results, entry), 'utf8')).result).toMatchObject(members);
    expect((await lab.cnitool(['del', 'later', netns], env)).status).toBe(0);
  },
);

test.each(['0.4.0', '1.0.0', '1.1.0'])(
  'members of a prevResult of %s that we do not know are in the result of a chained plugin',
  async (cniVersion) => {
    const netns = lab.container('c1');
    const prevResult = {
      cniVersion,
      vendor: { a: [1] },
      interfaces: [{ name: 'eth0', sandbox: netns, queues: 4 }],
      ips: [{ version: '4', address: '10.64.0.2/24', interface: 0, lease: 5 }],
      routes: [{ dst: '0.0.0.0/0', realm: 7 }],
    };
    const config = { cniVersion, name: 'n', type: 'tuning', prevResult };
    const { json } = await lab.plugin(join(ours, 'tuning'), config, { command: 'ADD', netns });
    expect(json).toMatchObject({
      vendor: { a: [1] },
      interfaces: [{ name: 'eth0', queues: 4 }],
      ips: [{ address: '10.64.0.2/24', lease: 5 }],
      routes: [{ dst: '0.0.0.0/0', realm: 7 }],
    });
  },
);
