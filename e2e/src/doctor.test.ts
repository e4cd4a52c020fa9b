/** `cnitool doctor`: what is wrong with a node is named with its cure, for attachments of ours and of the Go plugins. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { doctorSchema } from '@cni-ts/cli/node-report-schemas';
import { snapshot } from '@cni-ts/testing/snapshot';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { containerIdOf, Lab, ours, theirs } from './lab.ts';

const debian = '/opt/peers/usr/lib/cni';
/** The newest of the Go plugins there are. */
const go = process.env.CNI_GO_PLUGINS ?? (existsSync(debian) ? debian : theirs);

let lab: Lab;
let folder: string;
beforeEach(() => {
  lab = new Lab();
  folder = join(lab.dir, 'net.d');
  mkdirSync(folder);
});
afterEach(() => lab.close());

type Backend = 'iptables' | 'nftables';

interface Wanted {
  readonly path?: string;
  readonly backend?: Backend;
  readonly firewall?: boolean;
  readonly ipam?: object;
}

/** Writes a network on 10.‹net›.0.0/24, with published ports, and tells the environment for it. */
function network(
  name: string,
  net: number,
  { path = ours, backend = 'nftables', firewall, ipam }: Wanted = {},
) {
  const plugins = [
    {
      type: 'bridge',
      bridge: `br${net}`,
      isDefaultGateway: true,
      ipMasq: true,
      ...(backend === 'nftables' && { ipMasqBackend: backend }),
      ipam: { type: 'host-local', subnet: `10.${net}.0.0/24`, dataDir: lab.networks, ...ipam },
    },
    { type: 'portmap', backend, capabilities: { portMappings: true } },
    ...(firewall ? [{ type: 'firewall', backend }] : []),
  ];
  const text = JSON.stringify({ cniVersion: '1.0.0', name, plugins }, undefined, 2);
  writeFileSync(join(folder, `${name}.conflist`), text);
  const env = { NETCONFPATH: folder, CNI_PATH: path };
  return {
    env,
    /** Adds a container that publishes a port, and tells its namespace. */
    async add(container: string, hostPort?: number): Promise<string> {
      const netns = lab.container(container);
      const portMappings = hostPort === undefined ? [] : [{ hostPort, containerPort: 80, protocol: 'tcp' }];
      const more = { ...env, CAP_ARGS: JSON.stringify({ portMappings }) };
      const added = await lab.cnitool(['add', name, netns], more);
      expect(added.status, added.stderr).toBe(0);
      return netns;
    },
    doctor: (...args: string[]) => lab.cnitool(['doctor', ...args], env),
    cnitool: (args: string[], more: Record<string, string> = {}) => lab.cnitool(args, { ...env, ...more }),
  };
}

const goes = (path: string, backend: Backend) =>
  existsSync(path) && !(path === theirs && backend === 'nftables');

const sides = [
  ['ours', ours, 'nftables'],
  ['ours', ours, 'iptables'],
  ['the Go plugins', go, 'nftables'],
  ['the Go plugins', go, 'iptables'],
] as const;

describe.each(sides)('made by %s (%s, %s)', (_who, path, backend) => {
  const withIt = test.skipIf(!goes(path, backend));

  withIt('a node in order is told so, and nothing of it is changed', async () => {
    const net = network('fine', 91, { path, backend, firewall: true });
    await net.add('a', 8091);
    await net.add('b');
    const before = snapshot(undefined, lab.state);
    const { status, stdout, stderr } = await net.doctor();
    expect([stderr, stdout]).toEqual(['', expect.stringContaining('✓ checks: 2 attachments\n')]);
    expect(stdout).toContain('✓ attachments: 2 attachments\n');
    expect(stdout).toContain('✓ rules: 2 attachments\n');
    expect(stdout).toContain('✓ ports: 1 published port\n');
    expect(stdout).toMatch(/nothing was found\n$/);
    expect(stdout).not.toMatch(/^[✗?]/m);
    expect(status).toBe(0);
    expect(snapshot(undefined, lab.state)).toEqual(before);
  });

  withIt('rules that were flushed are named (issue 14, 5)', async () => {
    const net = network('flushed', 92, { path, backend });
    const netns = await net.add('a', 8092);
    lab.sh('nft flush ruleset');
    const { status, stdout } = await net.doctor();
    expect(status).toBe(1);
    const who = `${containerIdOf(netns)}/eth0 of flushed`;
    const table =
      backend === 'nftables' ? 'table cni_hostport (ip)' : "chain CNI-HOSTPORT-DNAT of iptables' nat table";
    expect(stdout).toContain(
      `✗ CNI3007 ${table} is missing: no published ports for ${who} → cnitool repair --plan\n`,
    );
    expect(stdout).toMatch(/✗ CNI3007 .* is missing: no masquerading for .* → cnitool repair --plan\n/);
    expect(stdout).toMatch(/^2 findings\n$/m);
    expect(z.parse(doctorSchema(), (await net.doctor('--json')).json).findings).toMatchObject([
      { code: 'CNI3007', probe: 'rules' },
      { code: 'CNI3007', probe: 'rules' },
    ]);
  });

  withIt("Docker's policy for FORWARD is named with the networks it cuts off (issue 14, 6)", async () => {
    const net = network('web', 93, { path, backend });
    await net.add('a');
    lab.sh(`iptables -N DOCKER-USER; iptables -N DOCKER; iptables -P FORWARD DROP
      iptables -A FORWARD -j DOCKER-USER
      iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
      iptables -A FORWARD -o docker0 -j DOCKER
      iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
      iptables -A FORWARD -i docker0 -o docker0 -j ACCEPT
      iptables -A DOCKER-USER -j RETURN`);
    const { status, stdout } = await net.doctor();
    expect(status).toBe(1);
    expect(stdout).toContain(
      '✗ CNI3021 FORWARD policy DROP, nothing accepts 10.93.0.0/24 of network web ' +
        "(nft ip filter FORWARD, Docker's) → add the firewall plugin to network web, or: " +
        'iptables -I DOCKER-USER -s 10.93.0.0/24 -j ACCEPT; iptables -I DOCKER-USER -d 10.93.0.0/24 -j ACCEPT\n',
    );
    lab.sh(
      'iptables -I DOCKER-USER -s 10.93.0.0/24 -j ACCEPT; iptables -I DOCKER-USER -d 10.93.0.0/24 -j ACCEPT',
    );
    expect((await net.doctor()).stdout).toContain('✓ forwarding rules: 1 subnet accepted\n');
  });

  withIt('a namespace that was deleted under a container is named (issue 14, 4)', async () => {
    const net = network('web', 94, { path, backend });
    const netns = await net.add('a', 8094);
    lab.sh(`umount ${netns}; rm ${netns}`);
    const { status, stdout } = await net.doctor();
    expect(status).toBe(1);
    expect(stdout).toMatch(
      new RegExp(
        `✗ CNI4020 ${containerIdOf(netns)}/eth0 of web: its namespace is gone since .*: ${netns} → cnitool gc web --stale\n`,
      ),
    );
    expect(stdout).toContain(
      '✗ CNI2020 web: 1 address reserved for nobody who lives: 10.94.0.2 → cnitool gc web --stale\n',
    );
  });

  withIt(
    'what a container lost is named: a link that is down, an address, a port of the bridge',
    async () => {
      const net = network('lost', 95, { path, backend });
      const [a, b, c] = [await net.add('a'), await net.add('b'), await net.add('c')];
      lab.inside(a, 'ip address flush dev eth0');
      lab.inside(b, 'ip link set eth0 down');
      const [end = ''] = lab.sh('ip -br link show master br95 | tail -1').split('@');
      lab.sh(`ip link set ${end} nomaster`);
      const { status, stdout } = await net.doctor();
      expect(status).toBe(1);
      expect(stdout).toContain(
        `✗ CNI3005 address 10.95.0.2/24 is not on eth0 of ${containerIdOf(a)} → cnitool repair --plan\n`,
      );
      expect(stdout).toContain(
        `✗ CNI3005 interface eth0 of ${containerIdOf(b)} is down → cnitool repair --plan\n`,
      );
      expect(stdout).toMatch(/✗ CNI3005 link veth\w+, the host's end of cnitool-\w+, is in no bridge/);
      expect(c).toBeTruthy();
      const one = await net.doctor(containerIdOf(b).slice(0, 16));
      expect(one.stdout).toContain(containerIdOf(b));
      expect(one.stdout).not.toContain(containerIdOf(a));
    },
  );
});

test.skipIf(!existsSync(go))('a port that another container answers is named (issue 14, 3)', async () => {
  const net = network('web', 96, { path: go, backend: 'iptables' });
  const stale = await net.add('stale', 8096);
  lab.sh(`umount ${stale}; rm ${stale}`);
  const fresh = await net.add('fresh', 8096);
  const { status, stdout } = await net.doctor();
  expect(status).toBe(1);
  expect(stdout).toMatch(
    new RegExp(
      `✗ CNI3004 port 8096/tcp is answered by 10\\.96\\.0\\.2:80, which is ${containerIdOf(stale)}/eth0 of web, whose namespace is gone: .* comes before the rule of ${containerIdOf(fresh)}/eth0 of web → cnitool gc web --stale\n`,
    ),
  );
});

test('settings of the kernel that keep packets away are named', async () => {
  const net = network('web', 97);
  const netns = await net.add('a');
  const other = network('second', 98, { ipam: { routes: [] } });
  const added = await lab.cnitool(['add', 'second', netns, '-i', 'eth1'], other.env);
  expect(added.status, added.stderr).toBe(0);
  lab.sh('echo 0 > /proc/sys/net/ipv4/ip_forward');
  lab.inside(netns, 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter');
  const { stdout } = await net.doctor();
  expect(stdout).toContain(
    '✗ CNI3028 net.ipv4.ip_forward is 0: containers reach nothing beyond this host → sysctl -w net.ipv4.ip_forward=1, and in /etc/sysctl.d\n',
  );
  expect(stdout).toMatch(/✗ CNI3010 cnitool-\w+ has 2 interfaces, and rp_filter is strict on eth0, eth1: /);
});

test('containers of one bridge that the rules keep apart are named, and a range that is nearly used up', async () => {
  const net = network('web', 104, { ipam: { subnet: '10.104.0.0/28' } });
  for (let i = 0; i < 12; i++) await net.add(`a${i}`);
  lab.sh('iptables -P FORWARD DROP; iptables -A FORWARD ! -o br104 -j ACCEPT');
  const hasBridgeNf = existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables');
  if (hasBridgeNf) lab.sh('echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables');
  const { stdout } = await net.doctor();
  expect(stdout).toContain(
    '✗ CNI4017 web: 10.104.0.0/28 is nearly used up: 12 of 13 addresses, 12 of them by who lives → cnitool ipam show web\n',
  );
  if (!hasBridgeNf) return;
  expect(stdout).toContain(
    '✗ CNI3011 containers on br104 do not reach each other: bridge-nf-call-iptables is 1, and FORWARD drops what goes from it to itself → iptables -I FORWARD -i br104 -o br104 -j ACCEPT\n',
  );
  lab.sh('iptables -I FORWARD -i br104 -o br104 -j ACCEPT');
  expect((await net.doctor()).stdout).toContain('✓ bridged packets: 1 bridge\n');
});

test('two containers with one address are named', async () => {
  const net = network('one', 105);
  const a = await net.add('a');
  const other = network('two', 106, {
    ipam: { subnet: '10.105.0.0/24', dataDir: join(lab.state, 'others') },
  });
  const b = await other.add('b');
  expect((await net.doctor()).stdout).toMatch(
    new RegExp(
      `✗ CNI3014 10\\.105\\.0\\.2 is of (${containerIdOf(a)}/eth0 of one and ${containerIdOf(b)}/eth0 of two|${containerIdOf(b)}/eth0 of two and ${containerIdOf(a)}/eth0 of one) → `,
    ),
  );
});

test("with cron's PATH iptables is found as well: no false alarm, and repair makes nothing twice", async () => {
  const net = network('cron', 97, { backend: 'iptables', firewall: true });
  await net.add('a', 8097);
  const before = lab.sh('nft -s list ruleset');
  for (const verb of ['doctor', 'repair']) {
    const { status, stdout } = await net.cnitool([verb], { PATH: '/usr/bin:/bin' });
    expect([status, stdout]).toEqual([
      0,
      expect.stringContaining(verb === 'doctor' ? '✓ checks: 1 attachment\n' : '1 attachment: 1 fine'),
    ]);
  }
  expect(lab.sh('nft -s list ruleset')).toBe(before);
});

test('plugins that are missing are not counted as there', async () => {
  const net = network('bare', 99);
  const nowhere = { CNI_PATH: join(lab.dir, 'nowhere') };
  const { status, stdout } = await net.cnitool(['doctor'], nowhere);
  expect(stdout).toContain('there is no plugin "bridge" in the folders of CNI_PATH');
  expect(stdout).not.toContain('✓ plugins');
  expect(status).toBe(1);
});

test('a full range is told in one sentence', async () => {
  const net = network('full', 98, { ipam: { subnet: '10.98.0.0/30' } });
  await net.add('a');
  expect((await net.doctor()).stdout).toContain('✗ CNI2026 full: 10.98.0.0/30 is full: 1 of 1 addresses');
});

test('a disk that is nearly full is named', async () => {
  const net = network('web', 107);
  await net.add('a');
  const cache = join(lab.state, 'cache');
  const told = lab.sh(`unshare -m --propagation private bash -c '
    mount -t tmpfs -o size=256k,nr_inodes=40 t ${cache}
    head -c 250000 /dev/zero > ${cache}/zeros; for i in $(seq 38); do touch ${cache}/$i; done
    export NETCONFPATH=${folder} CNI_CACHE_DIR=${cache} CNI_PATH=${ours}
    ${ours}/cnitool doctor || true'`);
  expect(told).toMatch(
    /✗ CNI4012 the disk of \S+\/cache is nearly full: 0 MiB of 1 are left → make room: df -h /,
  );
  expect(told).toMatch(/✗ CNI4012 the disk of \S+\/cache is nearly full: \d of 40 inodes are left → /);
});

test('a folder for the state that cannot be written is named, also to root', async () => {
  const net = network('web', 108);
  await net.add('a');
  const told = lab.sh(`unshare -m --propagation private bash -c '
    mount -t tmpfs -o ro t ${lab.networks}
    export NETCONFPATH=${folder} CNI_CACHE_DIR=${join(lab.state, 'cache')} CNI_PATH=${ours}
    ${ours}/cnitool doctor || true'`);
  expect(told).toContain(`✗ CNI4018 ${lab.networks} cannot be written: `);
});

test('a plugin that is missing is named in its cure, and not told again as what CHECK says', async () => {
  const path = lab.pluginsFrom('few', { bridge: ours, 'host-local': ours, portmap: ours });
  const net = network('web', 109, { path });
  const netns = await net.add('a');
  lab.sh(`rm ${path}/portmap ${join(folder, 'web.conflist')}`);
  const { status, stdout } = await net.cnitool(['doctor', netns]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/✗ CNI4001 portmap, .* → install portmap again, .*"cnitool install portmap"/);
  expect(stdout).not.toContain('CNI3005');
  expect(stdout).toContain('? checks: 1 attachment whose plugins are missing');
});

test('list ends with 1 for a plugin that is missing, and for an entry of the cache that is damaged', async () => {
  const net = network('web', 110);
  await net.add('a');
  expect((await net.cnitool(['list'])).status).toBe(0);
  expect((await net.cnitool(['list'], { CNI_PATH: join(lab.dir, 'nowhere') })).status).toBe(1);
  writeFileSync(join(lab.state, 'cache/results/web-x-eth0'), '{');
  const { status, stdout } = await net.cnitool(['list']);
  expect(status).toBe(1);
  expect(stdout).toContain(`✗ ${lab.state}/cache/results/web-x-eth0 cannot be read as an attachment`);
});

test('a CNI_LOG that cannot be written is said once for a chain', async () => {
  const net = network('web', 111);
  const path = lab.container('a');
  const { status, stderr } = await net.cnitool(['add', 'web', path], { CNI_LOG: '/nowhere/log' });
  expect(status).toBe(0);
  expect(stderr.match(/the log of CNI_LOG is not written/g)).toHaveLength(1);
});

test('plugins of different releases are named', async () => {
  const path = lab.pluginsFrom('mixed', { bridge: ours, 'host-local': ours, portmap: ours });
  const old =
    'CNI portmap plugin v1.1.1\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0';
  lab.sh(`rm ${path}/portmap`);
  const program = `#!/bin/bash\n[ "$CNI_COMMAND" ] && exec ${ours}/portmap\necho '${old}' >&2\n`;
  writeFileSync(join(path, 'portmap'), program, { mode: 0o755 });
  const net = network('web', 103, { path });
  await net.add('a');
  expect((await net.doctor()).stdout).toMatch(
    /✗ CNI4014 plugins are of different releases: v\S+ \(CNI 1.1.0\): bridge, host-local; v1.1.1 \(CNI 1.0.0\): portmap → install all/,
  );
});

test('files that are broken, missing or in the way are named', async () => {
  const net = network('web', 99);
  const netns = await net.add('a');
  writeFileSync(join(folder, 'bad.conflist'), '{"name": "bad",\n}');
  writeFileSync(join(lab.state, 'cache/results/web-x-eth0'), '{');
  network('lease', 100, { ipam: { type: 'dhcp', daemonSocketPath: '/no/such.sock' } });
  lab.sh(`ip link add left type dummy 2>/dev/null || ip link add left type veth peer name left2
    ip link set left alias "cni:1 net=web id=gone if=eth0 plugin=bridge"`);
  lab.sh(`rm ${join(folder, 'web.conflist')}`);
  const { status, stdout } = await net.doctor();
  expect(status).toBe(1);
  expect(stdout).toContain(
    '✗ CNI1001 bad.conflist:2: expected a member\'s name in double quotes, found "}" → cnitool validate',
  );
  expect(stdout).toContain(
    `✗ CNI4011 ${lab.state}/cache/results/web-x-eth0 cannot be read as an attachment → `,
  );
  expect(stdout).toContain(`✗ CNI4015 network web has no configuration in ${folder} any more → `);
  expect(stdout).toContain('✗ CNI4013 the dhcp daemon does not answer at /no/such.sock: ');
  expect(stdout).toContain(
    '✗ CNI3013 link left is of gone of web, of which nothing is remembered → cnitool gc web --stale\n',
  );
  expect(netns).toBeTruthy();
});

test('a plugin that never answers is not waited for: the others are looked at, and it is named', async () => {
  const path = lab.pluginsFrom('hanging', { bridge: ours, 'host-local': ours });
  const hanging = join(path, 'portmap');
  writeFileSync(hanging, `#!/bin/bash\n[ "$CNI_COMMAND" = ADD ] && exec ${ours}/portmap\nexec sleep 600\n`, {
    mode: 0o755,
  });
  const net = network('web', 101, { path });
  await net.add('a', 8101);
  const began = Date.now();
  const { status, stdout } = await net.doctor();
  expect(Date.now() - began).toBeLessThan(28_000);
  expect(status).toBe(1);
  expect(stdout).toMatch(/✗ CNI4003 web.conflist:\d+ .*: plugin portmap does not answer: .*killed/);
  expect(stdout).toMatch(
    /✗ CNI3005 cnitool-\w+\/eth0 of web: CHECK: .*killed \(a plugin did not answer in time\)/,
  );
});

test('how it is called: an unknown container is told with 3, too many words with 2', async () => {
  const net = network('web', 102);
  await net.add('a');
  expect(await net.doctor('nobody')).toMatchObject({
    status: 3,
    stdout: '',
    stderr: `Error: ${lab.state}/cache remembers no container nobody\n`,
  });
  expect((await net.doctor('a', 'b')).status).toBe(2);
});
