/** `cnitool inspect`, `completion` and `collect` of the executable, on attachments that plugins really made. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Picture } from '@cni-ts/cli/inspect/picture';
import { Netns } from '@cni-ts/libc/netns';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { containerIdOf, Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const chain = (ipam: object) => [
  { type: 'bridge', bridge: 'br71', isGateway: true, ipMasq: true, ipam },
  { type: 'portmap', capabilities: { portMappings: true } },
  { type: 'bandwidth', capabilities: { bandwidth: true } },
];

const capabilities = JSON.stringify({
  portMappings: [{ hostPort: 18080, containerPort: 80, protocol: 'tcp' }],
  bandwidth: { ingressRate: 8e6, ingressBurst: 8e6, egressRate: 4e6, egressBurst: 4e6 },
});

/** Whoever made it: ours, or the Go plugins that Debian has. */
const makers = [['ours', ours], ...(existsSync(join(theirs, 'bridge')) ? [['Go plugins', theirs]] : [])];

test.each(makers)('what %s have made is shown as it is, and what is gone as gone', async (_, path = '') => {
  lab.addWorld();
  lab.sh(`ip route add default via ${lab.outsideAddress}`);
  const ipam = { type: 'host-local', subnet: '10.71.0.0/24', dataDir: lab.networks };
  const env = { NETCONFPATH: lab.network('web', chain(ipam)), CNI_PATH: path, CNITOOL_EXEC: '1' };
  const [one, two] = [lab.container('one'), lab.container('two')];
  expect(await lab.cnitool(['add', 'web', one], { ...env, CAP_ARGS: capabilities })).toMatchObject({
    status: 0,
  });
  expect(await lab.cnitool(['add', 'web', two], env)).toMatchObject({ status: 0 });
  const shown = await lab.cnitool(['inspect', '--json'], env);
  expect(shown).toMatchObject({ status: 0, stderr: '' });
  const picture: Picture = JSON.parse(shown.stdout);
  expect(picture.uplinks).toMatchObject([{ name: 'uplink', gateways: [lab.outsideAddress] }]);
  const group = picture.groups.find(({ title }) => title === 'bridge br71');
  expect(group).toMatchObject({ masquerade: true, link: { addresses: ['10.71.0.1/24'] }, strangers: [] });
  const card = (netns: string) => group?.cards.find((each) => each.netns === netns);
  expect(card(one)).toMatchObject({
    containerId: containerIdOf(one),
    state: 'lives',
    ports: ['18080/tcp → 80'],
    interfaces: [
      {
        name: 'eth0',
        network: 'web',
        addresses: ['10.71.0.2/24'],
        hostLink: expect.stringMatching(/^veth/),
      },
    ],
    problems: [],
  });
  expect(card(one)?.limits.toContainer).toBeCloseTo(8e6, -3);
  expect(card(one)?.limits.fromContainer).toBeCloseTo(4e6, -3);
  expect(card(two)?.limits).toEqual({});
  Netns.remove(two);
  const later = await lab.cnitool(['inspect'], env);
  expect(later.status).toBe(1);
  expect(later.stdout).toContain('✗ its namespace is gone');
  expect(later.stdout).toContain('ports 18080/tcp → 80');
  for (const form of ['--svg', '--html']) {
    const drawn = await lab.cnitool(['inspect', form], env);
    expect(drawn.stdout).toContain('10.71.0.2/24');
    expect(drawn.stdout).toContain('its namespace is gone');
  }
});

test('the executable completes in bash, and collects an archive that tar can read', async () => {
  const ipam = {
    type: 'host-local',
    subnet: '10.71.0.0/24',
    dataDir: lab.networks,
    vendorToken: 'S3CRET-of-a-vendor',
  };
  const env = { NETCONFPATH: lab.network('web', [{ type: 'bridge', bridge: 'br71', ipam }]) };
  const netns = lab.container('one');
  expect(await lab.cnitool(['add', 'web', netns], env)).toMatchObject({ status: 0 });
  const file = join(lab.dir, 'report.tar.gz');
  expect(await lab.cnitool(['collect', '-o', file], env)).toMatchObject({ status: 0, stdout: `${file}\n` });
  const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' });
  for (const name of [
    'manifest.json',
    'config/10.conflist',
    'reservations/web.json',
    'host/network.json',
    'namespaces/0.json',
  ]) {
    expect(names).toContain(`/${name}\n`);
  }
  expect(execFileSync('tar', ['-xzOf', file], { encoding: 'utf8' })).not.toContain('S3CRET');
  const script = `source <(cnitool completion bash); COMP_WORDS=(cnitool del web ${netns.slice(0, -1)}); COMP_CWORD=3; _cnitool; echo "\${COMPREPLY[@]}"`;
  const cache = join(lab.state, 'cache');
  const { stdout } = spawnSync('bash', ['--norc', '-c', script], {
    encoding: 'utf8',
    env: { ...env, PATH: `${ours}:${process.env.PATH}`, CNI_CACHE_DIR: cache, HOME: lab.dir },
  });
  expect(stdout).toContain(netns);
});
