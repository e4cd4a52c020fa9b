import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { encodeSorted, readSorted } from './json.ts';

const { parse, stringify } = JSON;
const engines = [
  { what: 'an engine with raw JSON', json: JSON },
  { what: 'an engine without', json: { parse, stringify } },
];

describe.each(engines)('numbers as they are written, on $what', ({ json }) => {
  afterEach(() => vi.unstubAllGlobals());
  const fresh = () => {
    vi.stubGlobal('JSON', json);
    vi.resetModules();
    return import('./json.ts');
  };

  test('survive being read and written', async () => {
    const { parseJson, encodeJson, encodeSorted } = await fresh();
    const text = '{"b":[18446744073709551615,-9007199254740993],"a":{"n":12345678901234567890123}}';
    const value = parseJson(text) as object; // reason: it is one
    expect(encodeJson(value)).toBe(text);
    expect(encodeSorted(value)).toBe(
      '{"a":{"n":12345678901234567890123},"b":[18446744073709551615,-9007199254740993]}',
    );
  });

  test('are doubles to who reads them as values', async () => {
    const { parseJson, readSorted } = await fresh();
    const text = '{"a":18446744073709551615,"b":[-9007199254740993]}';
    expect(readSorted(parseJson(text))).toEqual(parse(text));
  });

  test('are numbers to whoever asks for a type', async () => {
    const { jsonTypeName, parseJson } = await fresh();
    expect(jsonTypeName(parseJson('18446744073709551615'))).toBe('float64');
  });

  test('are the only ones that are not doubles, and strings stay strings', async () => {
    const { parseJson, encodeJson } = await fresh();
    const text = '{"12345678901234567890":"12345678901234567890","q":"\\"12345678901234567890,","e":1e20}';
    expect(parseJson(text)).toEqual(parse(text));
    expect(parseJson('[9007199254740991, 0.12345678901234567890]')).toEqual([
      9007199254740991, 0.12345678901234568,
    ]);
    expect(encodeJson({ n: parseJson('"9007199254740993"') })).toBe('{"n":"9007199254740993"}');
  });

  test('do not make JSON of what is none', async () => {
    const { parseJson } = await fresh();
    for (const text of ['{12345678901234567890:1}', '[12345678901234567890', '012345678901234567890']) {
      expect(() => parseJson(text)).toThrow(SyntaxError);
    }
  });
});

test('what is read without a text is what would be read of the text, its order included', () => {
  const odd = fc.constantFrom(undefined, -0, Number.NaN, new Date(0), new Map(), Object('boxed'), () => 1);
  const anyValue = fc.object({ withNullPrototype: true, values: [fc.jsonValue(), odd] });
  fc.assert(
    fc.property(anyValue, (value) => {
      const read = readSorted(value);
      const expected: unknown = JSON.parse(encodeSorted(value));
      expect(read).toEqual(expected);
      expect(JSON.stringify(read)).toBe(JSON.stringify(expected));
    }),
  );
  const named: unknown = JSON.parse('{"__proto__":{"a":1},"toString":2}');
  expect(JSON.stringify(readSorted(named))).toBe('{"__proto__":{"a":1},"toString":2}');
});
