/** What etcd answers to the agent's requests, as values: the transactions with their compares, each of which can be left out.
 *  The model and the ledger in memory stand on it. */
import { type Hold, type Seen, type Try, whose } from '../src/pool.ts';

export interface Stored {
  /** '' for a sticky address that nobody holds. */
  readonly node: string;
  readonly uid: string;
  readonly claim: string;
  /** Revisions of creation and of the last change. */
  readonly revision: string;
  readonly modified: string;
  readonly owner?: string;
  readonly sticky?: boolean;
}

export interface Etcd {
  /** By `block/‹key›` and `pin/‹key›`. */
  readonly entries: Readonly<Record<string, Stored>>;
  /** Names with their uids. */
  readonly nodes: Readonly<Record<string, string>>;
}

export type Compare =
  | 'own key absent'
  | 'inside absent'
  | 'enclosing absent'
  | 'pins inside absent'
  | 'pin absent or unheld'
  | 'unchanged on give-back'
  | 'unchanged on confirm'
  | 'unchanged on fence'
  | 'uid on register';

/** The pin of a node is known by its owner, a block by having none. */
export const slotOf = ({ key, owner }: Pick<Try, 'key' | 'owner'>) =>
  `${owner === undefined ? 'block' : 'pin'}/${key}`;

export interface Who {
  readonly node: string;
  readonly uid: string;
}

/** Whether one block lies in the other, and is not the same. */
export type Geometry = (outer: string, inner: string) => boolean;

export interface Rules {
  readonly inside: Geometry;
  readonly without?: Compare | undefined;
}

/** One transaction that takes a block or a pin. undefined: something is in the way. */
export function claim(etcd: Etcd, wanted: Try, who: Who, now: string, { inside, without }: Rules) {
  const own = slotOf(wanted);
  const isPin = wanted.owner !== undefined;
  const there = etcd.entries[own];
  const takesOver = isPin && there?.node === '' && there.owner === wanted.owner;
  if (there && !takesOver && without !== (isPin ? 'pin absent or unheld' : 'own key absent'))
    return undefined;
  for (const slot of Object.keys(etcd.entries)) {
    const [kind, key = ''] = split(slot);
    const same = key === wanted.key;
    if (kind === 'block' && inside(wanted.key, key) && without !== 'inside absent') return undefined;
    const encloses = inside(key, wanted.key) || (isPin && same);
    if (kind === 'block' && encloses && without !== 'enclosing absent') return undefined;
    const pinInside = !isPin && (inside(wanted.key, key) || same);
    if (kind === 'pin' && pinInside && without !== 'pins inside absent') return undefined;
  }
  const stored: Stored = {
    ...who,
    claim: wanted.claim,
    revision: there?.revision ?? now,
    modified: now,
    ...whose(wanted),
  };
  return { etcd: withEntry(etcd, own, stored), revision: revisionOf(stored) };
}

/** A block goes; a sticky pin stays, held by nobody. */
export function giveBack(
  etcd: Etcd,
  hold: Omit<Hold, 'state'>,
  now: string,
  { without }: Rules,
): Etcd | undefined {
  const slot = slotOf(hold);
  const there = etcd.entries[slot];
  if (!there || (revisionOf(there) !== hold.revision && without !== 'unchanged on give-back'))
    return undefined;
  const unheld = { ...there, node: '', uid: '', claim: '', modified: now };
  return hold.sticky ? withEntry(etcd, slot, unheld) : withoutEntry(etcd, slot);
}

export function confirm(etcd: Etcd, entry: Seen, who: Who, now: string, { without }: Rules) {
  const slot = slotOf(entry);
  const there = etcd.entries[slot];
  const { key: _, inUse: __, ...value } = entry;
  if (there?.modified !== entry.modified && without !== 'unchanged on confirm') return undefined;
  const stored: Stored = { ...value, ...who, revision: there?.revision ?? now, modified: now };
  return { etcd: withEntry(etcd, slot, stored), revision: revisionOf(stored) };
}

export function register(etcd: Etcd, { node, uid }: Who, { without }: Rules): Etcd | undefined {
  const there = etcd.nodes[node];
  if (there !== undefined && there !== uid && without !== 'uid on register') return undefined;
  return { ...etcd, nodes: { ...etcd.nodes, [node]: uid } };
}

/** One of the deletions of a fence, by what was read before. */
export function fenceOne(etcd: Etcd, slot: string, modified: string, { without }: Rules): Etcd {
  const there = etcd.entries[slot];
  if (!there || (there.modified !== modified && without !== 'unchanged on fence')) return etcd;
  return withoutEntry(etcd, slot);
}

export function entriesOf(etcd: Etcd, { node, uid }: Who): Omit<Seen, 'inUse'>[] {
  return Object.entries(etcd.entries)
    .filter(([, one]) => one.node === node && one.uid === uid)
    .map(([slot, { node: _, uid: __, ...one }]) => ({
      ...one,
      key: split(slot)[1],
      revision: revisionOf(one),
    }));
}

/** A sticky address changes hands without being created anew: its last change tells its holder. */
export function revisionOf({
  owner,
  revision,
  modified,
}: Pick<Stored, 'owner' | 'revision' | 'modified'>): string {
  return owner === undefined ? revision : modified;
}

export function split(slot: string): [kind: string, key: string] {
  const at = slot.indexOf('/');
  return [slot.slice(0, at), slot.slice(at + 1)];
}

function withEntry(etcd: Etcd, slot: string, stored: Stored): Etcd {
  return { ...etcd, entries: { ...etcd.entries, [slot]: stored } };
}

export function withoutEntry(etcd: Etcd, slot: string): Etcd {
  const { [slot]: _, ...entries } = etcd.entries;
  return { ...etcd, entries };
}
