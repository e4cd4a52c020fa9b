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
