import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compile } from './executable.ts';
import { outcomeOf } from './fixtures/json-outcome.ts';
import { bundleForEngine } from './javascript.ts';
import { ownCpu } from './quickjs.ts';

const folder = mkdtempSync(join(tmpdir(), 'json-'));
const reader = join(folder, 'reader');
beforeAll(async () => {
  const source = fileURLToPath(new URL('fixtures/json-reader.ts', import.meta.url));
  await compile(await bundleForEngine(source), reader, ownCpu(), join(folder, 'work'));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

function byEngine(texts: readonly string[]): string[] {
  const options = { input: JSON.stringify(texts), encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  return JSON.parse(execFileSync(reader, options));
}

const taken = [
  ...['0', '-0', '1', '-1.5e+10', '1E5', '0.1', '0e0', 'true', 'false', 'null', '""', '[]', '{}', ' [ ] '],
  ...[
    '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\ude00"',
    '"\\ud800"',
    '"ä€😀\u007f"',
    '"\u2028"',
    '\t\r\n 1 \n',
  ],
  ...['{"a":{"b":[1,{"c":[]}]},"a":2,"":3,"__proto__":4}', '[[],[[]],{}]', '"\\u0000"', '[1,"x",null]'],
  `${'['.repeat(1000)}${']'.repeat(1000)}`,
  `[${'{"a":['.repeat(499)}${']}'.repeat(499)}]`,
  '9'.repeat(5000),
  `"${'x'.repeat(100_000)}"`,
];

/** A text, and what is said of it. */
const refused: [string, string][] = [
  ['', 'f: there is nothing in it'],
  [' \n', 'f: there is nothing in it'],
  [
    '{"a":"\\x41"}',
    'f: line 1, column 8: expected one of " \\ / b f n r t u after the backslash, found "x41"',
  ],
  ['"\\v"', 'f: line 1, column 3: expected one of " \\ / b f n r t u after the backslash, found "v"'],
  ['"\\\'"', 'f: line 1, column 3: expected one of " \\ / b f n r t u after the backslash, found "\'"'],
  ['"\\a"', 'f: line 1, column 3: expected one of " \\ / b f n r t u after the backslash, found "a"'],
  ['"\\u{41}"', 'f: line 1, column 4: expected four hexadecimal digits, found "{"'],
  ['"\\u00g0"', 'f: line 1, column 6: expected four hexadecimal digits, found "g0"'],
  ['"a\\\nb"', 'f: line 1, column 4: expected one of " \\ / b f n r t u after the backslash, found "\\n"'],
  [
    '"a\nb"',
    'f: line 1, column 3: expected no control character in a string (written as \\n, \\t, \\u001f it may be), found "\\n"',
  ],
  [
    '"\u0000"',
    'f: line 1, column 2: expected no control character in a string (written as \\n, \\t, \\u001f it may be), found "\\u0000"',
  ],
  ['"abc', 'f: line 1, column 5: expected the double quote that ends the string, found the end'],
  ['"abc\\', 'f: line 1, column 6: expected the double quote that ends the string, found the end'],
  ['5.', 'f: line 1, column 3: expected a digit, found the end'],
  ['[5.]', 'f: line 1, column 4: expected a digit, found "]"'],
  ['.5', 'f: line 1, column 1: expected a value, found ".5"'],
  ['-', 'f: line 1, column 2: expected a digit, found the end'],
  ['-01', 'f: line 1, column 2: expected no more digits after the zero that begins a number, found "01"'],
  ['01', 'f: line 1, column 1: expected no more digits after the zero that begins a number, found "01"'],
  ['1e', 'f: line 1, column 3: expected a digit, found the end'],
  ['1e+x', 'f: line 1, column 4: expected a digit, found "x"'],
  ['+1', 'f: line 1, column 1: expected a value, found "+1"'],
  ['0x10', 'f: line 1, column 2: expected nothing more, found "x10"'],
  ['1_000', 'f: line 1, column 2: expected nothing more, found "_000"'],
  ['NaN', 'f: line 1, column 1: expected a value, found "NaN"'],
  ['Infinity', 'f: line 1, column 1: expected a value, found "Infinity"'],
  ['undefined', 'f: line 1, column 1: expected a value, found "undefined"'],
  ['True', 'f: line 1, column 1: expected a value, found "True"'],
  ['truth', 'f: line 1, column 1: expected a value, found "truth"'],
  ['nul', 'f: line 1, column 1: expected a value, found "nul"'],
  ['nulls', 'f: line 1, column 5: expected nothing more, found "s"'],
  ["'a'", 'f: line 1, column 1: expected a value, found "\'"'],
  ['[1,]', 'f: line 1, column 4: expected a value, found "]"'],
  ['[,1]', 'f: line 1, column 2: expected a value or ], found ","'],
  ['[1 2]', 'f: line 1, column 4: expected a comma or ], found "2"'],
  ['[1}', 'f: line 1, column 3: expected a comma or ], found "}"'],
  ['[1', 'f: line 1, column 3: expected a comma or ], found the end'],
  ['[', 'f: line 1, column 2: expected a value or ], found the end'],
  ['{"a":1,}', 'f: line 1, column 8: expected a member\'s name in double quotes, found "}"'],
  ['{a:1}', 'f: line 1, column 2: expected a member\'s name in double quotes, or }, found "a"'],
  ['{"a" 1}', 'f: line 1, column 6: expected a colon, found "1"'],
  ['{"a"}', 'f: line 1, column 5: expected a colon, found "}"'],
  ['{"a":}', 'f: line 1, column 6: expected a value, found "}"'],
  ['{"a":1 "b":2}', 'f: line 1, column 8: expected a comma or }, found "\\""'],
  ['{"a":1', 'f: line 1, column 7: expected a comma or }, found the end'],
  ['{}{}', 'f: line 1, column 3: expected nothing more, found "{"'],
  ['{} // note', 'f: line 1, column 4: expected nothing more, found "/"'],
  ['/* note */ {}', 'f: line 1, column 1: expected a value, found "/"'],
  ['\ufeff{}', 'f: line 1, column 1: expected a value, found "\ufeff"'],
  ['[1,\u00a02]', 'f: line 1, column 4: expected a value, found "\u00a0"'],
  ['[1,\f2]', 'f: line 1, column 4: expected a value, found "\\f"'],
  ['{\n  "name": "n",\n  "ä€😀": tru\n}\n', 'f: line 3, column 10: expected a value, found "tru"'],
  [`{\r\n "a": "${'😀'.repeat(300)}" x}`, 'f: line 2, column 310: expected a comma or }, found "x"'],
  ['["\ud800", x]', 'f: line 1, column 7: expected a value, found "x"'],
  [
    `${'['.repeat(1001)}${']'.repeat(1001)}`,
    'f: line 1, column 1001: expected no more than 1000 lists and objects in one another, found "["',
  ],
  [
    '{"a":'.repeat(20_000),
    'f: line 1, column 5001: expected no more than 1000 lists and objects in one another, found "{"',
  ],
];

describe.each(['Node', 'the engine'] as const)('JSON read by %s', (runtime) => {
  const outcomes = (texts: readonly string[]) =>
    runtime === 'Node' ? texts.map(outcomeOf) : byEngine(texts);

  test('is what RFC 8259 says', () => {
    expect(outcomes(taken)).toEqual(taken.map((text) => JSON.stringify(JSON.parse(text))));
  });

  test('is refused otherwise, with line, column, and what is wrong there', () => {
    const found = outcomes(refused.map(([text]) => text));
    expect(found).toEqual(refused.map(([, why]) => why));
  });
});

test('both engines agree on texts that were damaged at random', () => {
  let state = 7;
  const random = (end: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
  const whole = '{"name":"n\\u00e4\\n","list":[1,-2.5e3,true,null,{"a":"😀"}],"o":{}}';
  const pieces = ['"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', '.', 'e', 'u', ' ', '\n', 'é', '\0'];
  const texts = Array.from({ length: 3000 }, () => {
    let text = whole;
    for (let times = random(3) + 1; times > 0; times--) {
      const at = random(text.length + 1);
      text = text.slice(0, at) + (pieces[random(pieces.length + 1)] ?? '') + text.slice(at + random(3));
    }
    return text.toWellFormed();
  });
  expect(byEngine(texts)).toEqual(texts.map(outcomeOf));
});
