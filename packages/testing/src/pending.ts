/**
 * Promises of the conformance suite that are not kept yet. A plugin is mended, its line here goes: an empty list is the
 * aim, and a promise that is not listed is tested.
 */

interface Pending {
  /** The plugin's type; every plugin where it is left out. */
  readonly plugin?: string;
  /** The case's title; every case where it is left out. */
  readonly case?: string;
  /** How the promise's title begins. */
  readonly promise: string;
  /** Where it is not kept: with the sources, with the executables, or both where it is left out. */
  readonly by?: 'sources' | 'executables';
}

const pending: readonly Pending[] = [];

export function isPending(
  plugin: string,
  title: string,
  promise: string,
  by = process.env.CNI_TS_EXECUTABLES === undefined ? 'sources' : 'executables',
): boolean {
  return pending.some(
    (one) =>
      (one.plugin ?? plugin) === plugin &&
      (one.case ?? title) === title &&
      (one.by ?? by) === by &&
      promise.startsWith(one.promise),
  );
}
