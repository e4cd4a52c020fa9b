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
const pendingInOddWorlds: readonly string[] = [];

export function isPendingInOddWorlds(title: string): boolean {
  return pendingInOddWorlds.some((beginning) => title.startsWith(beginning));
}

/** The same of `npm run torture`: plugins by phase, whose failures are told and not counted. */
const pendingInTorture: Readonly<Record<string, readonly string[]>> = {};

export function isPendingInTorture(phase: string, plugin: string): boolean {
  return pendingInTorture[phase]?.includes(plugin) ?? false;
}
