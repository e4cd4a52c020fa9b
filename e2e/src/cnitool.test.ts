/** cnitool and the plugins as executables: what an operator relies on beside ADD and DEL. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { containerIdOf, copyProgram, Lab, ours } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const bridge = (more: object = {}) => ({
  type: 'bridge',
  bridge: 'br68',
  ipam: { type: 'host-local', subnet: '10.68.0.0/24', dataDir: lab.networks },
  ...more,
});
const results = () => readdirSync(join(lab.state, 'cache/results'));
const addressOf = (netns: string) => lab.inside(netns, 'ip -4 -br address show dev eth0').stdout;

test('gc removes what is gone, keeps every container that lives, and says so', async () => {
  const env = { NETCONFPATH: lab.network('net', [bridge()], '1.1.0') };
  const [living, gone] = [lab.container('living'), lab.container('gone')];
  for (const netns of [living, gone]) expect((await lab.cnitool(['add', 'net', netns], env)).status).toBe(0);
  Netns.remove(gone);
  const dry = await lab.cnitool(['gc', 'net', '/none', '--dry-run'], env);
  expect(dry.stdout).toContain(`would remove ${containerIdOf(gone)}/eth0: its namespace ${gone} is gone\n`);
  expect(lab.reservations('net')).toHaveLength(2);
  expect(await lab.cnitool(['gc', 'net', '/none'], env)).toMatchObject({
    status: 0,
    stdout: `removed ${containerIdOf(gone)}/eth0: its namespace ${gone} is gone\n`,
    stderr: '',
  });
  expect(lab.reservations('net')).toEqual(['10.68.0.2']);
  expect(addressOf(living)).toContain('10.68.0.2/24');
  expect((await lab.cnitool(['check', 'net', living], env)).stderr).toBe('');
  await lab.cnitool(['gc', 'net', '/none', '--all'], env);
  expect([lab.reservations('net'), results(), addressOf(living)]).toEqual([[], [], '']);
});

test('gc gives the address of a living container to nobody, though its entry cannot be read', async () => {
  const env = { NETCONFPATH: lab.network('net', [bridge()], '1.1.0') };
  const living = lab.container('living');
  await lab.cnitool(['add', 'net', living], env);
  const [entry = ''] = results();
  for (const damaged of [(text: string) => text.replace('containerId', 'containerIe'), () => '{']) {
    const path = join(lab.state, 'cache/results', entry);
    writeFileSync(path, damaged(readFileSync(path, 'utf8')));
    for (let again = 0; again < 2; again++) {
      expect((await lab.cnitool(['gc', 'net', '/none'], env)).status).toBe(0);
      expect(lab.reservations('net')).toEqual(['10.68.0.2']);
    }
  }
  expect((await lab.cnitool(['del', 'net', living], env)).status).toBe(0);
  expect([lab.reservations('net'), results()]).toEqual([[], []]);
});

test('the cache may lie on another file system, and where it cannot be written nothing is made', () => {
  const net = lab.network('net', [bridge()], '1.1.0');
  const netns = lab.container('c');
  const cache = join(lab.state, 'cache');
  mkdirSync(join(cache, 'results'), { recursive: true });
  const run = (options: string, command: string) =>
    lab.sh(`unshare -m --propagation private bash -c '
      mount -t tmpfs ${options} t ${cache}/results
      export NETCONFPATH=${net} CNI_CACHE_DIR=${cache} CNI_PATH=${ours}
      ${command}'`);
  const tool = `${ours}/cnitool`;
  const made = run('', `${tool} add net ${netns} && ls -A ${cache}/results && ${tool} del net ${netns}`);
  expect(made).toContain(`net-${containerIdOf(netns)}-eth0\n`);
  expect(run('-o ro', `${tool} add net ${netns} 2>&1; ip -br link | grep -c br68`)).toMatch(
    /^Error: failed to set network "net" cached result: .*read-only file system\n1\n$/,
  );
  expect([addressOf(netns), lab.reservations('net')]).toEqual(['', []]);
});

test('a namespace under another spelling of its path is the same container', async () => {
  const env = { NETCONFPATH: lab.network('net', [bridge()], '1.1.0') };
  const netns = lab.container('c');
  symlinkSync(lab.dir, `${lab.dir}-link`);
  try {
    const spelled = netns.replace(lab.dir, `${lab.dir}-link`);
    await lab.cnitool(['add', 'net', spelled], env);
    expect((await lab.cnitool(['check', 'net', netns], env)).stderr).toBe('');
    expect((await lab.cnitool(['del', 'net', netns], env)).stderr).toBe('');
    expect([addressOf(netns), lab.reservations('net'), results()]).toEqual(['', [], []]);
  } finally {
    lab.sh(`rm ${lab.dir}-link`);
  }
});

test('an add that fails in the chain leaves nothing, and with a plugin missing begins nothing', async () => {
  const netns = lab.container('c');
  const before = lab.links();
  const wrong = { type: 'tuning', sysctl: { 'net.ipv4.no_such_thing': '1' } };
  const failing = await lab.cnitool(['add', 'net', netns], {
    NETCONFPATH: lab.network('net', [bridge(), wrong]),
  });
  expect(failing).toMatchObject({ status: 1, stdout: '' });
  expect(failing.stderr).toMatch(/^Error: plugin type="tuning" failed \(add\): [^\n]*\n$/);
  expect([addressOf(netns), lab.reservations('net')]).toEqual(['', []]);
  const missing = await lab.cnitool(['add', 'net', netns], {
    NETCONFPATH: lab.network('net', [bridge({ bridge: 'br69' }), { type: 'absent' }], '1.0.0', 'missing'),
  });
  expect(missing.stderr).toMatch(/^Error: plugin type="absent" failed \(add\): failed to find plugin/);
  expect(lab.links().filter((name) => name !== 'br68')).toEqual(before);
});

test('plugins and delegates under names of their own work in a chain', async () => {
  const folder = join(lab.dir, 'plugins');
  mkdirSync(folder);
  copyProgram(join(ours, 'bridge'), join(folder, 'cnv-bridge'));
  copyProgram(join(ours, 'host-local'), join(folder, 'host-local.real'));
  symlinkSync(join(ours, 'tuning'), join(folder, 'cnv-tuning'));
  const ipam = { type: 'host-local.real', subnet: '10.68.0.0/24', dataDir: lab.networks };
  const plugins = [bridge({ type: 'cnv-bridge', ipam }), { type: 'cnv-tuning' }];
  const env = { NETCONFPATH: lab.network('net', plugins), CNI_PATH: folder };
  const netns = lab.container('c');
  expect((await lab.cnitool(['validate', 'net'], env)).stderr).toBe('');
  for (const command of ['add', 'check', 'del']) {
    expect((await lab.cnitool([command, 'net', netns], env)).stderr).toBe('');
    expect(lab.reservations('net')).toHaveLength(command === 'del' ? 0 : 1);
  }
  copyProgram(join(ours, 'bridge'), join(folder, 'weird'));
  const answer = await lab.plugin(join(folder, 'weird'), bridge(), { command: 'ADD', netns });
  expect([answer.status, answer.stderr, answer.json?.code]).toEqual([1, '', 999]);
  expect(existsSync(netns)).toBe(true);
});
