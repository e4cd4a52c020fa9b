/** Regular expressions as RE2 and Go write them, read into a tree: what is understood is told in linear-pattern.ts. */

import { perlClasses, posixClasses, type Ranges } from './character-classes.ts';

/** Characters that one step takes. */
export interface CharacterSet {
  readonly ranges: Ranges;
  readonly negated: boolean;
  /** A letter is in it when it is in another case. */
  readonly folded: boolean;
}

export type Assertion =
  | 'text begins'
  | 'text ends'
  | 'line begins'
  | 'line ends'
  | 'word edge'
  | 'no word edge';

/** A part of an expression. */
export type Node =
  | { readonly kind: 'character'; readonly set: CharacterSet }
  | { readonly kind: 'assertion'; readonly holds: Assertion }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'either'; readonly parts: readonly Node[] }
  /** `most` undefined: without end. */
  | {
      readonly kind: 'repeat';
      readonly part: Node;
      readonly least: number;
      readonly most: number | undefined;
    };

/** What is refused of an expression that is none, in the words of Go's regexp. */
export function refusal(what: string, where: string): Error {
  return new Error(`error parsing regexp: ${what}: \`${where}\``);
}

/** How deep groups may be nested; the greatest count of a repetition (Go's own). */
const deepest = 200;
const mostRepeats = 1000;

const escapedCharacters: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
const assertions: Readonly<Record<string, Assertion>> = {
  A: 'text begins',
  z: 'text ends',
  b: 'word edge',
  B: 'no word edge',
};

const lastCodePoint = 0x10ffff;

interface Flags {
  /** i, m, s as in Perl. U (greedy or lazy) makes no difference to whether there is a match. */
  readonly folded: boolean;
  readonly lines: boolean;
  readonly dotAll: boolean;
}

/** Throws `error parsing regexp: …` for what is no expression. */
export function parsePattern(source: string): Node {
  return new Parser(source).parse();
}

class Parser {
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #flags: Flags = { folded: false, lines: false, dotAll: false };

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Node {
    const node = this.#either();
    // An alternation ends at the end, or at a parenthesis that nothing opened.
    if (this.#at < this.#source.length) throw refusal('unexpected )', this.#source);
    return node;
  }

  get #next(): string {
    return this.#source.charAt(this.#at);
  }

  #skip(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #either(): Node {
    const parts = [this.#sequence()];
    while (this.#skip('|')) parts.push(this.#sequence());
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'either', parts }; // reason: there is one
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#source.length && this.#next !== '|' && this.#next !== ')') {
      const part = this.#skip('\\Q') ? this.#quoted() : this.#atom();
      if (part) parts.push(...this.#repeated(part));
    }
    return { kind: 'sequence', parts };
  }

  /** What `\Q` quotes: a repetition behind it is of the last character. */
  #quoted(): Node[] {
    const end = this.#source.indexOf('\\E', this.#at);
    const text = this.#source.slice(this.#at, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#source.length : end + 2;
    return Array.from(text, (character) => this.#literal(codePoint(character)));
  }

  #repeated(part: Node | Node[]): Node[] {
    const before = Array.isArray(part) ? part.slice(0, -1) : [];
    let last = Array.isArray(part) ? part.at(-1) : part;
    for (let earlier: number | undefined; ; ) {
      const start = this.#at;
      const count = this.#count();
      if (count === undefined) return last ? [...before, last] : before;
      this.#skip('?');
      const text = this.#source.slice(earlier ?? start, this.#at);
      if (!last) throw refusal('missing argument to repetition operator', text);
      if (earlier !== undefined) throw refusal('invalid nested repetition operator', text);
      last = { kind: 'repeat', part: last, ...count };
      earlier = start;
    }
  }

  /** `*`, `+`, `?` or `{n,m}`; braces that are no count are letters. */
  #count(): { least: number; most: number | undefined } | undefined {
    if (this.#skip('*')) return { least: 0, most: undefined };
    if (this.#skip('+')) return { least: 1, most: undefined };
    if (this.#skip('?')) return { least: 0, most: 1 };
    if (this.#next !== '{') return undefined;
    const found = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(this.#source.slice(this.#at, this.#at + 24));
    if (!found) return undefined;
    const [text, low = '', comma, high = ''] = found;
    const least = Number(low);
    const most = comma === undefined ? least : high === '' ? undefined : Number(high);
    if (least > mostRepeats || (most !== undefined && (most > mostRepeats || most < least))) {
      throw refusal('invalid repeat count', text);
    }
    this.#at += text.length;
    return { least, most };
  }

  /** undefined for a group that is flags alone. */
  #atom(): Node | undefined {
    if (this.#skip('(')) return this.#group();
    if (this.#skip('[')) return { kind: 'character', set: this.#bracketed() };
    if (this.#skip('.')) {
      const ranges = this.#flags.dotAll ? [0, lastCodePoint] : [0, 9, 11, lastCodePoint];
      return { kind: 'character', set: { ranges, negated: false, folded: false } };
    }
    if (this.#skip('^')) {
      return { kind: 'assertion', holds: this.#flags.lines ? 'line begins' : 'text begins' };
    }
    if (this.#skip('$')) return { kind: 'assertion', holds: this.#flags.lines ? 'line ends' : 'text ends' };
    if (this.#next === '\\') return this.#escaped();
    const start = this.#at;
    if (this.#count()) {
      this.#skip('?');
      throw refusal('missing argument to repetition operator', this.#source.slice(start, this.#at));
    }
    return this.#literal(this.#character());
  }

  #character(): number {
    const code = this.#source.codePointAt(this.#at) ?? 0;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #literal(code: number): Node {
    return { kind: 'character', set: { ranges: [code, code], negated: false, folded: this.#flags.folded } };
  }

  #group(): Node | undefined {
    if (++this.#depth > deepest) throw refusal('expression nests too deeply', this.#source);
    const outer = this.#flags;
    if (this.#next === '?') {
      const from = this.#at - 1;
      const rest = this.#source.slice(from);
      const named = /^\(\?P?<\w+>/.exec(rest);
      const flags = /^\(\?([imsU]*)(-([imsU]+))?([:)])/.exec(rest);
      if (named) this.#at = from + named[0].length;
      else if (flags) {
        const [text, on = '', minus, off = '', end] = flags;
        if (end === ')' && on === '' && minus === undefined)
          throw refusal('missing argument to repetition operator', '?');
        this.#at = from + text.length;
        this.#flags = withFlags(outer, on, off);
        if (end === ')') {
          // For the rest of the group that this stands in.
          this.#depth--;
          return undefined;
        }
      } else if (/^\(\?P?<[^=!]/.test(rest))
        throw refusal('invalid named capture', rest.slice(0, rest.indexOf('>') + 1 || 5));
      else throw refusal('invalid or unsupported Perl syntax', rest.slice(0, 3));
    }
    const node = this.#either();
    if (!this.#skip(')')) throw refusal('missing closing )', this.#source);
    this.#flags = outer;
    this.#depth--;
    return node;
  }

  #escaped(): Node {
    const from = this.#at++;
    const letter = this.#next;
    const holds = Object.hasOwn(assertions, letter) ? assertions[letter] : undefined;
    if (holds) {
      this.#at++;
      return { kind: 'assertion', holds };
    }
    const ranges = this.#perlClass();
    if (ranges) return { kind: 'character', set: { ranges, negated: false, folded: false } };
    return this.#literal(this.#escapedCharacter(from));
  }

  /** Behind a backslash. */
  #perlClass(): Ranges | undefined {
    const letter = this.#next;
    const name = letter.toLowerCase();
    if (letter === '' || !Object.hasOwn(perlClasses, name)) return undefined;
    this.#at++;
    const ranges = perlClasses[name] ?? [];
    return letter === name ? ranges : complement(ranges);
  }

  /** Behind a backslash: the character that is meant. */
  #escapedCharacter(from: number): number {
    if (this.#at >= this.#source.length) throw refusal('trailing backslash at end of expression', '');
    const rest = this.#source.slice(this.#at, this.#at + 12);
    const hex = /^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})/.exec(rest);
    // One digit alone is a back reference.
    const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest);
    const text = hex?.[0] ?? octal?.[0];
    if (text !== undefined) {
      const code = hex ? Number.parseInt(hex[1] ?? hex[2] ?? '', 16) : Number.parseInt(text, 8);
      if (code <= lastCodePoint) {
        this.#at += text.length;
        return code;
      }
    }
    const code = this.#character();
    const letter = String.fromCodePoint(code);
    if (Object.hasOwn(escapedCharacters, letter)) return escapedCharacters[letter] ?? 0;
    if (code < 128 && !/[0-9A-Za-z]/.test(letter)) return code;
    throw refusal('invalid escape sequence', this.#source.slice(from, this.#at));
  }

  /** Behind an opening bracket. */
  #bracketed(): CharacterSet {
    const from = this.#at - 1;
    const negated = this.#skip('^');
    const ranges: number[] = [];
    for (let first = true; first || this.#next !== ']'; first = false) {
      if (this.#at >= this.#source.length) throw refusal('missing closing ]', this.#source.slice(from));
      const set = this.#classInBrackets();
      if (set) ranges.push(...set);
      else ranges.push(...this.#range());
    }
    this.#at++;
    return { ranges, negated, folded: this.#flags.folded };
  }

  #classInBrackets(): Ranges | undefined {
    const named = /^\[:(\^?)(\w*):\]/.exec(this.#source.slice(this.#at, this.#at + 16));
    if (named) {
      const [text, not, name = ''] = named;
      if (!Object.hasOwn(posixClasses, name)) throw refusal('invalid character class range', text);
      this.#at += text.length;
      const ranges = posixClasses[name] ?? [];
      return not === '' ? ranges : complement(ranges);
    }
    if (this.#next !== '\\') return undefined;
    this.#at++;
    const set = this.#perlClass();
    if (!set) this.#at--;
    return set;
  }

  #range(): Ranges {
    const from = this.#at;
    const low = this.#characterInBrackets();
    const isRange =
      this.#next === '-' && this.#at + 1 < this.#source.length && this.#source[this.#at + 1] !== ']';
    if (!isRange) return [low, low];
    this.#at++;
    const high = this.#characterInBrackets();
    if (high < low) throw refusal('invalid character class range', this.#source.slice(from, this.#at));
    return [low, high];
  }

  #characterInBrackets(): number {
    const from = this.#at;
    return this.#skip('\\') ? this.#escapedCharacter(from) : this.#character();
  }
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const set = (letter: string, before: boolean) => (on.includes(letter) || before) && !off.includes(letter);
  return { folded: set('i', flags.folded), lines: set('m', flags.lines), dotAll: set('s', flags.dotAll) };
}

/** All but these, which are in order. */
function complement(ranges: Ranges): Ranges {
  const rest: number[] = [];
  let next = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const [low = 0, high = 0] = [ranges[i], ranges[i + 1]];
    if (low > next) rest.push(next, low - 1);
    next = high + 1;
  }
  return [...rest, next, lastCodePoint];
}

export function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}
