/**
 * Regular expressions as RE2 and Go read them, whose time grows with the text and no faster: all ways through the
 * expression are walked at once (a Thompson automaton), where the language's own RegExp tries one after the other and a
 * few letters can keep it busy for years.
 *
 * Understood: literals, `.`, classes with ranges, `\d \s \w` and `[[:alpha:]]`, groups of all kinds, alternation, `* + ?
 * {n,m}` and their lazy forms, `^ $ \A \z \b \B`, `\Q…\E`, escapes by number, and the flags i, m, s, U. Unicode classes
 * (`\pL`) are refused. What RE2 refuses (look-around, back references) is refused in its words.
 */
export interface LinearPattern {
  /** Whether the expression matches anywhere in the text. */
  isFoundIn(text: string): boolean;
}

/** Code points from-to, both included, one pair after the other. */
type Ranges = readonly number[];

interface CharacterSet {
  readonly ranges: Ranges;
  readonly negated: boolean;
  /** A letter is in it when it is in another case. */
  readonly folded: boolean;
}

type Assertion = 'text begins' | 'text ends' | 'line begins' | 'line ends' | 'word edge' | 'no word edge';

type Node =
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
function refusal(what: string, where: string): Error {
  return new Error(`error parsing regexp: ${what}: \`${where}\``);
}

/** Characters of an expression; how deep groups may be nested; the greatest count of a repetition (Go's own). */
const longest = 4096;
const deepest = 200;
const mostRepeats = 1000;
/** Steps of the automaton: each is looked at once for each character of the text. */
const mostSteps = 5000;

/** Throws `error parsing regexp: …` for what is no expression, or one that is too large. */
export function linearPattern(source: string): LinearPattern {
  if (source.length > longest)
    throw refusal(`expression is longer than ${longest} characters`, source.slice(0, 40));
  const steps = assembled(new Parser(source).parse(), source);
  return { isFoundIn: (text) => isFound(steps, text) };
}

const posixClasses: Readonly<Record<string, Ranges>> = {
  alnum: [48, 57, 65, 90, 97, 122],
  alpha: [65, 90, 97, 122],
  ascii: [0, 127],
  blank: [9, 9, 32, 32],
  cntrl: [0, 31, 127, 127],
  digit: [48, 57],
  graph: [33, 126],
  lower: [97, 122],
  print: [32, 126],
  punct: [33, 47, 58, 64, 91, 96, 123, 126],
  space: [9, 13, 32, 32],
  upper: [65, 90],
  word: [48, 57, 65, 90, 95, 95, 97, 122],
  xdigit: [48, 57, 65, 70, 97, 102],
};

/** `\s` has no vertical tab, other than [[:space:]]. */
const perlClasses: Readonly<Record<string, Ranges>> = {
  d: [48, 57],
  s: [9, 10, 12, 13, 32, 32],
  w: [48, 57, 65, 90, 95, 95, 97, 122],
};

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

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/** One step of the automaton. Those without a character are gone through before the next one is read. */
type Step =
  | { readonly kind: 'character'; readonly set: CharacterSet }
  | { readonly kind: 'assertion'; readonly holds: Assertion }
  /** Goes on at all of these. */
  | { readonly kind: 'fork'; readonly to: number[] }
  | { readonly kind: 'found' };

function assembled(root: Node, source: string): Step[] {
  const steps: Step[] = [];
  let work = 0;
  const add = (step: Step) => {
    steps.push(step);
    return steps.length;
  };
  const assemble = (node: Node): void => {
    // Counted by what is looked at, too: what is empty can be repeated without making a step.
    if (++work > 4 * mostSteps || steps.length > mostSteps) throw refusal('expression is too large', source);
    if (node.kind === 'character' || node.kind === 'assertion') add(node);
    else if (node.kind === 'sequence') for (const part of node.parts) assemble(part);
    else if (node.kind === 'either') {
      const to: number[] = [];
      const ends: number[][] = [];
      add({ kind: 'fork', to });
      for (const part of node.parts) {
        to.push(steps.length);
        assemble(part);
        const end: number[] = [];
        ends.push(end);
        add({ kind: 'fork', to: end });
      }
      for (const end of ends) end.push(steps.length);
    } else repeat(node);
  };
  const repeat = ({ part, least, most }: Node & { kind: 'repeat' }): void => {
    for (let i = 0; i < least; i++) assemble(part);
    if (most === undefined) {
      const to: number[] = [];
      const begin = add({ kind: 'fork', to }) - 1;
      to.push(begin + 1);
      assemble(part);
      to.push(add({ kind: 'fork', to: [begin] }));
      return;
    }
    const forks: number[][] = [];
    for (let i = least; i < most; i++) {
      const to: number[] = [];
      forks.push(to);
      to.push(add({ kind: 'fork', to }));
      assemble(part);
    }
    for (const to of forks) to.push(steps.length);
  };
  assemble(root);
  add({ kind: 'found' });
  return steps;
}

function isFound(steps: readonly Step[], text: string): boolean {
  // For each step the last position, counted from 1, at which it was reached.
  const reached = new Uint32Array(steps.length);
  let waiting: number[] = [];
  let previous: number | undefined;
  for (let at = 0, position = 1; ; position++) {
    const current = at < text.length ? (text.codePointAt(at) ?? 0) : undefined;
    // A match may begin anywhere.
    const stack = [...waiting, 0];
    const ready: number[] = [];
    while (stack.length > 0) {
      const number = stack.pop() ?? 0;
      if (reached[number] === position) continue;
      reached[number] = position;
      const step = steps[number];
      if (step?.kind === 'found') return true;
      if (step?.kind === 'fork') stack.push(...step.to);
      else if (step?.kind === 'character') ready.push(number);
      else if (step && holdsBetween(step.holds, previous, current)) stack.push(number + 1);
    }
    if (current === undefined) return false;
    waiting = [];
    for (const number of ready) {
      const step = steps[number];
      if (step?.kind === 'character' && isIn(step.set, current)) waiting.push(number + 1);
    }
    previous = current;
    at += current > 0xffff ? 2 : 1;
  }
}

const newline = 10;

function holdsBetween(what: Assertion, before: number | undefined, after: number | undefined): boolean {
  if (what === 'text begins') return before === undefined;
  if (what === 'text ends') return after === undefined;
  if (what === 'line begins') return before === undefined || before === newline;
  if (what === 'line ends') return after === undefined || after === newline;
  const edge = isWord(before) !== isWord(after);
  return what === 'word edge' ? edge : !edge;
}

function isWord(code: number | undefined): boolean {
  return code !== undefined && within(perlClasses.w ?? [], code);
}

function isIn({ ranges, negated, folded }: CharacterSet, code: number): boolean {
  return (within(ranges, code) || (folded && isInOtherCase(ranges, code))) !== negated;
}

function isInOtherCase(ranges: Ranges, code: number): boolean {
  const letter = String.fromCodePoint(code);
  const others = [letter.toLowerCase(), letter.toUpperCase()];
  return others.some((other) => within(ranges, codePoint(other)));
}

function within(ranges: Ranges, code: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) {
    if ((ranges[i] ?? 0) <= code && code <= (ranges[i + 1] ?? 0)) return true;
  }
  return false;
}
