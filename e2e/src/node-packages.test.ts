/**
 * The packages for programs of others, as they do it: installed from their tarballs into an empty folder, without any
 * network, and every README's example there compiled against the types and run. Each in a network of its own.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { layOut, packAll, packedPackages } from '@cni-ts/release/node-packages';
import { currentRelease } from '@cni-ts/release/release-notes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ours } from './lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'cni-node-packages-'));
/** Outside of the workspace: nothing of it is found from there. */
const outside = join(folder, 'outside');
const chosen = packedPackages();
const { version } = currentRelease();

/** What each example prints. */
const printed: Record<string, RegExp> = {
  address: /^10\.1\.2\.255 is in 10\.1\.2\.0\/24: true\n10\.1\.3\.0 is: false\n$/,
  conntrack: /^1 flow to port 5353\n1 forgotten, 0 left\n$/,
  invoke: /^DEL of c1\n\/bin\/sh\n$/,
  iptables: /^INPUT: -j EXAMPLE\nEXAMPLE: -p tcp -m tcp --dport 8080 -j DROP\n$/,
  libc: /^inside it is another namespace: true\n$/,
  libcni: /^\{"ips":\[\{"address":"10\.66\.0\.2\/24","gateway":"10\.66\.0\.1"\}\]\}\n$/,
  netlink: /^1 lo 65536\n/,
  nftables: /^input: ip saddr != 192\.0\.2\.0\/24 tcp dport 8080 drop .*\(by example\)\n$/,
  rtnetlink: /^2 routes by left, a veth with an MTU of 1500\n$/,
  skeleton: /^\{.*"supportedVersions":\[.*"1\.1\.0"\].*\}\n?$/s,
  spec: /^11: no address is free\n1\.1\.0 is newer than 0\.4\.0: true\n$/,
};

let tarballs: string[];

beforeAll(async () => {
  tarballs = await packAll(await layOut(join(folder, 'staged')), join(folder, 'tarballs'));
  const foreign = await packAll(foreignFolders(), join(folder, 'foreign'));
  mkdirSync(outside);
  const dependencies = Object.fromEntries(
    [...tarballs, ...foreign].map((file) => [nameIn(file), `file:${file}`]),
  );
  writeFileSync(
    join(outside, 'package.json'),
    JSON.stringify({ type: 'module', private: true, dependencies }),
  );
  const npm = ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts'];
  execFileSync('npm', [...npm, '--cache', join(folder, 'cache')], { cwd: outside, stdio: 'pipe' });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** The folders of all packages of others that ours need, and those of these: npm would fetch them. */
function foreignFolders(): string[] {
  const found = new Set<string>();
  const add = (name: string, from: string): void => {
    let at = from;
    while (!existsSync(join(at, 'node_modules', name, 'package.json'))) at = dirname(at);
    const one = join(at, 'node_modules', name);
    if (found.has(one)) return;
    found.add(one);
    for (const next of Object.keys(manifestOf(one).dependencies ?? {})) add(next, one);
  };
  for (const { manifest } of chosen) {
    const names = Object.keys(manifest.dependencies ?? {});
    for (const name of names.filter((one) => !one.startsWith('@cni-ts/'))) add(name, workspaceRoot);
  }
  return [...found];
}

const manifestOf = (at: string) => JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'));

const inTarball = (file: string, member: string) =>
  execFileSync('tar', ['-xOf', file, `package/${member}`], { encoding: 'utf8' });

const nameIn = (file: string): string => JSON.parse(inTarball(file, 'package.json')).name;

/** The last block of TypeScript in its README: the example that can be tried. */
function exampleOf(project: string): string {
  const readme = readFileSync(join(outside, 'node_modules/@cni-ts', project, 'README.md'), 'utf8');
  return [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].at(-1)?.[1] ?? '';
}

test('each tarball has compiled JavaScript, types, a README and the licence, and no source or test', () => {
  expect(tarballs.map((file) => basename(file))).toContain(`cni-ts-rtnetlink-${version}.tgz`);
  for (const file of tarballs) {
    const members = execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');
    expect(members, file).toEqual(
      expect.arrayContaining(['README.md', 'LICENSE', 'package.json'].map((name) => `package/${name}`)),
    );
    const code = members.filter((name) => name.startsWith('package/lib/'));
    const [scripts, types] = ['.js', '.d.ts'].map((end) =>
      code.filter((name) => name.endsWith(end)).map((name) => name.slice(0, -end.length)),
    );
    expect(scripts, file).toEqual(types);
    expect(members.filter((name) => /\.test\.|(?<!\.d)\.ts$/.test(name))).toEqual([]);
    const manifest = JSON.parse(inTarball(file, 'package.json'));
    expect(manifest).toMatchObject({
      license: 'Apache-2.0',
      description: expect.stringMatching(/^[\w'].+[^.]$/),
    });
    expect(Object.keys(manifest)).not.toEqual(expect.arrayContaining(['private']));
  }
});

test('what one needs of the others it names by its version', () => {
  const manifest = manifestOf(join(outside, 'node_modules/@cni-ts/rtnetlink'));
  expect(manifest.dependencies).toMatchObject({ '@cni-ts/netlink': version, '@cni-ts/libc': version });
  expect(readdirSync(join(outside, 'node_modules/@cni-ts')).sort()).toEqual(
    chosen.map(({ project }) => project).sort(),
  );
});

describe('the examples of the READMEs', () => {
  test('are right by the types that are installed, of which every file is looked at', () => {
    for (const { project } of chosen) writeFileSync(join(outside, `${project}.ts`), exampleOf(project));
    const options = { strict: true, target: 'esnext', module: 'nodenext', noEmit: true, types: ['node'] };
    const typeRoots = [join(workspaceRoot, 'node_modules/@types')];
    const compilerOptions = { ...options, typeRoots, skipLibCheck: false };
    writeFileSync(join(outside, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    const tsc = join(workspaceRoot, 'node_modules/.bin/tsc');
    const { status, stdout } = spawnSync(tsc, ['-p', '.'], { cwd: outside, encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });

  test.each(chosen)('that of $project says what it should', ({ project }) => {
    const example = exampleOf(project);
    expect(example).not.toBe('');
    writeFileSync(join(outside, `${project}.ts`), example);
    const env = {
      PATH: process.env.PATH,
      CNI_PATH: ours,
      ...(project === 'skeleton' && { CNI_COMMAND: 'VERSION' }),
    };
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', `${project}.ts`];
    const { status, stdout, stderr } = spawnSync('unshare', ['--net', '--mount', ...node], {
      cwd: outside,
      env,
      input: '',
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toMatch(printed[project] ?? /^$/);
  });
});
