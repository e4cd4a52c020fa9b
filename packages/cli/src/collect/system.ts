/** What the system and its programs tell: versions, settings, rules. */
import { readText } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { runToEnd } from '@cni-ts/libc/program';
import { readSysctl } from '@cni-ts/libc/sysctl';
import { errorText } from '@cni-ts/spec/cni-error';
import type { VerbCall } from '../verb.ts';
import type { Bag } from './bag.ts';

/** Where the system has programs; who calls us may have another PATH. */
export function programIn(names: readonly string[]): string | undefined {
  const folders = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  const paths = names.flatMap((name) => folders.map((folder) => `${folder}/${name}`));
  return paths.find((path) => tryStat(path)?.isFile);
}

/** What one program may take, in milliseconds. */
const patience = 5000;

/** Each plugin's own answer. Returns those that gave none. */
export function versions(
  types: ReadonlySet<string>,
  { runtime }: Pick<VerbCall, 'runtime'>,
  bag: Bag,
): string[] {
  const silent: string[] = [];
  const told = [...types].sort().map((type) => {
    const path = runtime.programOf(type);
    if (path === undefined) return { type, error: 'it is in none of the folders of plugins' };
    const variables = { CNI_COMMAND: 'VERSION', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    const { status, signal, stdout, stderr } = runToEnd(
      path,
      [],
      variables,
      '{"cniVersion":"1.0.0"}',
      patience,
    );
    if (signal !== undefined) silent.push(type);
    return { type, path, status, signal, stdout: stdout.slice(0, 2000), stderr: stderr.slice(0, 2000) };
  });
  bag.json('plugins.json', { folders: runtime.path, plugins: told });
  return silent;
}

const settings = [
  'net/ipv4/ip_forward',
  'net/ipv4/conf/all/rp_filter',
  'net/ipv4/conf/default/rp_filter',
  'net/ipv4/conf/all/route_localnet',
  'net/ipv4/conf/all/arp_ignore',
  'net/ipv4/ip_local_port_range',
  'net/ipv4/neigh/default/gc_thresh3',
  'net/ipv6/conf/all/forwarding',
  'net/ipv6/conf/all/disable_ipv6',
  'net/ipv6/conf/default/accept_ra',
  'net/ipv6/conf/default/accept_dad',
  'net/bridge/bridge-nf-call-iptables',
  'net/bridge/bridge-nf-call-ip6tables',
  'net/netfilter/nf_conntrack_max',
  'net/netfilter/nf_conntrack_count',
  'kernel/ostype',
  'kernel/osrelease',
  'kernel/version',
  'kernel/hostname',
];

export function system(): Record<string, unknown> {
  const or = (read: () => string) => {
    try {
      return read().trim();
    } catch (error) {
      return `(${errorText(error)})`;
    }
  };
  return {
    sysctls: Object.fromEntries(settings.map((key) => [key, or(() => readSysctl(key))])),
    distribution: or(() => readText('/etc/os-release')),
    modules: or(() => readText('/proc/modules'))
      .split('\n')
      .map((line) => line.split(' ')[0]),
  };
}

/** Programs that show rules, and the file each fills; none of them is needed. */
export const rulers = [
  ['nft.txt', 'nft', ['list', 'ruleset']],
  ['iptables.txt', 'iptables-save', []],
  ['ip6tables.txt', 'ip6tables-save', []],
] as const;

export function rules(name: string, program: string, args: readonly string[], bag: Bag): void {
  const path = programIn([program]);
  if (path === undefined) {
    bag.leftOut(`rules by ${program}: it is not there`);
    return;
  }
  const { status, signal, stdout, stderr } = runToEnd(path, args, { LC_ALL: 'C' }, '', patience);
  bag.text(
    `host/${name}`,
    status === 0 ? stdout : `${program} ended with ${status ?? signal}\n${stderr}\n${stdout}`,
  );
}
