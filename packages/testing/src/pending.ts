/**
 * Promises of the conformance suite that are not kept yet. A plugin is mended, its line here goes: an empty list is the
 * aim, and a promise that is not listed is tested.
 */

interface Pending {
  /** How the promise's title begins. */
  readonly promise: string;
  /** The plugins that do not keep it, by their types. */
  readonly plugins: readonly string[];
  /** Where they do not: with the sources, with the executables, or both where it is left out. */
  readonly by?: 'sources' | 'executables';
}

const pending: readonly Pending[] = [];

export function isPending(
  plugin: string,
  promise: string,
  by = process.env.CNI_TS_EXECUTABLES === undefined ? 'sources' : 'executables',
): boolean {
  return pending.some(
    (one) => one.plugins.includes(plugin) && (one.by ?? by) === by && promise.startsWith(one.promise),
  );
}

/** The same of e2e/src/odd-worlds.test.ts: how titles begin. */
const pendingInOddWorlds: readonly string[] = [
  'host-local does not hang at a FIFO',
  'host-local writes nothing through a link named l',
  'host-local refuses a resolvConf that is a FIFO',
  'tuning does not hang at a FIFO',
  'firewall: what ADD accepts, DEL removes',
  'a master with a NUL',
  'a resolvConf with a NUL',
  'a dataDir with a NUL',
  'bridge: an ADD that may write no file',
  'ptp: an ADD that may write no file',
  'macvlan: an ADD that may write no file',
  'host-local: an ADD that may write no file',
  'tuning: an ADD that may write no file',
  'ptp: an ADD with too few descriptors',
  "bridge: DEL with the host's own",
  "ptp: DEL with the host's own",
  "macvlan: DEL with the host's own",
  "portmap: DEL with the host's own",
  "firewall: DEL with the host's own",
  "tuning: DEL with the host's own",
  "bandwidth: DEL with the host's own",
  'tuning: an interface name that is a template',
  'bandwidth: an interface name that is a template',
  'bridge: the same container gets',
  'ptp: the same container gets',
  'macvlan: the same container gets',
  'host-local: SIGTERM ends ADD',
  'host-local: SIGTERM ends DEL',
  'bridge: SIGTERM ends an ADD whose IPAM',
  'a copy of host-local',
  'a copy with a name that says nothing',
  'cnitool gc works',
];

export function isPendingInOddWorlds(title: string): boolean {
  return pendingInOddWorlds.some((beginning) => title.startsWith(beginning));
}

/** The same of `npm run torture`: plugins by phase, whose failures are told and not counted. */
const pendingInTorture: Readonly<Record<string, readonly string[]>> = {
  killed: ['bandwidth', 'tuning'],
  mutated: ['firewall'],
};

export function isPendingInTorture(phase: string, plugin: string): boolean {
  return pendingInTorture[phase]?.includes(plugin) ?? false;
}
