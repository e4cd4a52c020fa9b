import { printedResult } from '@cni-ts/invoke/run-plugin';
import { CniError } from '@cni-ts/spec/cni-error';
import { expect, test } from 'vitest';
import { settle, supportedVersions } from './reply.ts';

const nowhere = () => {};
const failing = (stdout: string, stderr = '', why = 'exit status 1') => {
  try {
    settle({ why, stdout, stderr }, nowhere);
  } catch (error) {
    if (error instanceof CniError) return error;
  }
  throw new Error('expected a CniError');
};

test('a failure without output tells the exit status (protocol 90)', () => {
  expect(failing('')).toMatchObject({
    code: 0,
    message: 'netplugin failed with no error message: exit status 1',
  });
});

test('a failure with stderr alone quotes it (protocol 90)', () => {
  expect(failing('', 'x').message).toBe('netplugin failed: "x": exit status 1');
  expect(failing('', 'a "b"\n').message).toBe('netplugin failed: "a \\"b\\"\\n": exit status 1');
});

test('stdout that is no error object is quoted, and stderr dropped (protocol 90)', () => {
  const { message } = failing('zz', 'a log line');
  expect(message).toMatch(/^netplugin failed but error parsing its diagnostic message "zz": /);
  expect(message).not.toContain('a log line');
  expect(failing('[]').message).toMatch(
    /^netplugin failed but error parsing its diagnostic message "\[\]": /,
  );
  expect(failing('{"code":"7"}').message).toMatch(/^netplugin failed but error parsing /);
});

test('an error object passes as it is, its missing members as 0 and nothing', () => {
  expect(failing('{"cniVersion":"1.0.0","code":11,"msg":"m","details":"d"}')).toMatchObject({
    code: 11,
    message: 'm',
    details: 'd',
  });
  expect(failing('{}')).toMatchObject({ code: 0, message: '', details: '' });
});

test('stderr of a success is handed on, that of a failure is not (protocol 91)', () => {
  let seen = '';
  const sink = (text: string) => {
    seen += text;
  };
  expect(settle({ why: '', stdout: 'out', stderr: 'log' }, sink)).toBe('out');
  expect(seen).toBe('log');
  expect(() =>
    settle({ why: 'exit status 1', stdout: '{"code":1,"msg":"m"}', stderr: 'more' }, sink),
  ).toThrow();
  expect(seen).toBe('log');
});

test('the result of an ADD must be an object (protocol 89)', () => {
  expect(() => printedResult('', '1.1.0')).toThrow(/^failed to unmarshal raw result: /);
  expect(() => printedResult('[]', '1.1.0')).toThrow(/^failed to unmarshal raw result: /);
});

test('null and an empty object are empty results of the version sent (protocol 89)', () => {
  for (const text of ['null', '{}', '{"cniVersion":""}', '{"cniVersion":5}']) {
    expect(printedResult(text, '1.0.0').cniVersion).toBe('1.0.0');
  }
});

test('a result of a version nobody knows is refused (protocol 89)', () => {
  expect(() => printedResult('{"cniVersion":"9.9.9"}', '1.1.0')).toThrow(
    /^unsupported CNI result version "9\.9\.9"$/,
  );
});

test('a result without a version under a list without one is read as 0.1.0 (protocol 74)', () => {
  expect(printedResult('{"ip4":{"ip":"10.0.0.2/24"}}', '').cniVersion).toBe('0.1.0');
});

test('an answer to VERSION without its members is refused, but for the list in 0.2.0 (protocol 56)', () => {
  expect(supportedVersions('{"cniVersion":"1.1.0","supportedVersions":["0.4.0"]}')).toEqual(['0.4.0']);
  expect(supportedVersions('{"cniVersion":"0.2.0"}')).toEqual(['0.1.0', '0.2.0']);
  expect(() => supportedVersions('{"cniVersion":"1.0.0"}')).toThrow(
    /^decoding version info: missing field supportedVersions$/,
  );
  expect(() => supportedVersions('{}')).toThrow(/^decoding version info: missing field cniVersion$/);
  expect(() => supportedVersions('')).toThrow(/^decoding version info: /);
});
