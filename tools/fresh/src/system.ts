/** A fresh system: a folder with a release of Debian as small as it comes, Node 20 and npm 11. Made once and kept, then
 *  copied for each run. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { Failure } from '@cni-ts/setup/command-line';
import { during } from '@cni-ts/setup/progress';
import { execa } from 'execa';
import { keyring, sourcesFor, sourcesText } from './archive.ts';
import { acquireSettings, codename } from './handed-over.ts';

export const releases = ['bookworm', 'trixie'] as const;
export type Release = (typeof releases)[number];

/** Which Node and npm a fresh system has. Both come from npm's registry, whatever the machine has itself: the registry
 *  has Node's own builds, while of Debian's releases one has 18 and the other 20. */
const fromRegistry = ['npm@11', `node-linux-${process.arch}@20`];

/** Counts up when what is made below changes. */
const edition = 1;

const folder = join(workspaceRoot, '.cache/fresh');

/** Mounts and processes that end with `unshare`, which ends with its parent. */
export const ownNamespaces = [
  ...['setpriv', '--pdeathsig', 'KILL', '--'],
  ...['unshare', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private', '--'],
];

/** The folder of a release as it comes, made now if it is not there yet. */
export async function base(release: Release, say: (line: string) => void): Promise<string> {
  const made = join(folder, `${release}-${edition}`);
  if (existsSync(made)) return made;
  say(`making a file system of ${release} with debootstrap (kept in .cache/fresh)`);
  const sources = sourcesFor(release, codename());
  const archive = sources.find(({ suites }) => suites.includes(release))?.uri ?? '';
  const fresh = newFolder(release);
  const script = ['--variant=minbase', `--keyring=${keyring}`, release, fresh, archive];
  const { stdout: dump } = await execa('apt-config', ['dump', 'Acquire']);
  await step('debootstrap', [...ownNamespaces, 'debootstrap', ...script], proxies(dump), say);
  writeFileSync(join(fresh, 'etc/apt/sources.list.d/debian.sources'), sourcesText(sources));
  rmSync(join(fresh, 'etc/apt/sources.list'), { force: true });
  say('Node 20 and npm 11 from npm’s registry');
  const npm = ['install', '--global', '--prefix', join(fresh, 'usr/local'), '--ignore-scripts', '--no-audit'];
  await step('npm install', ['npm', ...npm, ...fromRegistry], {}, say);
  renameSync(fresh, made);
  return made;
}

/** A copy of the release for one run. */
export async function freshCopy(release: Release, say: (line: string) => void): Promise<string> {
  const from = await base(release, say);
  const root = newFolder('run');
  await execa('cp', ['-a', '--reflink=auto', `${from}/.`, root]);
  return root;
}

/** debootstrap does not read apt's settings. */
function proxies(dump: string): Record<string, string> {
  const proxy = (scheme: string) =>
    new RegExp(`^Acquire::${scheme}::Proxy "([^"]+)";$`, 'm').exec(acquireSettings(dump))?.[1];
  const [http, https] = [proxy('http'), proxy('https')];
  return { ...(http && { http_proxy: http }), ...(https && { https_proxy: https }) };
}

/** A new folder of this process; those of processes that are no more are removed. */
function newFolder(what: string): string {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    const pid = /^\.[a-z]+-(\d+)$/.exec(name)?.[1];
    if (pid && !existsSync(`/proc/${pid}`)) remove(join(folder, name));
  }
  const path = join(folder, `.${what}-${process.pid}`);
  remove(path);
  mkdirSync(path);
  return path;
}

/** Removes what this process has begun and not finished. */
export function removeOwn(): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (name.startsWith('.') && name.endsWith(`-${process.pid}`)) remove(join(folder, name));
  }
}

/** Removes a system. Nothing is mounted in it any more: all mounts were in namespaces that have ended. */
function remove(root: string): void {
  if (!resolve(root).startsWith(`${folder}/`)) throw new Error(`${root} is not below ${folder}`);
  rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** Runs a program whose output is of interest only when it fails. */
async function step(
  what: string,
  [program = '', ...args]: readonly string[],
  env: Record<string, string>,
  say: (line: string) => void,
): Promise<void> {
  const work = execa(program, args, { env, all: true, reject: false, stdin: 'ignore' });
  const { all, failed } = await during(what, work, say);
  if (failed) throw new Failure(`${what} failed:\n${all}`);
}
