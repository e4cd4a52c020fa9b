/** The language of iptables-save and iptables-restore: one command a line, words in double quotes where needed. */

/** A rule's words as one line; a line break cannot be written and throws. */
export function joinWords(words: readonly string[]): string {
  return words.map(quote).join(' ');
}

/** As nearly every word is. */
const plainWord = /^[A-Za-z0-9./-]+$/;

function quote(word: string): string {
  if (plainWord.test(word)) return word;
  if (/[\n\r\0]/.test(word)) throw new Error(`${JSON.stringify(word)} cannot stand in an iptables rule`);
  return /^[\w!./:,@%+=[\]-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`;
}

/** The words of a line of iptables-save. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const [, quoted, plain] of line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) {
    words.push(quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1'));
  }
  return words;
}

/** The word after an option: `wordAfter(words, '-j')`. */
export function wordAfter(words: readonly string[], option: string): string | undefined {
  const at = words.indexOf(option);
  return at < 0 ? undefined : words[at + 1];
}
