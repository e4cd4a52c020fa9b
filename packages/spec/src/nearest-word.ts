/** The one of `known` that was most probably meant, for an error's words; undefined where none is near. */
export function nearestWord(given: string, known: readonly string[]): string | undefined {
  const word = given.toLowerCase().trim();
  const begun = word.length > 2 ? known.filter((one) => one.toLowerCase().startsWith(word)) : [];
  if (begun.length === 1) return begun[0];
  const near = known
    .map((one) => ({ one, away: distance(word, one.toLowerCase()) }))
    .sort((a, b) => a.away - b.away)[0];
  return near && near.away <= Math.max(2, near.one.length / 3) ? near.one : undefined;
}

/** What to say of a word that a field cannot have: `can be "iptables" or "nftables"; did you mean "nftables"?`. */
export function expectedWords(given: string, known: readonly string[]): string {
  const nearest = nearestWord(given, known);
  const all = known.map((word) => `"${word}"`).join(' or ');
  return `can be ${all}${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`;
}

/** How many letters must be added, taken out or changed to get from one to the other. */
function distance(from: string, to: string): number {
  // Long ones are never near, and would take time.
  if (Math.abs(from.length - to.length) > to.length) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}

/**
 * The one of `known` that was misspelt, if one was: fewer letters may differ than in `nearestWord`, for a key that nobody
 * knows is often right where it stands, as another program's. `noSnat` is not `snat`.
 */
export function misspeltWord(given: string, known: readonly string[]): string | undefined {
  const word = given.toLowerCase();
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const one of known) {
    const shorter = Math.min(word.length, one.length);
    const most = shorter < 6 ? 1 : shorter < 10 ? 2 : 3;
    if (Math.abs(word.length - one.length) > most) continue;
    const away = typingDistance(word, one.toLowerCase());
    if (away <= most && away < least) [best, least] = [one, away];
  }
  return best;
}

/** As `distance`, and two neighbours that changed places count as one (optimal string alignment). */
function typingDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      let least = Math.min(changed, row[j]! + 1, next[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) least = Math.min(least, before[j - 2]! + 1);
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[to.length]!;
}
