import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { changeRecordFile, readRecordFile, readWholeRecord } from './record-file.ts';
import { Undo } from './undo.ts';

const folder = mkdtempSync(join(tmpdir(), 'cni-record-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a file that was not there is gone when its change is undone', async () => {
  const path = join(folder, 'new');
  const undo = new Undo();
  changeRecordFile(path, '{"a":1}', 0o600, undo);
  expect(readRecordFile(path)).toEqual({ a: 1 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await undo.run()).toEqual([]);
  expect(readRecordFile(path)).toBeUndefined();
});

test.each([['{"a":2}'], [undefined]])(
  'a file that was changed to %s is what it was when that is undone',
  async (text) => {
    const path = join(folder, 'old');
    writeFileSync(path, '{"a":1}');
    const undo = new Undo();
    changeRecordFile(path, text, 0o600, undo);
    expect(readRecordFile(path)).toEqual(text === undefined ? undefined : { a: 2 });
    expect(await undo.run()).toEqual([]);
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}');
  },
);

test('what is torn or no record is told, or passed over by who asks for whole ones', () => {
  for (const text of ['{"a":', '1', '']) {
    const path = join(folder, 'torn');
    writeFileSync(path, text);
    expect(() => readRecordFile(path)).toThrow(path);
    expect(readWholeRecord(path)).toBeUndefined();
  }
  expect(() => readWholeRecord(folder)).toThrow(/directory/);
});
