/**
 * JSON as RFC 8259 has it, read the same by Node and by the executables' engine, whose own reader takes more and says
 * less. What is wrong with a text is said with line and column.
 */
import { strayInJson } from './json-check.ts';

/** The part of the compiled program's engine (packages/engine) that we use. */
interface Engine {
  jsonError(text: string): readonly [expected: number, at: number] | undefined;
}
const { engine } = globalThis as { engine?: Engine }; // reason: a global that only the compiled program has

/** How deep lists and objects may lie in one another. */
const mostDepth = 1000;

/** As json.h of packages/engine and json-check.ts count them. */
const expectations = [
  '',
  'a value',
  'a value or ]',
  "a member's name in double quotes",
  "a member's name in double quotes, or }",
  'a colon',
  'a comma or }',
  'a comma or ]',
  'nothing more',
  'the double quote that ends the string',
  'no control character in a string (written as \\n, \\t, \\u001f it may be)',
  'one of " \\ / b f n r t u after the backslash',
  'four hexadecimal digits',
  'a digit',
  'no more digits after the zero that begins a number',
  `no more than ${mostDepth} lists and objects in one another`,
];

/** What is wrong with a text, and where: the first line and column are 1, and columns count characters. */
export class JsonError extends SyntaxError {
  readonly line: number;
  readonly column: number;
  /** Without the place. */
  readonly reason: string;

  constructor(before: string, line: number, column: number, reason: string) {
    super(`${before}line ${line}, column ${column}: ${reason}`);
    this.line = line;
    this.column = column;
    this.reason = reason;
  }
}

/**
 * JSON.parse, but strict in both engines. Throws a JsonError `<what>: line 3, column 7: expected a colon, found "}"`; `what`
 * names the text, as the path of its file, and is left out where it is ''.
 */
export function parseJson(text: string, what: string): unknown {
  const stray = engine ? strayByEngine(engine, text) : strayByNode(text);
  if (stray) throw errorAt(text, what, ...stray);
  return JSON.parse(text);
}

function strayByEngine({ jsonError }: Engine, text: string): readonly [number, number] | undefined {
  const error = jsonError(text);
  return error && [error[0], indexOfByte(text, error[1])];
}

/** JSON.parse of Node is strict, but for the depth, which a short text cannot have. */
function strayByNode(text: string): readonly [number, number] | undefined {
  if (text.length <= 2 * mostDepth) {
    try {
      JSON.parse(text);
      return undefined;
    } catch {
      // Where it is wrong is told below.
    }
  }
  return strayInJson(text, mostDepth);
}

function errorAt(text: string, what: string, expected: number, index: number): SyntaxError {
  const before = what === '' ? '' : `${what}: `;
  if (isBlank(text)) return new SyntaxError(`${before}there is nothing in it`);
  const line = text.lastIndexOf('\n', index - 1) + 1;
  const number = text.slice(0, line).split('\n').length;
  const column = index === 0 ? 1 : Array.from(text.slice(line, index)).length + 1;
  return new JsonError(
    before,
    number,
    column,
    `expected ${expectations[expected]}, found ${found(text, index)}`,
  );
}

function isBlank(text: string): boolean {
  return text.length < 1000 && text.trim() === '';
}

/** What stands there, in few words: it may be a page, or a secret. */
function found(text: string, index: number): string {
  if (index >= text.length) return 'the end';
  const word = /^[\w.+-]+/.exec(text.slice(index, index + 20))?.[0];
  return JSON.stringify(word ?? String.fromCodePoint(text.codePointAt(index) ?? 0));
}

/** The index in the text of a byte of its UTF-8. */
function indexOfByte(text: string, at: number): number {
  let bytes = 0;
  let index = 0;
  while (bytes < at && index < text.length) {
    const code = text.codePointAt(index) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    index += code < 0x10000 ? 1 : 2;
  }
  return index;
}
