/** Where a text stops being JSON: json.h of packages/engine once more, for Node. A test holds the two to each other. */

const [value, valueOrEnd, key, keyOrEnd, colon, commaOrBrace, commaOrBracket, end] = [1, 2, 3, 4, 5, 6, 7, 8];
const [quote, noControl, escaping, hexDigit, digit, noLeadingZero, lessDepth] = [9, 10, 11, 12, 13, 14, 15];

/** What was expected (`expectations` of json.ts), and where in the text. */
type Stray = readonly [expected: number, index: number];

/** The first thing in a text that makes it no JSON; undefined where there is none. */
export function strayInJson(text: string, mostDepth: number): Stray | undefined {
  /** The closing bracket of each list and object that is open. */
  const open: string[] = [];
  let expected = value;
  let at = 0;
  for (;;) {
    while (isBlank(text[at])) at++;
    const next = text[at];
    if (next === undefined) return expected === end ? undefined : [expected, at];
    const closes = next === open.at(-1);
    if (expected === end) return [end, at];
    if (expected === colon) {
      if (next !== ':') return [colon, at];
      at++;
      expected = value;
      continue;
    }
    if ((expected === commaOrBrace || expected === commaOrBracket) && next === ',') {
      at++;
      expected = expected === commaOrBrace ? key : value;
      continue;
    }
    if (closes && expected !== value && expected !== key) {
      at++;
      open.pop();
    } else if (expected === commaOrBrace || expected === commaOrBracket) return [expected, at];
    else if (expected === key || expected === keyOrEnd) {
      if (next !== '"') return [expected, at];
      const after = afterString(text, at + 1);
      if (typeof after !== 'number') return after;
      at = after;
      expected = colon;
      continue;
    } else if (next === '{' || next === '[') {
      if (open.length === mostDepth) return [lessDepth, at];
      open.push(next === '{' ? '}' : ']');
      expected = next === '{' ? keyOrEnd : valueOrEnd;
      at++;
      continue;
    } else {
      const after = afterValue(text, at, expected);
      if (typeof after !== 'number') return after;
      at = after;
    }
    const closing = open.at(-1);
    expected = closing === undefined ? end : closing === '}' ? commaOrBrace : commaOrBracket;
  }
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\n' || char === '\t' || char === '\r';
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9';
}

/** Where what follows a string, a number or a word begins. */
function afterValue(text: string, at: number, expected: number): number | Stray {
  const next = text[at];
  if (next === '"') return afterString(text, at + 1);
  if (next === '-' || isDigit(next)) return afterNumber(text, at);
  for (const word of ['true', 'null', 'false']) if (text.startsWith(word, at)) return at + word.length;
  return [expected, at];
}

function afterString(text: string, begin: number): number | Stray {
  for (let at = begin; ; at++) {
    const char = text[at];
    if (char === undefined) return [quote, at];
    if (char === '"') return at + 1;
    if (char < ' ') return [noControl, at];
    if (char !== '\\') continue;
    const escaped = text[++at];
    if (escaped === undefined) return [quote, at];
    if (escaped === 'u') {
      for (let digits = 0; digits < 4; digits++) {
        at++;
        if (!/^[0-9A-Fa-f]$/.test(text[at] ?? '')) return [hexDigit, at];
      }
    } else if (!'"\\/bfnrt'.includes(escaped)) return [escaping, at];
  }
}

function afterNumber(text: string, begin: number): number | Stray {
  let at = text[begin] === '-' ? begin + 1 : begin;
  if (!isDigit(text[at])) return [digit, at];
  if (text[at] === '0' && isDigit(text[at + 1])) return [noLeadingZero, at];
  while (isDigit(text[at])) at++;
  if (text[at] === '.') {
    at++;
    if (!isDigit(text[at])) return [digit, at];
    while (isDigit(text[at])) at++;
  }
  if (text[at] === 'e' || text[at] === 'E') {
    at++;
    if (text[at] === '+' || text[at] === '-') at++;
    if (!isDigit(text[at])) return [digit, at];
    while (isDigit(text[at])) at++;
  }
  return at;
}
