/**
 * Regular expressions as RE2 and Go read them, whose time grows with the text and no faster: all ways through the
 * expression are walked at once (a Thompson automaton), where the language's own RegExp tries one after the other and a
 * few letters can keep it busy for years.
 *
 * Understood: literals, `.`, classes with ranges, `\d \s \w` and `[[:alpha:]]`, groups of all kinds, alternation, `* + ?
 * {n,m}` and their lazy forms, `^ $ \A \z \b \B`, `\Q…\E`, escapes by number, and the flags i, m, s, U. Unicode classes
 * (`\pL`) are refused. What RE2 refuses (look-around, back references) is refused in its words.
 */

/** An expression that was read. */
export interface LinearPattern {
  /** Whether the expression matches anywhere in the text. */
  isFoundIn(text: string): boolean;
}

/** Whether a character, by its code point, is one of a set. */
type Takes = (code: number) => boolean;
/** Whether a place between two characters is one; undefined: there is none. */
type Holds = (before: number | undefined, after: number | undefined) => boolean;

/** A state of the automaton: it takes a character, or asks for a place, or neither, and goes on at all of `to`. */
interface State {
  readonly takes?: Takes;
  readonly holds?: Holds;
  readonly to: State[];
}

/** A part of an expression, which becomes states that lead to `next`; the first of them. */
type Part = (next: State) => State;

/** Characters of an expression. */
const longest = 4096;
/** States, of which each is looked at once for each character of the text; and turns of repetitions. */
const most = 10_000;
/** How deep groups may be nested; the greatest count of a repetition (Go's own). */
const deepest = 200;
const mostRepeats = 1000;
const lastCodePoint = 0x10ffff;
const newline = 10;

/** Throws `error parsing regexp: …` for what is no expression, or one that is too large. */
export function linearPattern(source: string): LinearPattern {
  if (source.length > longest)
    throw refusal(`expression is longer than ${longest} characters`, source.slice(0, 40));
  const found: State = { to: [] };
  const start = new Parser(source).parse()(found);
  return { isFoundIn: (text) => isFound(start, found, text) };
}

/** What is refused of an expression that is none, in the words of Go's regexp. */
function refusal(what: string, where: string): Error {
  return new Error(`error parsing regexp: ${what}: \`${where}\``);
}

function isFound(start: State, found: State, text: string): boolean {
  let waiting: State[] = [];
  let before: number | undefined;
  for (let at = 0; ; ) {
    const after = text.codePointAt(at);
    // A match may begin anywhere.
    const reached = new Set([...waiting, start]);
    waiting = [];
    // A set tells what is added while it is walked through, too.
    for (const state of reached) {
      if (state === found) return true;
      if (state.takes) {
        if (after !== undefined && state.takes(after)) waiting.push(...state.to);
      } else if (!state.holds || state.holds(before, after)) {
        for (const next of state.to) reached.add(next);
      }
    }
    if (after === undefined) return false;
    before = after;
    at += after > 0xffff ? 2 : 1;
  }
}

const oneOf =
  (set: RegExp): Takes =>
  (code) =>
    set.test(String.fromCodePoint(code));

const word = oneOf(/\w/);
const isWord = (code: number | undefined): boolean => code !== undefined && word(code);

/** `\d`, `\s`, `\w` by their letters, `[[:alpha:]]` by their names. `\s` has no vertical tab, other than [[:space:]]. */
const classes = new Map<string, Takes>([
  ['d', oneOf(/\d/)],
  ['s', oneOf(/[\t\n\f\r ]/)],
  ['w', word],
  ['alnum', oneOf(/[0-9A-Za-z]/)],
  ['alpha', oneOf(/[A-Za-z]/)],
  ['ascii', (code) => code < 128],
  ['blank', oneOf(/[\t ]/)],
  ['cntrl', (code) => code < 32 || code === 127],
  ['digit', oneOf(/\d/)],
  ['graph', oneOf(/[!-~]/)],
  ['lower', oneOf(/[a-z]/)],
  ['print', oneOf(/[ -~]/)],
  ['punct', oneOf(/[!-/:-@[-`{-~]/)],
  ['space', oneOf(/[\t-\r ]/)],
  ['upper', oneOf(/[A-Z]/)],
  ['word', word],
  ['xdigit', oneOf(/[0-9A-Fa-f]/)],
]);

const begins: Holds = (before) => before === undefined;
const ends: Holds = (_, after) => after === undefined;
const isEdge: Holds = (before, after) => isWord(before) !== isWord(after);

/** As they are written; behind `m` with that flag. */
const places: Readonly<Record<string, Holds>> = {
  '^': begins,
  $: ends,
  'm^': (before) => before === undefined || before === newline,
  m$: (_, after) => after === undefined || after === newline,
  '\\A': begins,
  '\\z': ends,
  '\\b': isEdge,
  '\\B': (before, after) => !isEdge(before, after),
};

const escaped: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

class Parser {
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #work = 0;
  /** i, m, s as in Perl. U (greedy or lazy) makes no difference to whether there is a match. */
  #flags = '';

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Part {
    const part = this.#either();
    // An alternation ends at the end, or at a parenthesis that nothing opened.
    if (this.#at < this.#source.length) throw refusal('unexpected )', this.#source);
    return part;
  }

  /** What stands next, if it is that: a sticky expression. */
  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source);
    if (found) this.#at = pattern.lastIndex;
    return found;
  }

  /** Counted by what is looked at, too: what is empty can be repeated without making a state. */
  #count<T>(one: T): T {
    if (++this.#work > most) throw refusal('expression is too large', this.#source);
    return one;
  }

  #either(): Part {
    const parts = [this.#sequence()];
    while (this.#take(/\|/y)) parts.push(this.#sequence());
    return (next) =>
      parts.length === 1 ? parts[0]!(next) : this.#count({ to: parts.map((part) => part(next)) });
  }

  #sequence(): Part {
    const parts: Part[] = [];
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source.charAt(this.#at))) {
      const quoted = this.#take(/\\Q(.*?)(?:\\E|$)/sy);
      const part = quoted ? undefined : this.#atom();
      if (quoted) parts.push(...Array.from(quoted[1]!, (letter) => this.#letter(letter.codePointAt(0)!)));
      else if (part) parts.push(part);
      else continue;
      // Behind what is quoted a repetition is of the last character.
      const isNothing = quoted?.[1] === '';
      const last = this.#repeated(isNothing ? undefined : parts.pop());
      if (last) parts.push(last);
    }
    return (next) => parts.reduceRight((to, part) => part(to), next);
  }

  #repeated(part: Part | undefined): Part | undefined {
    const start = this.#at;
    for (let last = part, isFirst = true; ; isFirst = false) {
      const times = this.#times();
      if (!times) return last;
      const text = this.#source.slice(start, this.#at);
      if (!last) throw refusal('missing argument to repetition operator', text);
      if (!isFirst) throw refusal('invalid nested repetition operator', text);
      last = this.#repeat(last, ...times);
    }
  }

  #repeat(part: Part, least: number, end: number | undefined): Part {
    return (next) => {
      let first = next;
      if (end === undefined) {
        first = this.#count({ to: [next] });
        first.to.push(part(first));
      }
      for (let i = least; end !== undefined && i < end; i++) first = this.#count({ to: [part(first), next] });
      for (let i = 0; i < least; i++) first = this.#count(part(first));
      return first;
    };
  }

  /** `*`, `+`, `?` or `{n,m}`, at least and at most; braces that are no count are letters. */
  #times(): [number, number | undefined] | undefined {
    const found = this.#take(/([*+?]|\{(\d{1,9})(,(\d{0,9}))?\})\??/y);
    if (!found) return undefined;
    const [, sign = '', low, comma, high] = found;
    if (low === undefined) return [sign === '+' ? 1 : 0, sign === '?' ? 1 : undefined];
    const least = Number(low);
    const end = comma === undefined ? least : high ? Number(high) : undefined;
    if (least > mostRepeats || (end !== undefined && (end > mostRepeats || end < least))) {
      throw refusal('invalid repeat count', sign);
    }
    return [least, end];
  }

  /** undefined for a group that is flags alone. */
  #atom(): Part | undefined {
    const start = this.#at;
    if (this.#take(/\(/y)) return this.#group();
    if (this.#take(/\[/y)) return this.#one(this.#bracketed());
    if (this.#take(/\./y))
      return this.#one(this.#flags.includes('s') ? () => true : (code) => code !== newline);
    const place = this.#take(/[\^$]|\\[AzbB]/y)?.[0];
    if (place !== undefined) {
      const holds = places[(this.#flags.includes('m') && place.length === 1 ? 'm' : '') + place]!;
      return (next) => this.#count({ holds, to: [next] });
    }
    const perl = this.#namedClass();
    if (perl) return this.#one(perl);
    if (this.#times()) {
      throw refusal('missing argument to repetition operator', this.#source.slice(start, this.#at));
    }
    return this.#letter(this.#character());
  }

  #one(takes: Takes): Part {
    return (next) => this.#count({ takes, to: [next] });
  }

  #letter(letter: number): Part {
    return this.#one(this.#folded((code) => code === letter));
  }

  /** With the flag i a letter is in it when it is in another case. */
  #folded(takes: Takes): Takes {
    if (!this.#flags.includes('i')) return takes;
    return (code) => {
      const letter = String.fromCodePoint(code);
      return [letter, letter.toLowerCase(), letter.toUpperCase()].some((one) => takes(one.codePointAt(0)!));
    };
  }

  #group(): Part | undefined {
    if (++this.#depth > deepest) throw refusal('expression nests too deeply', this.#source);
    const outer = this.#flags;
    const rest = this.#source.slice(this.#at - 1);
    if (rest[1] === '?' && !this.#take(/\?P?<\w+>/y)) {
      const [, on = '', minus, off = '', end] = this.#take(/\?([imsU]*)(-([imsU]+))?([:)])/y) ?? [];
      if (end === undefined && /^\(\?P?<[^=!]/.test(rest))
        throw refusal('invalid named capture', rest.slice(0, rest.indexOf('>') + 1 || 5));
      if (end === undefined) throw refusal('invalid or unsupported Perl syntax', rest.slice(0, 3));
      if (end === ')' && on === '' && minus === undefined)
        throw refusal('missing argument to repetition operator', '?');
      this.#flags = Array.from(outer + on)
        .filter((flag) => !off.includes(flag))
        .join('');
      if (end === ')') {
        // For the rest of the group that this stands in.
        this.#depth--;
        return undefined;
      }
    }
    const part = this.#either();
    if (!this.#take(/\)/y)) throw refusal('missing closing )', this.#source);
    this.#flags = outer;
    this.#depth--;
    return part;
  }

  /** `\d`; between brackets `[:alpha:]`, too. */
  #namedClass(pattern = /\\([dswDSW])/y): Takes | undefined {
    const [text, letter, not, name = letter?.toLowerCase() ?? ''] = this.#take(pattern) ?? [];
    if (text === undefined) return undefined;
    const takes = letter || name.length > 1 ? classes.get(name) : undefined;
    if (!takes) throw refusal('invalid character class range', text);
    return not || (letter && letter < 'a') ? (code) => !takes(code) : takes;
  }

  /** Behind an opening bracket. */
  #bracketed(): Takes {
    const from = this.#at - 1;
    const isNegated = this.#take(/\^/y) !== null;
    const sets: Takes[] = [];
    for (let isFirst = true; isFirst || !this.#take(/\]/y); isFirst = false) {
      if (this.#at >= this.#source.length) throw refusal('missing closing ]', this.#source.slice(from));
      sets.push(this.#namedClass(/\\([dswDSW])|\[:(\^?)(\w*):\]/y) ?? this.#range());
    }
    const takes = this.#folded((code) => sets.some((set) => set(code)));
    return isNegated ? (code) => !takes(code) : takes;
  }

  #range(): Takes {
    const from = this.#at;
    const low = this.#character();
    if (!this.#take(/-(?=[^\]])/y)) return (code) => code === low;
    const high = this.#character();
    if (high < low) throw refusal('invalid character class range', this.#source.slice(from, this.#at));
    return (code) => low <= code && code <= high;
  }

  /** The next character, or the one that is meant by an escape. */
  #character(): number {
    const from = this.#at;
    // One digit alone is a back reference.
    const numbered = /\\(?:x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})|(0[0-7]{0,2}|[1-7][0-7]{1,2}))/y;
    const [, two, braced, octal] = this.#take(numbered) ?? [];
    const code = Number.parseInt(octal ?? two ?? braced ?? '', octal === undefined ? 16 : 8);
    if (code <= lastCodePoint) return code;
    this.#at = from;
    const [text = '', backslash, letter = ''] = this.#take(/(\\?)(.?)/suy) ?? [];
    if (backslash === '') return letter.codePointAt(0)!;
    if (letter === '') throw refusal('trailing backslash at end of expression', '');
    if (Object.hasOwn(escaped, letter)) return escaped[letter]!;
    if (letter <= '\x7f' && !/[0-9A-Za-z]/.test(letter)) return letter.charCodeAt(0);
    throw refusal('invalid escape sequence', text);
  }
}
