/** What CONTRIBUTING.md tells a contributor to do, as steps that can be done. */

export type Step =
  /** A block of commands for a shell. */
  | { readonly kind: 'commands'; readonly text: string }
  /** A piece of a file and what it becomes. */
  | { readonly kind: 'change'; readonly file: string; readonly before: string; readonly after: string };

/** The blocks of a page that are marked `sh` or `diff`, in their order. The first line of a diff names the file:
 *  `# packages/…`. Throws for one that does not, or that changes nothing. */
export function stepsOf(page: string): Step[] {
  return [...page.matchAll(/^```(sh|diff)\n([\s\S]*?)^```$/gm)].map(([, kind, text = '']) =>
    kind === 'sh' ? { kind: 'commands', text } : changeOf(text),
  );
}

function changeOf(text: string): Step {
  const [first = '', ...lines] = text.trimEnd().split('\n');
  const file = first.match(/^# (\S+)$/)?.[1];
  if (!file) throw new Error(`a diff begins with a line "# path/of/the/file", not with "${first}"`);
  const side = (signs: string) =>
    lines.filter((line) => line === '' || signs.includes(line[0]!)).map((line) => `${line.slice(1)}\n`);
  const [before, after] = [side(' -').join(''), side(' +').join('')];
  if (before === after) throw new Error(`a diff of ${file} changes nothing`);
  return { kind: 'change', file, before, after };
}

/** The text with the change made. Throws unless what is to be changed stands there just once. */
export function changed(text: string, { file, before, after }: Step & { kind: 'change' }): string {
  const pieces = text.split(before);
  if (pieces.length === 2) return pieces.join(after);
  throw new Error(`${file} has ${pieces.length - 1} times, and should have once:\n${before}`);
}
