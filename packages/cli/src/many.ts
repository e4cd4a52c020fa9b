/** `1 file`, `3 files`. */
export function many(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}
