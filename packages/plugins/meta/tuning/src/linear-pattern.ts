/**
 * Regular expressions as RE2 and Go read them, whose time grows with the text and no faster: all ways through the
 * expression are walked at once (a Thompson automaton), where the language's own RegExp tries one after the other and a
 * few letters can keep it busy for years.
 *
 * Understood: literals, `.`, classes with ranges, `\d \s \w` and `[[:alpha:]]`, groups of all kinds, alternation, `* + ?
 * {n,m}` and their lazy forms, `^ $ \A \z \b \B`, `\Q…\E`, escapes by number, and the flags i, m, s, U. Unicode classes
 * (`\pL`) are refused. What RE2 refuses (look-around, back references) is refused in its words.
 */
import { perlClasses, type Ranges } from './character-classes.ts';
import {
  type Assertion,
  type CharacterSet,
  codePoint,
  type Node,
  parsePattern,
  refusal,
} from './pattern-syntax.ts';

/** An expression that was read. */
export interface LinearPattern {
  /** Whether the expression matches anywhere in the text. */
  isFoundIn(text: string): boolean;
}

/** Characters of an expression. */
const longest = 4096;
/** Steps of the automaton: each is looked at once for each character of the text. */
const mostSteps = 5000;

/** Throws `error parsing regexp: …` for what is no expression, or one that is too large. */
export function linearPattern(source: string): LinearPattern {
  if (source.length > longest)
    throw refusal(`expression is longer than ${longest} characters`, source.slice(0, 40));
  const steps = assembled(parsePattern(source), source);
  return { isFoundIn: (text) => isFound(steps, text) };
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
