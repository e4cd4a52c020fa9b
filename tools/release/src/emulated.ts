/**
 * The programs for another processor, called on this machine in Debian's qemu-user: VERSION of each plugin, and each
 * plugin's own example as a network in namespaces of its own. The emulator hands system calls to this machine's kernel,
 * and knows not all of them: what fails there for that reason is told, and not taken for a failure of the program.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOn } from '@cni-ts/bundle/executable';
import { hasSource, pluginFolders } from '@cni-ts/bundle/workspace';
import type { Built } from './programs.ts';

export interface Tried {
  readonly plugin: string;
  /** What it did as it should: VERSION, ADD, CHECK, DEL. */
  readonly did: readonly string[];
  /** The first that it did not, and the program's own words; undefined where all was done. */
  readonly failed: string | undefined;
}

/** A host with two uplinks and nothing of the machine, in the namespaces of whoever runs this. */
const host = `
mount -t tmpfs run /run && mkdir /run/netns /run/lock && mount -t tmpfs lib /var/lib || exit 1
ip link set lo up
for link in eth0 eth1; do
  ip link add $link type veth peer name far-$link && ip link set $link up && ip link set far-$link up || exit 1
done
ip netns add c1`;

/** Calls every plugin of `folder`, where installInto has put them. */
export function tryPlugins({ cpu }: Built, folder: string): Tried[] {
  return pluginFolders()
    .filter(hasSource)
    .map(({ name, folder: source }) => {
      const program = (called: string) => runOn(cpu, join(folder, called), []).flat();
      const version = run(program(name), { CNI_COMMAND: 'VERSION' });
      if (!version.stdout.includes('"supportedVersions"')) {
        return { plugin: name, did: [], failed: `VERSION: ${version.stdout}${version.stderr}` };
      }
      const example = join(
        source,
        'examples',
        globSync('*.conflist', { cwd: join(source, 'examples') })[0] ?? '',
      );
      return { plugin: name, ...asNetwork(program('cnitool'), folder, example) };
    });
}

/** ADD, CHECK and DEL of an example by cnitool, which calls the plugins within itself. */
function asNetwork(cnitool: string[], plugins: string, example: string): Omit<Tried, 'plugin'> {
  const did = ['VERSION'];
  if (!existsSync(example)) return { did, failed: 'it has no example' };
  const network = JSON.parse(readFileSync(example, 'utf8')).name;
  const verbs = ['add', 'check', 'del'];
  // Each that succeeds says its name. Without ADD there is nothing to look at, and nothing to delete.
  const calls = `for verb in ${verbs.join(' ')}; do
    if timeout --verbose 10 "$@" $verb ${network} /run/netns/c1 >/dev/null; then echo $verb
    else [ $verb != add ] || exit 1; fi
  done`;
  const script = `${host}\nexport CNI_CACHE_DIR=/run/cache\n${calls}`;
  const own = [
    'unshare',
    '--net',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    script,
    'sh',
    ...cnitool,
  ];
  const { stdout, stderr } = run(own, { NETCONFPATH: join(example, '..'), CNI_PATH: plugins });
  const done = stdout.split('\n');
  did.push(...verbs.filter((verb) => done.includes(verb)).map((verb) => verb.toUpperCase()));
  const not = verbs.find((verb) => !done.includes(verb))?.toUpperCase();
  return { did, failed: not && `${not}: ${stderr.trim().replaceAll('\n', ' ')}` };
}

function run([program = '', ...args]: string[], env: Record<string, string>) {
  const { PATH = '' } = process.env;
  const options = { encoding: 'utf8', input: '', timeout: 30_000, env: { PATH, ...env } } as const;
  const { stdout, stderr, error } = spawnSync(program, args, options);
  return { stdout: stdout ?? '', stderr: error?.message ?? stderr };
}

/** One line for each plugin. */
export function triedText(all: readonly Tried[]): string[] {
  return all.map(
    ({ plugin, did, failed }) => `  ${plugin}: ${did.join(', ')}${failed ? `; not ${failed}` : ''}`,
  );
}
