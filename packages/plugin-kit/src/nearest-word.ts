/**
 * What to say of a word that a field cannot have: `can be "iptables" or "nftables"; did you mean "nftables"?`. Only for
 * errors: comparing takes time.
 */
export function expectedWords(given: string, words: readonly string[]): string {
  const all = words.map((word) => `"${word}"`).join(' or ');
  const distances = words.map((word) => distance(given.toLowerCase(), word));
  const least = Math.min(...distances);
  const nearest = words[distances.indexOf(least)];
  // Half of it wrong is another word.
  const similar = nearest !== undefined && least * 2 <= nearest.length;
  return `can be ${all}${similar ? `; did you mean "${nearest}"?` : ''}`;
}

/** Letters to put in, leave out or exchange to get from one word to the other. */
function distance(from: string, to: string): number {
  // Nobody mistypes by more; a long text shall cost nothing.
  if (from.length > 2 * to.length) return from.length;
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const exchanged = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(exchanged, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
