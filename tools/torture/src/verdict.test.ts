import { describe, expect, test } from 'vitest';
import { fault, type Verb } from './verdict.ts';

const error = '{"code": 7, "msg": "no"}';
const seen = (status: number | undefined, stdout = '', stderr = '') => ({ status, stdout, stderr });

test.each<[Verb, ReturnType<typeof seen>]>([
  ['ADD', seen(0, '{"cniVersion":"1.1.0"}\n')],
  ['ADD', seen(1, error)],
  ['DEL', seen(0)],
  ['GC', seen(1, error, 'a warning')],
  ['VERSION', seen(0, '{"cniVersion":"1.1.0","supportedVersions":[]}')],
])('%s: an answer as the protocol says is none to complain of', (verb, answer) => {
  expect(fault(verb, answer)).toBeUndefined();
});

describe('what is complained of', () => {
  test.each<[string, Verb, ReturnType<typeof seen>, RegExp]>([
    ['no end', 'DEL', seen(undefined), /did not end/],
    ['death by a signal', 'DEL', seen(139), /signal ended it: 11/],
    ['another status', 'ADD', seen(2, error), /exit status 2/],
    ['no answer to ADD', 'ADD', seen(0), /not one JSON object/],
    ['a failure in silence', 'DEL', seen(1), /not one JSON object/],
    ['two answers', 'ADD', seen(1, error + error), /not one JSON object/],
    ['an answer to DEL', 'DEL', seen(0, '{}'), /where there is none/],
    ['an error without code', 'DEL', seen(1, '{"msg":"no"}'), /without code/],
    ['an error without words', 'DEL', seen(1, '{"code":7,"msg":""}'), /without words/],
    ['a stack', 'DEL', seen(1, error, 'Error: x\n    at run (plugin.js:1)\n'), /words of the engine/],
    ['a mistake of ours', 'ADD', seen(1, '{"code":999,"msg":"x is not a function"}'), /words of the engine/],
  ])('%s', (_what, verb, answer, says) => {
    expect(fault(verb, answer)).toMatch(says);
  });
});

test('one that could not write is not asked for words', () => {
  expect(fault('ADD', seen(1), true)).toBeUndefined();
  expect(fault('ADD', seen(139), true)).toBeDefined();
});
