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

const pending: readonly Pending[] = [
  { promise: 'DEL with a CNI_NETNS that has become', plugins: ['bridge', 'ptp', 'macvlan', 'loopback'] },
  { promise: 'DEL with a configuration that has lost', plugins: ['bridge', 'ptp', 'macvlan', 'bandwidth'] },
  { promise: 'DEL of nothing leaves', plugins: ['bridge', 'ptp', 'macvlan', 'loopback'] },
  {
    promise: 'DEL that is told the namespace',
    plugins: ['bridge', 'ptp', 'macvlan', 'loopback', 'bandwidth', 'tuning'],
  },
  { promise: 'an ADD repeated', plugins: ['ptp'] },
  { promise: 'GC removes such', plugins: ['bridge', 'ptp'] },
  { promise: 'an ADD that fails at any', plugins: ['tuning'], by: 'executables' },
  {
    promise: 'an ADD that loses an answer',
    plugins: ['bridge', 'ptp', 'macvlan', 'bandwidth', 'portmap'],
    by: 'executables',
  },
  { promise: 'an ADD that is killed', plugins: ['bandwidth', 'tuning'], by: 'executables' },
  {
    promise: 'what an ADD that is killed',
    plugins: ['bridge', 'ptp', 'bandwidth', 'tuning'],
    by: 'executables',
  },
  {
    promise: 'a DEL that fails at any',
    plugins: ['bridge', 'ptp', 'macvlan', 'bandwidth'],
    by: 'executables',
  },
];

export function isPending(
  plugin: string,
  promise: string,
  by = process.env.CNI_TS_EXECUTABLES === undefined ? 'sources' : 'executables',
): boolean {
  return pending.some(
    (one) => one.plugins.includes(plugin) && (one.by ?? by) === by && promise.startsWith(one.promise),
  );
}
