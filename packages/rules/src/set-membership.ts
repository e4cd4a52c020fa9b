import type { RawElement, RawSet } from '@cni-ts/nftables/set';

/** What of the set a key is; undefined for what is not in it, 'unknown' where that cannot be told. */
export function memberOf(set: RawSet, key: Uint8Array): RawElement | 'unknown' | undefined {
  const wanted = key.subarray(0, set.keyLength);
  return found(set, wanted) ?? set.elements.find(({ isCatchAll }) => isCatchAll);
}

function found(set: RawSet, key: Uint8Array): RawElement | 'unknown' | undefined {
  if (!set.ranges) return set.elements.find((one) => !one.isCatchAll && compare(one.key, key) === 0);
  if (set.elements.some(({ last }) => last !== undefined)) return inJoinedRanges(set, key);
  // The last beginning or end at or before the key; where both stand at one place, the beginning counts.
  let at: RawElement | undefined;
  for (const one of set.elements) {
    if (one.isCatchAll || compare(one.key, key) > 0) continue;
    const order = at ? compare(one.key, at.key) : 1;
    if (order > 0 || (order === 0 && at?.isEnd)) at = one;
  }
  return at?.isEnd ? undefined : at;
}

/** Of keys of several fields: each field lies in its own range. Fields are whole words; longer ones cannot be told apart. */
function inJoinedRanges({ elements }: RawSet, key: Uint8Array): RawElement | 'unknown' | undefined {
  if (key.length >= 16) return 'unknown';
  return elements.find((one) => {
    if (one.isCatchAll) return false;
    const last = one.last ?? one.key;
    for (let at = 0; at < key.length; at += 4) {
      const word = key.subarray(at, at + 4);
      if (compare(word, one.key.subarray(at, at + 4)) < 0) return false;
      if (compare(word, last.subarray(at, at + 4)) > 0) return false;
    }
    return true;
  });
}

export function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
