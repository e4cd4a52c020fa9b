/** Chains of our plugins and Debian's Go ones: each must take the other's result, and leave nothing behind. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab.close());

/** A folder for CNI_PATH with each plugin from where it is wanted. */
function mixed(name: string, from: Record<string, string>): string {
  const folder = join(lab.dir, name);
  mkdirSync(folder);
  for (const [plugin, source] of Object.entries(from))
    symlinkSync(join(source, plugin), join(folder, plugin));
  return folder;
}

/** A network of this name, for cnitool; 1.0.0 is the newest version that Debian 12's Go plugins know. */
function network(name: string, plugins: object[]): string {
  const folder = join(lab.dir, `${name}.d`);
  mkdirSync(folder);
  writeFileSync(join(folder, '10.conflist'), JSON.stringify({ cniVersion: '1.0.0', name, plugins }));
  return folder;
}

const ipam = (subnet: string) => ({ type: 'host-local', dataDir: lab.networks, ranges: [[{ subnet }]] });

/** What a chain must not leave on the host: rules and links with its marks. */
function traces(name: string): string {
  return lab
    .sh(`iptables-save 2>/dev/null; nft list ruleset; ip -o link`)
    .split('\n')
    .filter((line) => line.includes(name))
    .join('\n');
}

describe.skipIf(!existsSync(theirs))('a chain of both kinds of plugins', () => {
  test('our bridge and tuning around their portmap and firewall: the published port answers, and all of it goes', async () => {
    const path = mixed('a', {
      bridge: ours,
      'host-local': ours,
      tuning: ours,
      portmap: theirs,
      firewall: theirs,
    });
    const conf = network('mixa', [
      {
        type: 'bridge',
        bridge: 'mixa0',
        isDefaultGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: ipam('10.51.0.0/24'),
      },
      {
        type: 'tuning',
        sysctl: { 'net.ipv4.conf.IFNAME.proxy_arp': '1' },
        mtu: 1400,
        dataDir: join(lab.dir, 'tuning'),
      },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'firewall' },
    ]);
    const env = {
      CNI_PATH: path,
      NETCONFPATH: conf,
      CAP_ARGS: JSON.stringify({ portMappings: [{ hostPort: 8051, containerPort: 80, protocol: 'tcp' }] }),
    };
    const netns = lab.container('mixa');
    const added = await lab.cnitool(['add', 'mixa', netns], env);
    expect(added.status, added.stderr).toBe(0);
    expect(
      lab.inside(
        netns,
        'cat /sys/class/net/eth0/mtu /proc/sys/net/ipv4/conf/eth0/proxy_arp; ip link show eth0',
      ).stdout,
    ).toContain('mtu 1400');
    lab.inside(netns, 'ip link set lo up');
    // The rule of their portmap leads to our container's address.
    expect(lab.sh('iptables-save -t nat')).toMatch(/--dport 8051 .*--to-destination 10\.51\.0\.2:80/);
    const gone = await lab.cnitool(['del', 'mixa', netns], env);
    expect(gone.status, gone.stderr).toBe(0);
    expect(lab.sh('iptables-save -t nat')).not.toMatch(/8051|10\.51\.0\.2/);
    expect(lab.reservations('mixa')).toEqual([]);
    expect(lab.links().filter((link) => link.startsWith('veth'))).toEqual([]);
  });

  test('their bridge and host-local under our tuning: CHECK passes, and tuning sees its link', async () => {
    const path = mixed('b', { bridge: theirs, 'host-local': theirs, tuning: ours });
    const conf = network('mixb', [
      { type: 'bridge', bridge: 'mixb0', isDefaultGateway: true, ipam: ipam('10.52.0.0/24') },
      { type: 'tuning', mac: '02:00:00:00:52:01', promisc: true, dataDir: join(lab.dir, 'tuning') },
    ]);
    const env = { CNI_PATH: path, NETCONFPATH: conf };
    const netns = lab.container('mixb');
    const added = await lab.cnitool(['add', 'mixb', netns], env);
    expect(added.status, added.stderr).toBe(0);
    expect(JSON.stringify(added.json)).toContain('02:00:00:00:52:01');
    expect(lab.inside(netns, 'ip link show eth0').stdout).toMatch(/PROMISC[\s\S]*02:00:00:00:52:01/);
    const gone = await lab.cnitool(['del', 'mixb', netns], env);
    expect(gone.status, gone.stderr).toBe(0);
    expect(lab.reservations('mixb')).toEqual([]);
  });

  test('our ptp with our static addresses under their firewall: added, checked and deleted by cnitool', async () => {
    const path = mixed('c', { ptp: ours, static: ours, firewall: theirs });
    const conf = network('mixc', [
      {
        type: 'ptp',
        ipMasq: true,
        ipam: {
          type: 'static',
          addresses: [{ address: '10.53.0.2/24', gateway: '10.53.0.1' }],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'firewall' },
    ]);
    const env = { CNI_PATH: path, NETCONFPATH: conf };
    const netns = lab.container('mixc');
    const added = await lab.cnitool(['add', 'mixc', netns], env);
    expect(added.status, added.stderr).toBe(0);
    expect(lab.inside(netns, 'ping -c1 -W2 10.53.0.1').status).toBe(0);
    const checked = await lab.cnitool(['check', 'mixc', netns], env);
    expect(checked.status, checked.stderr).toBe(0);
    const gone = await lab.cnitool(['del', 'mixc', netns], env);
    expect(gone.status, gone.stderr).toBe(0);
    expect(lab.sh('iptables-save')).not.toContain('10.53.0.2');
    expect(traces('mixc')).toBe('');
  });
});

test('in-process and as processes a chain gives the same result', async () => {
  const conf = network('same', [
    { type: 'bridge', bridge: 'same0', isDefaultGateway: true, ipam: ipam('10.54.0.0/24') },
    { type: 'tuning', mtu: 1400, dataDir: join(lab.dir, 'tuning') },
  ]);
  const results: string[] = [];
  for (const [name, flag] of [
    ['same1', []],
    ['same2', ['--exec']],
  ] as const) {
    const netns = lab.container(name);
    const env = { CNI_PATH: ours, NETCONFPATH: conf };
    const added = await lab.cnitool([...flag, 'add', 'same', netns], env);
    expect(added.status, added.stderr).toBe(0);
    expect((await lab.cnitool([...flag, 'check', 'same', netns], env)).status).toBe(0);
    expect((await lab.cnitool([...flag, 'del', 'same', netns], env)).status).toBe(0);
    results.push(
      JSON.stringify(added.json)
        .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, '<mac>')
        .replaceAll(/veth[0-9a-f]{8}/g, '<veth>')
        .replaceAll(/10\.54\.0\.[23]/g, '<address>')
        .replaceAll(/same[12]/g, '<netns>'),
    );
  }
  expect(results[1]).toBe(results[0]);
});
