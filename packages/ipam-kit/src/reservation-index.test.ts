import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { ReservationIndex } from './reservation-index.ts';

function folders() {
  const root = mkdtempSync(join(tmpdir(), 'reservation-index-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const directory = join(root, 'net');
  mkdirSync(directory);
  const folder = join(root, 'run/index');
  return {
    directory,
    folder,
    open: () => ReservationIndex.open(folder, directory)!,
    get file() {
      return join(folder, readdirSync(folder)[0]!);
    },
  };
}

function settled() {
  const at = folders();
  const index = at.open();
  index.rebuild(new Map([['10.0.0.2', 'a\r\neth0']]));
  index.close();
  return at;
}

test('a new index knows nothing and is not trusted', () => {
  const index = folders().open();
  expect(index.trusted).toBe(false);
  index.close();
});

test('what was found by a walk is known the next time, in both families', () => {
  const at = folders();
  const made = at.open();
  made.rebuild(
    new Map([
      ['10.0.0.2', 'a\r\neth0'],
      ['10.0.0.3', 'b'],
      ['2001:db8::2', 'a\r\neth0'],
    ]),
  );
  made.close();
  const index = at.open();
  expect(index.trusted).toBe(true);
  expect(index.find('a\r\neth0').sort()).toEqual(['10.0.0.2', '2001:db8::2']);
  expect(index.find('b')).toEqual(['10.0.0.3']);
  expect(index.find('a')).toEqual([]);
  index.close();
});

test('an entry that comes or goes right after the index was written ends the trust', () => {
  const at = folders();
  for (let n = 0; n < 300; n++) {
    const made = at.open();
    made.rebuild(new Map());
    made.close();
    // Within the same tick of the kernel's clock, most of the time.
    if (n % 2 === 0) writeFileSync(join(at.directory, '10.0.0.9'), 'x');
    else unlinkSync(join(at.directory, '10.0.0.9'));
    const index = at.open();
    expect(index.trusted).toBe(false);
    index.close();
  }
});

test('a directory changed just now gets an mtime the clock has left behind, even one in steps of two seconds', () => {
  const at = settled();
  expect(Date.now() - statSync(at.directory).mtimeMs).toBeGreaterThan(2000);
});

test('an mtime put back by hand is told apart by the ctime', () => {
  const at = settled();
  const { atime, mtimeNs } = statSync(at.directory, { bigint: true });
  writeFileSync(join(at.directory, '10.0.0.9'), 'x');
  const until = Date.now() + 50; // past the clock's tick: nobody restores times faster than that
  while (Date.now() < until);
  utimesSync(at.directory, atime, Number(mtimeNs) / 1e9);
  const index = at.open();
  expect(index.trusted).toBe(false);
  index.close();
});

test('a directory nobody has changed for long keeps its mtime', () => {
  const at = folders();
  const old = new Date('2026-01-02T03:04:05Z');
  utimesSync(at.directory, old, old);
  const made = at.open();
  made.rebuild(new Map());
  made.close();
  expect(statSync(at.directory).mtime).toEqual(old);
  const index = at.open();
  expect(index.trusted).toBe(true);
  index.close();
});

test('the index of a writer that died between two steps is not trusted', () => {
  const at = settled();
  const { atime, mtime } = statSync(at.directory);
  const dying = at.open();
  expect(dying.trusted).toBe(true);
  dying.announceChange();
  utimesSync(at.directory, atime, mtime);
  const index = at.open();
  expect(index.trusted).toBe(false);
  index.close();
});

test('an index that was cut short or is something else is not trusted, and is made anew', () => {
  const at = settled();
  for (const spoil of [
    () => truncateSync(at.file, 500),
    () => truncateSync(at.file, 0),
    () => writeFileSync(at.file, Buffer.alloc(30_000, 1)),
  ]) {
    spoil();
    const index = at.open();
    expect(index.trusted).toBe(false);
    index.rebuild(new Map([['10.0.0.3', 'b']]));
    index.close();
    const again = at.open();
    expect(again.find('b')).toEqual(['10.0.0.3']);
    again.close();
  }
});

test('a folder others may write to is not used, one that is ours is private', () => {
  const at = folders();
  at.open().close();
  expect(statSync(at.folder).mode & 0o777).toBe(0o700);
  chmodSync(at.folder, 0o770);
  expect(ReservationIndex.open(at.folder, at.directory)).toBeUndefined();
  const link = `${at.folder}-link`;
  chmodSync(at.folder, 0o700);
  symlinkSync(at.folder, link);
  expect(ReservationIndex.open(link, at.directory)).toBeUndefined();
  writeFileSync(join(at.folder, 'file'), '');
  expect(ReservationIndex.open(join(at.folder, 'file'), at.directory)).toBeUndefined();
});

test('a link in the index’s place is not followed', () => {
  const at = settled();
  const elsewhere = `${at.folder}-elsewhere`;
  const { file } = at;
  unlinkSync(file);
  symlinkSync(elsewhere, file);
  const index = at.open();
  index.rebuild(new Map());
  index.close();
  expect(existsSync(elsewhere)).toBe(false);
});

test('an index that turned out wrong is not asked again before it was made anew', () => {
  const at = settled();
  const index = at.open();
  index.distrust();
  index.rebuild(new Map([['10.0.0.4', 'c']]));
  expect([index.trusted, index.find('c'), index.find('a\r\neth0')]).toEqual([true, ['10.0.0.4'], []]);
  index.close();
});

test('whatever comes and goes, an owner’s addresses are found and few others', () => {
  const owner = fc.integer({ min: 0, max: 400 }).map((n) => `container-${n}\r\neth${n % 2}`);
  const name = fc
    .integer({ min: 0, max: 5000 })
    .map((n) => (n % 3 ? `10.0.${n >> 8}.${n & 255}` : `fd00::${(n + 1).toString(16)}`));
  const step = fc.record({ remove: fc.boolean(), reopen: fc.integer({ max: 30, min: 0 }), owner, name });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 1500, size: 'max' }), (steps) => {
      const at = folders();
      const model = new Map<string, string>();
      let index = at.open();
      index.rebuild(model);
      for (const { remove, reopen, owner, name } of steps) {
        index.announceChange();
        const previous = model.get(name);
        if (previous !== undefined) index.remove(previous, name);
        model.delete(name);
        if (!remove) {
          index.add(owner, name);
          model.set(name, owner);
        }
        if (reopen === 0) {
          index.close();
          index = at.open();
        }
      }
      expect(index.trusted).toBe(true);
      for (const { owner } of steps.slice(0, 200)) {
        const expected = [...model].filter(([, other]) => other === owner).map(([of]) => of);
        expect(index.find(owner).sort()).toEqual(expected.sort());
      }
      index.close();
    }),
    { numRuns: 15 },
  );
});

test('it grows past what it was made for', () => {
  const at = settled();
  const index = at.open();
  index.announceChange();
  for (let n = 0; n < 5000; n++) index.add(`c${n}\r\neth0`, `10.1.${n >> 8}.${n & 255}`);
  index.close();
  const again = at.open();
  expect(again.trusted).toBe(true);
  for (let n = 0; n < 5000; n += 7)
    expect(again.find(`c${n}\r\neth0`)).toEqual([`10.1.${n >> 8}.${n & 255}`]);
  expect(again.find('a\r\neth0')).toEqual(['10.0.0.2']);
  again.close();
});
