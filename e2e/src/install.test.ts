/** `cnitool install`: the program under its plugins' names, in a folder of its own. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

let lab: Lab;
let folder: string;
beforeEach(() => {
  lab = new Lab();
  folder = join(lab.dir, 'opt/cni/bin');
});
afterEach(() => lab.close());

const install = (...names: string[]) => lab.cnitool(['install', '--dir', folder, ...names]);
const original = readFileSync(join(ours, 'host-local'));
const readByte = (at: number) => original[at];
const versions = async (name: string) =>
  (await lab.plugin(join(folder, name), '', { command: 'VERSION' })).json?.supportedVersions;

test('each name is a file of its own, says that it was put in place, and answers', async () => {
  const { stdout, stderr, status } = await install();
  expect([stderr, status]).toEqual(['', 0]);
  // A file of that name may be whereabouts' own.
  const names = readdirSync(ours)
    .filter((name) => name !== 'whereabouts')
    .sort();
  expect(readdirSync(folder).sort()).toEqual(names);
  expect(stdout.trimEnd().split('\n').sort()).toEqual(names.map((name) => `installed ${folder}/${name}`));
  const files = names.map((name) => statSync(join(folder, name)));
  expect(files.map(({ nlink, mode }) => `${nlink} ${(mode & 0o7777).toString(8)}`)).toEqual(
    names.map(() => '1 755'),
  );
  for (const name of names.filter((one) => one !== 'cnitool')) expect(await versions(name)).toBeDefined();
});

test('another plugin copied over one of them changes that one only', async () => {
  await install();
  const script = join(lab.dir, 'other');
  writeFileSync(script, '#!/bin/sh\necho another\n', { mode: 0o755 });
  // By another process: a program that a test beside this one starts would have the file open for writing (ETXTBSY).
  lab.sh(`cp ${script} ${folder}/loopback`);
  expect((await lab.plugin(join(folder, 'loopback'), '', { command: 'VERSION' })).stdout).toBe('another\n');
  expect(await versions('bridge')).toBeDefined();
  expect((await install('--force', 'loopback')).stdout).toBe(
    'loopback another program → 0.1.0, kept as .cni-ts/loopback.other\n',
  );
  expect((await install('loopback')).stdout).toBe(
    `installed ${folder}/loopback (this build was there before)\n`,
  );
  expect(await versions('loopback')).toBeDefined();
});

test('a file that was installed is its plugin under any name, and installs the others from there', async () => {
  await install('bridge', 'cnitool');
  renameSync(join(folder, 'bridge'), join(folder, 'net1'));
  renameSync(join(folder, 'cnitool'), join(folder, 'admin'));
  expect(await versions('net1')).toBeDefined();
  const { json } = await lab.plugin(join(folder, 'net1'), { name: 'n', type: 'net1' }, { command: 'ADD' });
  expect(json?.msg).toBe('required env variables [CNI_NETNS] missing');
  expect(lab.sh(`${folder}/admin install --dir ${folder} tuning`)).toBe(`installed ${folder}/tuning\n`);
  expect(await versions('tuning')).toBeDefined();
});

test('a plugin in a file of its own is called in-process all the same, as delegate and by cnitool', async () => {
  await install();
  const ipam = { type: 'host-local', subnet: '10.66.0.0/24', dataDir: lab.networks };
  const config = { cniVersion: '1.0.0', name: 'apart', type: 'bridge', bridge: 'br66', ipam };
  const net = lab.network('apart', [config, { type: 'tuning' }]);
  const [one, two] = [lab.container('c1'), lab.container('c2')];
  const sealed = join(lab.dir, 'sealed');
  mkdirSync(sealed);
  // Nothing can be executed from there.
  const run = (command: string) =>
    lab.sh(`unshare -m --propagation private bash -c '
      mount --bind ${folder} ${sealed} && mount -o remount,bind,noexec ${sealed}
      export NETCONFPATH=${net} CNI_CACHE_DIR=${lab.dir}/cache CNI_PATH=${sealed}
      ${command}'`);
  expect(JSON.parse(run(`${ours}/cnitool add apart ${one}`))).toMatchObject({
    ips: [{ address: '10.66.0.2/24' }],
  });
  const env = `CNI_COMMAND=ADD CNI_CONTAINERID=c2 CNI_IFNAME=eth0 CNI_NETNS=${two}`;
  writeFileSync(join(lab.dir, 'config'), JSON.stringify(config));
  expect(JSON.parse(run(`${env} ${ours}/bridge <${lab.dir}/config`))).toMatchObject({
    ips: [{ address: '10.66.0.3/24' }],
  });
  expect(run(`${ours}/cnitool del apart ${one}`)).toBe('');
});

test('a plugin of another build is executed, though it has the name of one of ours', async () => {
  await install('host-local');
  const path = join(folder, 'host-local');
  const bytes = readFileSync(path);
  // Before the name that is written into the file is the build.
  const name = bytes.findIndex((byte, at) => byte !== readByte(at));
  bytes[name - 1] = (bytes[name - 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  lab.sh(`chmod -x ${path}`);
  const config = { cniVersion: '1.0.0', name: 'n', ipam: { type: 'host-local', subnet: '10.66.0.0/24' } };
  const call = { command: 'ADD', netns: lab.container('c'), path: folder };
  const { json } = await lab.plugin(join(ours, 'bridge'), config, call);
  expect(json?.msg).toMatch(/fork\/exec .*host-local: permission denied/);
});

test('a copy that fails leaves what was there, and nothing else', async () => {
  await install('loopback');
  lab.sh(`mkdir -p ${lab.dir}/small`);
  const told = lab.sh(`unshare -m --propagation private bash -c '
    mount -t tmpfs -o size=6m t ${lab.dir}/small && cp ${folder}/loopback ${lab.dir}/small/bridge
    ${ours}/cnitool install --dir ${lab.dir}/small bridge 2>&1; echo status $?; ls -A ${lab.dir}/small
    cmp ${folder}/loopback ${lab.dir}/small/bridge && echo same'`);
  expect(told).toMatch(
    /^Error: .*bridge could not be installed, and is as it was: write .*: no space left on device\nstatus 1\nbridge\nsame\n$/,
  );
});

test('what an install that was killed left behind goes with the next', async () => {
  mkdirSync(folder, { recursive: true });
  const [old, fresh] = ['.cnitool-install-bridge.5', '.cnitool-install-bridge.6'];
  for (const name of [old, fresh]) writeFileSync(join(folder, name), 'half');
  const yesterday = Date.now() / 1000 - 86_400;
  utimesSync(join(folder, old), yesterday, yesterday);
  await install('ptp');
  expect(readdirSync(folder).sort()).toEqual([fresh, 'ptp']);
});

test('a name that the program does not have installs nothing', async () => {
  const { status, stderr } = await install('bridge', 'calico');
  expect(status).toBe(2);
  expect(stderr).toMatch(/^Error: there is no calico in this program: it has .*bridge.*cnitool\n$/);
  expect(existsSync(folder)).toBe(false);
});

test('without CNI_PATH cnitool takes the plugins beside it', async () => {
  await install();
  const net = lab.network('beside', [{ type: 'tuning' }], '1.1.0');
  const env = `env -i NETCONFPATH=${net} PATH=${process.env.PATH}`;
  lab.sh(`ln -s ${folder}/cnitool ${lab.dir}/tool-cnitool`);
  expect(lab.sh(`${env} ${folder}/cnitool validate beside`)).toContain('plugins tuning');
  expect(lab.sh(`${env} ${lab.dir}/tool-cnitool validate beside`)).toContain('plugins tuning');
});
