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
