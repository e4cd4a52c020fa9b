/** `cnitool explain`: from any object to whose it is, for attachments of ours and of the Go plugins. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { explainSchema } from '@cni-ts/cli/node-report-schemas';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { containerIdOf, Lab, ours, theirs } from './lab.ts';

const debian = '/opt/peers/usr/lib/cni';
/** The newest of the Go plugins there are. */
const go = process.env.CNI_GO_PLUGINS ?? (existsSync(debian) ? debian : theirs);

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab.close());

/** A network with a line for each member of its file, and one container on it. */
async function attached(name: string, net: number, path: string, backend: 'nftables' | 'iptables') {
  const folder = lab.network(name, []);
  const plugins = [
    {
      type: 'bridge',
      bridge: `br${net}`,
      isDefaultGateway: true,
      ipMasq: true,
      // Debian 12's Go plugins know only iptables.
      ...(backend === 'nftables' && { ipMasqBackend: backend }),
      ipam: { type: 'host-local', subnet: `10.${net}.0.0/24`, dataDir: lab.networks },
    },
    { type: 'portmap', backend, capabilities: { portMappings: true } },
    { type: 'firewall', backend: 'iptables' },
    { type: 'bandwidth', ingressRate: 8_000_000, ingressBurst: 400_000 },
  ];
  const file = join(folder, '10.conflist');
  writeFileSync(file, JSON.stringify({ cniVersion: '1.0.0', name, plugins }, undefined, 2));
  const lines = readFileSync(file, 'utf8').split('\n');
  const hostPort = 8000 + net;
  const env = {
    NETCONFPATH: folder,
    CNI_PATH: path,
    CAP_ARGS: JSON.stringify({ portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' }] }),
  };
  const netns = lab.container(name);
  const added = await lab.cnitool(['add', name, netns], env);
  expect(added.status, added.stderr).toBe(0);
  return {
    netns,
    id: containerIdOf(netns),
    hostPort,
    address: `10.${net}.0.2`,
    folder,
    env,
    /** `portmap (10.conflist:18)` */
    place: (type: string) =>
      `${type} (10.conflist:${lines.findIndex((line) => line.includes(`"type": "${type}"`)) + 1})`,
    explain: (...words: string[]) => lab.cnitool(['explain', ...words], env),
  };
}

describe.each([
  ['ours', ours, 'nftables', 71],
  ['ours', ours, 'iptables', 72],
  ['the Go plugins', go, 'nftables', 73],
  ['the Go plugins', go, 'iptables', 74],
] as const)('explain knows what %s made (%s, %s)', (_who, path, backend, net) => {
  const cannot = !existsSync(path) || (path === theirs && backend === 'nftables');

  test.skipIf(cannot)('every object leads to container, network, plugin and line', async () => {
    const name = `net${net}`;
    const one = await attached(name, net, path, backend);
    const owner = `container ${one.id}, interface eth0, network ${name}, added `;
    const says = async (words: string[], ...expected: string[]) => {
      const { status, stdout, stderr } = await one.explain(...words);
      expect(stderr, words.join(' ')).toBe('');
      for (const text of expected) expect(stdout, words.join(' ')).toContain(text);
      expect(status, stdout).toBe(0);
    };
    const bridge = `made by ${one.place('bridge')}`;
    const portmap = `made by ${one.place('portmap')}`;
    for (const id of [one.id, one.id.slice(0, 14)]) {
      await says(
        [id],
        `container ${one.id}: eth0 on ${name}\n`,
        owner,
        `plugins ${one.place('bridge')}, ${one.place('portmap')}, ${one.place('firewall')}, `,
        `has ${one.address}/24\n`,
        `, port of br${net}\n`,
        'limited to 8000000 bit/s towards the container, on veth',
        `route default by 10.${net}.0.1\n`,
        `host port ${one.hostPort}/tcp → ${one.address}:80\n`,
        'rules in nft ip filter CNI-FORWARD\n',
        `reservation ${lab.networks}/${name}/${one.address}\n`,
        `namespace ${one.netns} lives\n`,
      );
    }
    const port = [`host port ${one.hostPort}/tcp → ${one.address}:80\n`, portmap, owner];
    for (const word of [`${one.hostPort}`, `${one.hostPort}/tcp`, `:${one.hostPort}`]) {
      await says([word], ...port);
    }
    await says(
      [one.address],
      owner,
      `given by ${one.place('host-local')}`,
      'host port',
      `reserved for ${one.id}/eth0 since`,
    );
    await says([`br${net}`], bridge, owner, 'its ports: veth');
    const [veth = ''] = lab.sh(`ip -br link show master br${net}`).split('@');
    await says([veth], bridge, owner, `port of br${net}`);
    await says([`${one.id}/eth0`], bridge, owner, `host's end ${veth}`);
    await says([`${lab.networks}/${name}/${one.address}`], `of network ${name} for ${one.id}/eth0\n`, owner);
    await says([join(one.folder, '10.conflist')], `plugin ${one.place('firewall')}\n`, owner);
    await says([name], `plugin ${one.place('portmap')}\n`, owner);
    await says([one.netns], `namespace ${one.netns} lives\n`, owner);
    const [entry = ''] = readdirSync(join(lab.state, 'cache/results')).filter((file) =>
      file.includes(one.id),
    );
    await says([join(lab.state, 'cache/results', entry)], owner);
    const own = /dnat-[0-9a-f]{16}|CNI-(?:DN-)?[0-9a-f]{10,}/g;
    const chains = [...new Set(lab.sh('nft list ruleset').match(own))];
    for (const chain of chains) {
      const { stdout } = await one.explain(chain);
      if (stdout.includes(`network ${name},`)) await says([chain], owner);
      else expect(stdout).toContain(', network net'); // of the other's, which is remembered as well
    }
    const rule = /nft ([a-z0-9 _-]+) (\S+) handle (\d+)/i.exec((await one.explain(`${one.hostPort}`)).stdout);
    const [, table = '', chain = '', handle = ''] = rule ?? [];
    await says(
      ['nft', ...table.split(' '), chain, 'handle', handle],
      'made by',
      owner,
      `dport ${one.hostPort}`,
    );
    await says(['nft', 'ip', 'filter', 'CNI-FORWARD'], 'made by firewall', 'shared by all attachments');
    if (backend === 'iptables') await says(['mark', '0x2000'], 'used by portmap', 'asked by', 'set by');
    const { json } = await one.explain(`${one.hostPort}/tcp`, '--json');
    expect(z.parse(explainSchema(), json)).toMatchObject({
      kind: 'host port',
      attachments: [{ network: name, containerId: one.id, ifname: 'eth0', lives: true }],
      findings: [],
    });
  });

  test.skipIf(cannot)(
    'a port whose container was deleted under it has a cause and a cure (issue 14, 4)',
    async () => {
      const name = `net${net}gone`;
      const one = await attached(name, net + 100, path, backend);
      lab.sh(`umount ${one.netns}; rm ${one.netns}`);
      const { status, stdout } = await one.explain(`${one.hostPort}/tcp`);
      expect(status).toBe(1);
      expect(stdout).toContain(
        `host port ${one.hostPort}/tcp → ${one.address}:80\n  made by ${one.place('portmap')}`,
      );
      expect(stdout).toMatch(
        new RegExp(
          `✗ its namespace is gone since (\\d{4}-\\d\\d-\\d\\d )?\\d\\d:\\d\\d: ${one.netns} \\(CNI4020\\)\n`,
        ),
      );
      expect(stdout).toContain(`  cure: cnitool gc ${name} --stale\n`);
      for (const word of [one.id, one.address, one.netns, `${lab.networks}/${name}/${one.address}`]) {
        const told = await one.explain(word);
        expect([word, told.status, told.stdout]).toEqual([word, 1, expect.stringContaining('(CNI4020)')]);
      }
    },
  );
});

test.skipIf(!existsSync(go))(
  'a port that answers from the wrong container names whose rule comes first (issue 14, 3)',
  async () => {
    const stale = await attached('stale', 81, go, 'iptables');
    lab.sh(`umount ${stale.netns}; rm ${stale.netns}`);
    const netns = lab.container('fresh');
    const env = { ...stale.env, CNI_PATH: go };
    const added = await lab.cnitool(['add', 'stale', netns], env);
    expect(added.status, added.stderr).toBe(0);
    const { status, stdout } = await lab.cnitool(['explain', `${stale.hostPort}`], env);
    expect(status).toBe(1);
    expect(stdout).toContain(`host port ${stale.hostPort}/tcp → ${stale.address}:80\n`);
    expect(stdout).toContain('never reached: 10.81.0.3:80 by nft ip nat CNI-DN-');
    expect(stdout).toContain(
      `✗ port ${stale.hostPort}/tcp is answered by ${stale.address}:80, which is ${stale.id}/eth0 of stale, whose namespace is gone: `,
    );
    expect(stdout).toContain(`comes before the rule of ${containerIdOf(netns)}/eth0 of stale (CNI3004)\n`);
    expect(stdout).toContain('  cure: cnitool gc stale --stale\n');
  },
);

test("a rule of nobody's that takes a port is told with the command that removes it", async () => {
  const one = await attached('mine', 82, ours, 'nftables');
  lab.sh(`nft 'add table ip other; add chain ip other pre { type nat hook prerouting priority -150; }
    add rule ip other pre tcp dport ${one.hostPort} dnat to 192.0.2.9:99'`);
  const { status, stdout } = await one.explain(`${one.hostPort}`);
  expect(status).toBe(1);
  expect(stdout).toContain(`→ 192.0.2.9:99\n  made by somebody else: nft ip other pre handle `);
  expect(stdout).toMatch(
    /which is nobody that is remembered: .*\(CNI3004\)\n {2}cure: nft delete rule ip other pre handle \d+\n/,
  );
  lab.sh('nft delete table ip other');
});

test.each([
  ['ours', ours, 'nftables', 86],
  ['the Go plugins', go, 'iptables', 87],
] as const)(
  'without what is remembered a port of %s tells what its rules say, and what cannot be known',
  async (...given) => {
    const [, path, backend, net] = given;
    if (!existsSync(path)) return;
    const one = await attached(`lost${net}`, net, path, backend);
    const env = { ...one.env, CNI_CACHE_DIR: join(lab.dir, 'nothing') };
    const { status, stdout } = await lab.cnitool(['explain', `${one.hostPort}`], env);
    expect(stdout).toContain(
      `host port ${one.hostPort}/tcp → ${one.address}:80\n  made by ${one.place('portmap')}: nft `,
    );
    const ifname = backend === 'iptables' ? '' : 'interface eth0, ';
    expect(stdout).toContain(`it says of itself: container ${one.id}, ${ifname}network lost${net}\n`);
    expect(stdout).toContain(`? no attachment that is remembered in ${lab.dir}/nothing has ${one.address}\n`);
    expect(status).toBe(0);
    const all = await lab.cnitool(['doctor'], env);
    expect(all.stdout).toContain(
      `✓ attachments: none is remembered: there is no ${lab.dir}/nothing/results; `,
    );
  },
);

test('a pod and a hardware address lead to the container as well', async () => {
  const folder = lab.network('pods', [
    { type: 'ptp', ipam: { type: 'host-local', subnet: '10.88.0.0/24', dataDir: lab.networks } },
  ]);
  const env = { NETCONFPATH: folder, CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1' };
  const netns = lab.container('pods');
  expect((await lab.cnitool(['add', 'pods', netns], env)).stderr).toBe('');
  const owner = `container ${containerIdOf(netns)} (pod shop/web-1), interface eth0, network pods, `;
  const [, mac = ''] = / link\/ether (\S+)/.exec(lab.inside(netns, 'ip link show eth0').stdout) ?? [];
  for (const word of ['shop/web-1', mac, `${containerIdOf(netns)}/eth0`]) {
    expect((await lab.cnitool(['explain', word], env)).stdout, word).toContain(owner);
  }
  expect((await lab.cnitool(['doctor', 'shop/web-1'], env)).stdout).toContain(
    '✓ attachments: 1 attachment\n',
  );
});

test('who may not look is told so', async () => {
  const tool = join(ours, 'cnitool');
  lab.sh(`cp ${tool} ${lab.dir}/cnitool; chmod 755 ${lab.dir}; chmod 700 ${lab.state}`);
  const run = `setpriv --reuid 65534 --regid 65534 --clear-groups env CNI_CACHE_DIR=${lab.state}/cache ${lab.dir}/cnitool`;
  for (const command of [
    'doctor',
    'list',
    'ipam show',
    'repair --plan',
    'gc --stale',
    'explain 1',
    'trace a --to 192.0.2.1',
  ]) {
    const told = lab.sh(`${run} ${command} 2>&1 || echo "status $?"`);
    expect(told, command).toMatch(
      /^Error: what is remembered cannot be read, run it as root: .*\nstatus 3\n$/,
    );
  }
  const folder = lab.network('planned', [{ type: 'loopback' }]);
  const planned = lab.sh(
    `chmod 711 ${lab.state}; chmod 755 ${folder}; chmod 644 ${folder}/*; NETCONFPATH=${folder} ${run} plan planned 2>&1 || echo "status $?"`,
  );
  expect(planned).toMatch(
    /^Error: a plan needs a network namespace to try in, run it as root: .*\nstatus 3\n$/,
  );
});

test('what nobody knows is said, with exit status 3; a beginning of several is no answer', async () => {
  const one = await attached('some', 83, ours, 'nftables');
  expect(await one.explain('no-such-thing')).toMatchObject({
    status: 3,
    stdout: '',
    stderr: expect.stringMatching(
      /^Error: no-such-thing is no container, address, .* remembers \d+ attachments\n$/,
    ),
  });
  expect(await one.explain('')).toMatchObject({
    status: 3,
    stderr: expect.stringMatching(/^Error: an empty word is no container, /),
  });
  expect(await lab.cnitool(['trace', '', '--to', '192.0.2.1'])).toMatchObject({
    status: 3,
    stderr: 'Error: an empty word is no container, and no network namespace\n',
  });
  expect(await one.explain('9/udp')).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('no rule of this node redirects port 9/udp'),
  });
  expect(await one.explain('cnitool-')).toMatchObject({
    status: 3,
    stderr: expect.stringMatching(/cnitool- is the beginning of \d+ containers: cnitool-/),
  });
});

/** Whether this kernel has the older kind of iptables. */
function hasLegacy(): boolean {
  const { status } = spawnSync('unshare', ['-n', 'iptables-legacy', '-t', 'nat', '-S']);
  return status === 0;
}

test.skipIf(!hasLegacy())('rules of the older kind of iptables are read as well', async () => {
  const one = await attached('older', 84, ours, 'nftables');
  lab.sh(`iptables-legacy -t nat -N WEB; iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j WEB
    iptables-legacy -t nat -A WEB -p tcp -m tcp --dport 9000 -j DNAT --to-destination ${one.address}:80`);
  const { stdout } = await one.explain('9000');
  expect(stdout).toContain(
    `host port 9000/tcp → ${one.address}:80\n  made by somebody else: iptables nat WEB: `,
  );
  expect(stdout).toContain(`container ${one.id}, interface eth0, network older`);
  expect((await one.explain('WEB')).stdout).toContain('reached from iptables nat PREROUTING\n');
});

test('of a hundred containers one is explained, and all are looked at, in seconds', async () => {
  const folder = lab.network('many', [
    {
      type: 'ptp',
      ipMasq: true,
      ipMasqBackend: 'nftables',
      ipam: { type: 'host-local', subnet: '10.85.0.0/24', dataDir: lab.networks },
    },
    { type: 'portmap', backend: 'nftables', capabilities: { portMappings: true } },
  ]);
  const env = (port: number) => ({
    NETCONFPATH: folder,
    CAP_ARGS: JSON.stringify({ portMappings: [{ hostPort: port, containerPort: 80, protocol: 'tcp' }] }),
  });
  for (let i = 0; i < 100; i++) {
    const { status, stderr } = await lab.cnitool(['add', 'many', lab.container(`many${i}`)], env(20_000 + i));
    expect(status, stderr).toBe(0);
  }
  const began = performance.now();
  const one = await lab.cnitool(['explain', '20077'], env(0));
  expect(one.stdout).toMatch(/^host port 20077\/tcp → 10\.85\.0\.\d+:80\n {2}made by portmap /);
  const explained = performance.now();
  const all = await lab.cnitool(['doctor'], env(0));
  expect(all.stdout).toMatch(/✓ checks: 1\d\d attachments\n/);
  const examined = performance.now();
  // In 0.1 s and 1 s, on a machine that does nothing else.
  expect(explained - began).toBeLessThan(5000);
  expect(examined - explained).toBeLessThan(20_000);
});
