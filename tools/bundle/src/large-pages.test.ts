import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { engineOf } from './executable.ts';
import { alignSegments, writeInLargePages } from './large-pages.ts';

const folder = mkdtempSync(join(tmpdir(), 'cni-large-pages-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cpu = process.arch === 'arm64' ? 'arm64' : 'x64';
const program = readFileSync(engineOf(cpu));

interface Segment {
  offset: number;
  address: number;
  length: number;
}

function loadedSegments(elf: Buffer): Segment[] {
  const table = Number(elf.readBigUInt64LE(32));
  return Array.from({ length: elf.readUInt16LE(56) }, (_, index) => table + index * 56)
    .filter((entry) => elf.readUInt32LE(entry) === 1)
    .map((entry) => ({
      offset: Number(elf.readBigUInt64LE(entry + 8)),
      address: Number(elf.readBigUInt64LE(entry + 16)),
      length: Number(elf.readBigUInt64LE(entry + 32)),
    }));
}

test('segments lie in the file as in memory, with what they held, and the program runs', () => {
  const aligned = alignSegments(program);
  const before = loadedSegments(program);
  const after = loadedSegments(aligned);
  expect(after.map(({ offset, address }) => (address - offset) % 0x200000)).toEqual(before.map(() => 0));
  before.forEach((segment, index) => {
    const { offset, address, length } = after[index] ?? segment;
    expect({ address, length }).toEqual({ address: segment.address, length: segment.length });
    // The table of segments is at the start of the first, and has changed.
    const from = segment.offset === 0 ? 4096 : 0;
    const held = program.subarray(segment.offset + from, segment.offset + length);
    expect(held.equals(aligned.subarray(offset + from, offset + length))).toBe(true);
  });

  const file = join(folder, 'engine');
  writeInLargePages(file, aligned);
  expect(readFileSync(file).equals(aligned)).toBe(true);
  const { stdout, stderr } = spawnSync(file, ['-p', '6 * 7'], { encoding: 'utf8' });
  expect({ stdout, stderr }).toEqual({ stdout: '42\n', stderr: '' });
});

test('what is aligned already stays as it is', () => {
  const aligned = alignSegments(program);
  expect(alignSegments(aligned).equals(aligned)).toBe(true);
});
