import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CniError } from '@cni-ts/spec/cni-error';
import { decodeResult } from '@cni-ts/spec/result-version';
import { beforeEach, expect, test } from 'vitest';
import { callPlugin, type OwnPlugins, type Reply, replyResult, replyText } from './call-plugin.ts';
import { Input } from './input.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'call-plugin-'));
  writeFileSync(join(folder, 'self'), '');
  for (const name of ['known', 'unknown']) linkSync(join(folder, 'self'), join(folder, name));
  writeFileSync(join(folder, 'other'), '');
  return () => rmSync(folder, { recursive: true });
});

/** Calls the plugin of this name, where `known` and `other` are part of the program by their names. */
function calling(name: string, call: () => Promise<Reply> = async () => 'called'): Promise<Reply> {
  const own: OwnPlugins<string> = {
    lookup: (type) => (type === 'unknown' ? undefined : type),
    self: join(folder, 'self'),
    call,
  };
  return callPlugin(join(folder, name), own, async () => 'run');
}

test('a file that is this program is called, if it has a plugin of that name; any other is run', async () => {
  expect(await calling('known')).toBe('called');
  expect(await calling('unknown')).toBe('run');
  expect(await calling('other')).toBe('run');
  expect(await callPlugin(join(folder, 'known'), undefined, async () => 'run')).toBe('run');
});

test('a failure is the error that would have been printed, and no more', async () => {
  const failure = (error: unknown) =>
    calling('known', () => Promise.reject(error)).catch((thrown: unknown) => thrown);
  const cause = new Error('the kernel refused');
  const inner = await failure(new CniError(11, 'open x: EROFS', 'EROFS', { cause }));
  expect(inner).toBeInstanceOf(CniError);
  expect(inner).toMatchObject({ code: 11, message: 'open x: EROFS', details: '' });
  expect(inner).not.toHaveProperty('cause');
  expect(await failure(new Error('broken', { cause }))).toMatchObject({
    code: 999,
    message: 'broken',
    details: 'the kernel refused',
  });
});

test('a reply is the result itself or its text, and either can be had of the other', () => {
  const result = decodeResult('1.0.0', { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24' }] });
  expect(replyResult(result, '0.4.0')).toBe(result);
  expect(replyResult(replyText(result), '0.4.0')).toEqual(result);
  expect(replyText('as it is')).toBe('as it is');
});

test('an input is printed, and read, when that is asked for first, and once', () => {
  const done: string[] = [];
  const input = new Input(
    () => `{"printed":${done.push('print')}}`,
    () => ({ read: done.push('read') }),
  );
  expect(done).toEqual([]);
  expect([input.json, input.json]).toEqual([{ read: 1 }, { read: 1 }]);
  expect(input.text + input.text).toBe('{"printed":2}{"printed":2}');
  expect(new Input(() => '{"a":1}').json).toEqual({ a: 1 });
  expect(() => new Input(() => '{"a":').json).toThrow(SyntaxError);
});
