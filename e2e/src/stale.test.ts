/** Containers that ended without a DEL: one command tells what is left of them and what helps, and that helps. */
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { writeProgram } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerIdOf, Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const bridge = (subnet: string, more: object = {}) => ({
  type: 'bridge',
  bridge: 'br71',
  isGateway: true,
  ipMasq: true,
  ipam: { type: 'host-local', subnet, dataDir: lab.networks },
  ...more,
});

/** The command that a line of the tool ends with. */
function cureIn(text: string): string[] {
  const found = /cure: cnitool (.*)$/m.exec(text);
  return (found?.[1] ?? 'no cure').split(' ');
}

test('a full range: one command shows the cause and the cure, and the cure lets the next container in', async () => {
  const env = { NETCONFPATH: lab.network('web', [bridge('10.71.0.0/29')], '1.1.0') };
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => lab.container(name));
  for (const netns of all) expect((await lab.cnitool(['add', 'web', netns], env)).status).toBe(0);
  // The node went down: two came back.
  for (const netns of all.slice(2)) Netns.remove(netns);
  for (const last of [5, 6]) utimesSync(join(lab.networks, 'web', `10.71.0.${last}`), 1e9, 1e9);
  const next = lab.container('next');
  const refused = await lab.cnitool(['add', 'web', next], env);
  expect(refused.stderr).toContain('no IP addresses available in range set: 10.71.0.1-10.71.0.6');
  expect(refused.stderr).toContain(
    'Used are 2 live, 2 from before this boot, 1 whose network namespace is gone: 3 stale; ' +
      '"cnitool ipam show web" tells which, "cnitool gc web --stale --yes" releases them',
  );
  const { stdout, status } = await lab.cnitool(['ipam', 'show', 'web'], env);
  expect(status).toBe(1);
  expect(stdout).toContain('web 10.71.0.0/29 5 usable 5 used 2 live 2 from before boot 1 namespace gone\n');
  expect(stdout).toContain('the range is full: 3 addresses are held by attachments that are gone');
  expect(cureIn(stdout)).toEqual(['gc', 'web', '--stale', '--yes']);
  expect((await lab.cnitool(cureIn(stdout), env)).stdout).toContain(
    '3 attachments and 0 leaked reservations removed\n',
  );
  expect(lab.reservations('web').sort()).toEqual(['10.71.0.2', '10.71.0.3']);
  expect((await lab.cnitool(['add', 'web', next], env)).status).toBe(0);
  expect((await lab.cnitool(['ipam', 'show'], env)).stdout).toBe('web 10.71.0.0/29 5 usable 3 used 3 live\n');
  expect((await lab.cnitool(['check', 'web', all[0] ?? ''], env)).stderr).toBe('');
});

describe.each(
  [
    ['our plugins', ours, '1.1.0'],
    ['the Go plugins', theirs, '1.0.0'],
  ].filter(([, folder = '']) => existsSync(folder)),
)('a namespace that was deleted under a container, by %s', (_whose, folder = '', version = '') => {
  test('is found by gc --stale, and all that was made for it goes with --yes', async () => {
    const portmap = { type: 'portmap', snat: false, capabilities: { portMappings: true } };
    const env = {
      NETCONFPATH: lab.network('web', [bridge('10.71.0.0/24'), portmap], version),
      CNI_PATH: folder,
      CAP_ARGS: JSON.stringify({ portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }),
    };
    const [living, gone] = [lab.container('living'), lab.container('gone')];
    const plain = { ...env, CAP_ARGS: '' };
    expect((await lab.cnitool(['add', 'web', living], plain)).status).toBe(0);
    const before = lab.links();
    expect((await lab.cnitool(['add', 'web', gone], env)).status).toBe(0);
    Netns.remove(gone);
    const told = await lab.cnitool(['gc', '--stale'], plain);
    expect(told).toMatchObject({ status: 1, stderr: '' });
    expect(told.stdout).toContain(
      `would remove CNI4020 web ${containerIdOf(gone)}/eth0 (10.71.0.3): its namespace ${gone} is gone\n`,
    );
    expect(told.stdout).toContain('nothing was touched; cure: cnitool gc --stale --yes\n');
    expect(lab.reservations('web')).toHaveLength(2);
    expect(await lab.cnitool(cureIn(told.stdout), plain)).toMatchObject({ status: 0, stderr: '' });
    expect(lab.reservations('web')).toEqual(['10.71.0.2']);
    const rules = lab.sh('nft list ruleset; iptables-save 2>/dev/null || true');
    expect(rules).not.toContain('10.71.0.3');
    expect(rules).not.toContain('8080');
    expect(lab.links()).toEqual(before);
    expect((await lab.cnitool(['gc', '--stale'], plain)).stdout).toBe('nothing is stale\n');
    expect(lab.inside(living, 'ping -c1 -W1 10.71.0.1').status).toBe(0);
  });
});

test('gc --runtime by the executable: what crictl does not list goes, and nothing where it does not answer', async () => {
  const env = {
    NETCONFPATH: lab.network('web', [bridge('10.71.0.0/24')], '1.1.0'),
    CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_INFRA_CONTAINER_ID=x',
  };
  const pod = lab.container('pod');
  expect((await lab.cnitool(['add', 'web', pod], env)).status).toBe(0);
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(join(lab.state, 'cache/results', `web-${containerIdOf(pod)}-eth0`), hourAgo, hourAgo);
  const bin = join(lab.dir, 'bin');
  mkdirSync(bin);
  const withTool = { ...env, PATH: `${bin}:${process.env.PATH}` };
  writeProgram(join(bin, 'crictl'), '#!/bin/sh\necho "no such socket" >&2; exit 1\n');
  const refused = await lab.cnitool(['gc', '--runtime', 'crio', '--yes'], withTool);
  expect(refused).toMatchObject({ status: 3, stdout: '' });
  expect(refused.stderr).toContain('crio could not be asked which pods it has, nothing was removed: ');
  expect(lab.reservations('web')).toHaveLength(1);
  writeFileSync(join(bin, 'pods.json'), '{"items":[]}');
  writeProgram(join(bin, 'crictl'), `#!/bin/sh\ncat ${join(bin, 'pods.json')}\n`);
  const removed = await lab.cnitool(['gc', '--runtime', 'crio', '--yes'], withTool);
  expect(removed.stdout).toContain(
    `CNI4021 web ${containerIdOf(pod)}/eth0 (10.71.0.2): crio knows no such pod\n`,
  );
  expect([lab.reservations('web'), lab.inside(pod, 'ip -br link show dev eth0').status]).toEqual([[], 1]);
});
