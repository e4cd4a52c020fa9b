import { describe, expect, test } from 'vitest';
import { linearPattern } from './linear-pattern.ts';

const finds = (pattern: string, text: string) => linearPattern(pattern).isFoundIn(text);

/** Numbers that look random and are the same in every run. */
function numbers(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** An expression that means the same to RE2 and to JavaScript. */
function randomPattern(random: (below: number) => number, depth = 3): string {
  const pick = <T>(...choices: readonly T[]) => choices[random(choices.length)] as T; // reason: below the length
  const atom = (): string => {
    if (depth > 0 && random(3) === 0) return `${pick('(', '(?:')}${randomPattern(random, depth - 1)})`;
    const set = pick('[ab]', '[^a]', '[a-c.]', '[-a]', '[]-]', '[\\w]', '[^\\d_]', '[0-9]', '[\\]x]');
    // An empty class is closed by its first bracket in JavaScript.
    if (random(4) === 0) return set === '[]-]' ? '[\\]-]' : set;
    return pick('a', 'b', 'c', '.', '\\.', '\\d', '\\w', '\\s', '\\D', '\\W', '_', '1', '\\x61', '\\-', '/');
  };
  const piece = (): string => {
    if (random(8) === 0) return pick('^', '$', '\\b', '\\B');
    return (
      atom() + pick('', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{0,}', '{2,3}?', '{0}')
    );
  };
  const sequence = () => Array.from({ length: random(4) }, piece).join('');
  return Array.from({ length: 1 + random(3) }, sequence).join('|');
}

describe('an expression', () => {
  test('finds what JavaScript’s finds', () => {
    const random = numbers(20261129);
    const letters = ['a', 'b', 'c', '.', '-', '_', '1', ' ', '\n', 'A', '/', ']'];
    let found = 0;
    let tried = 0;
    // JavaScript finds something in these too, after twelve seconds of trying every way; the other 47,996 take one.
    const afterSeconds = new Set(['953/2', '953/8', '1275/0', '1275/5']);
    for (let i = 0; i < 4000; i++) {
      const pattern = randomPattern(random);
      const ours = linearPattern(pattern);
      const theirs = new RegExp(pattern);
      for (let j = 0; j < 12; j++) {
        const text = Array.from({ length: random(8) }, () => letters[random(letters.length)]).join('');
        const expected = afterSeconds.has(`${i}/${j}`) || theirs.test(text);
        expect(ours.isFoundIn(text), `${pattern} in ${JSON.stringify(text)}`).toBe(expected);
        tried++;
        if (expected) found++;
      }
    }
    expect(found).toBeGreaterThan(tried / 4);
    expect(tried - found).toBeGreaterThan(tried / 20);
  });

  test('takes time by the length of the text, however many ways there are through it', () => {
    const begin = performance.now();
    const letters = 'a'.repeat(1000);
    for (const pattern of [
      '^(a+)+$',
      '^(a|a)*$',
      '^(a|aa)+$',
      '^(a?){1000}$',
      '(x+x+)+y',
      '^([a-z0-9_]+[.]?)+$',
    ]) {
      expect(finds(pattern, `${letters}-`)).toBe(false);
    }
    expect(finds(`^${'a?'.repeat(500)}${'a'.repeat(500)}$`, 'a'.repeat(500))).toBe(true);
    expect(performance.now() - begin).toBeLessThan(20_000);
  });

  test.each([
    ['(?i)NET\\.ipv4', 'net.IPV4.x', true],
    ['(?i:NET)x', 'netX', false],
    ['a(?i)b|c', 'aB', true],
    ['a(?i)b|c', 'C', true],
    ['(a(?i)b)c', 'aBC', false],
    ['(?i)[a-f]{2}', 'xCE', true],
    ['(?i)[^a]', 'A', false],
    ['(?i-i)a', 'A', false],
    ['(?s).', '\n', true],
    ['.', '\n', false],
    ['(?m)^b$', 'a\nb\nc', true],
    ['^b$', 'a\nb\nc', false],
    ['\\Aa\\z', 'a', true],
    ['\\Aa\\z', 'a\n', false],
    ['a$', 'a\n', false],
    ['(?U)a+b', 'aab', true],
    ['(?P<name>a)(?<other>b)', 'ab', true],
    ['[[:alpha:]_]+4', 'ipv4', true],
    ['^[[:^alpha:]]+$', '12.', true],
    ['^[[:word:]]+$', 'a_1', true],
    ['^[\\d\\-x]+$', '1-x', true],
    ['[a\\]]\\]', ']]', true],
    ['[]a]+b', ']b', true],
    ['[^]a]', ']', false],
    ['\\Qa.b*\\E+$', 'a.b***', true],
    ['\\Qa.b', 'axb', false],
    ['\\x41\\x{1F600}\\101\\07', 'A😀A\x07', true],
    ['^.$', '😀', true],
    ['a{,2}', 'a{,2}', true],
    ['a{x', 'a{x', true],
    ['a{0}b', 'b', true],
    ['\\_\\-\\/\\:', '_-/:', true],
    ['', 'x', true],
    ['a||b', 'x', true],
    ['(|a)+b', 'b', true],
    ['(a*)*(b*)*c', 'c', true],
    ['\\bnet\\b', 'net.core', true],
    ['\\bnet\\b', 'network', false],
  ])('%j finds something in %j: %s', (pattern, text, expected) => {
    expect(finds(pattern, text)).toBe(expected);
  });

  test.each([
    ['[', 'missing closing ]: `[`'],
    ['a[b', 'missing closing ]: `[b`'],
    ['(a', 'missing closing ): `(a`'],
    ['a)', 'unexpected ): `a)`'],
    ['*a', 'missing argument to repetition operator: `*`'],
    ['(?i)*', 'missing argument to repetition operator: `*`'],
    ['a**', 'invalid nested repetition operator: `**`'],
    ['a{2}{3}', 'invalid nested repetition operator: `{2}{3}`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['a{3,2}', 'invalid repeat count: `{3,2}`'],
    ['a\\', 'trailing backslash at end of expression: ``'],
    ['\\1', 'invalid escape sequence: `\\1`'],
    ['\\pL', 'invalid escape sequence: `\\p`'],
    ['\\x{110000}', 'invalid escape sequence: `\\x`'],
    ['[z-a]', 'invalid character class range: `z-a`'],
    ['[[:letter:]]', 'invalid character class range: `[:letter:]`'],
    ['(?=a)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['(?<!a)', 'invalid or unsupported Perl syntax: `(?<`'],
    ['(?P<n', 'invalid named capture: `(?P<n`'],
  ])('%j is refused: %s', (pattern, why) => {
    expect(() => linearPattern(pattern)).toThrow(`error parsing regexp: ${why}`);
  });

  test('that is too large is refused, and takes no time for it', () => {
    const begin = performance.now();
    for (const pattern of [
      '((a{100}){100}){100}',
      '(((){1000}){1000}){1000}',
      'a'.repeat(5000),
      '('.repeat(300) + ')'.repeat(300),
    ]) {
      expect(() => linearPattern(pattern)).toThrow(/^error parsing regexp: expression /);
    }
    expect(performance.now() - begin).toBeLessThan(5000);
  });
});
