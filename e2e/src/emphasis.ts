/** Colour and weight on a terminal, and nowhere else: what is piped, kept in a file, or asked to be plain by NO_COLOR
 *  (no-color.org: whatever its value, unless it is empty) has no escape codes in it. */
export interface Emphasis {
  bold(text: string): string;
  cyan(text: string): string;
}

export function emphasis(
  { isTTY }: { readonly isTTY?: boolean | undefined },
  { NO_COLOR, TERM }: Readonly<Record<string, string | undefined>>,
): Emphasis {
  const plain = !isTTY || Boolean(NO_COLOR) || TERM === 'dumb';
  const between = (code: number) => (text: string) => (plain ? text : `\x1b[${code}m${text}\x1b[0m`);
  return { bold: between(1), cyan: between(36) };
}
