/**
 * What a finished attachment leaves for good, since all attachments share it: empty nftables tables and chains, say.
 * A failed ADD may leave that too, for deleting it would race with another attachment that is about to use it.
 */
import type { Case } from './case.ts';
import type { Snapshot } from './snapshot.ts';
import type { Stage } from './stage.ts';

/** Tables, chains and rules that are there after an attachment came and went, and were not before. */
export async function whatStays(stage: Stage): Promise<ReadonlySet<string>> {
  const before = filterState(stage.look());
  await stage.warmUp();
  return filterState(stage.look()).difference(before);
}

/** The same states without what stays, and without what the case keeps. */
export function without(
  stays: ReadonlySet<string>,
  { keeps }: Case,
  states: Readonly<Record<string, Snapshot>>,
): object {
  const stripped = (state: Snapshot) => ({
    ...omit(state, keeps?.members),
    ...(!keeps?.members.includes('nftables') && { nftables: others(state.nftables, stays) }),
    ...(!keeps?.members.includes('iptables') && { iptables: others(state.iptables, stays) }),
  });
  return Object.fromEntries(Object.entries(states).map(([place, state]) => [place, stripped(state)]));
}

export function omit(state: Snapshot, members: readonly (keyof Snapshot)[] = []): Partial<Snapshot> {
  return Object.fromEntries(
    Object.entries(state).filter(([member]) => !members.includes(member as keyof Snapshot)), // reason: its own entries
  );
}

function filterState({ nftables, iptables }: Snapshot): Set<string> {
  return new Set([...nftables, ...iptables].map((entry) => JSON.stringify(entry)));
}

function others(entries: readonly unknown[], stays: ReadonlySet<string>): unknown[] {
  return entries.filter((entry) => !stays.has(JSON.stringify(entry)));
}
