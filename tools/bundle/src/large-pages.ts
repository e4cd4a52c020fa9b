import { closeSync, openSync, writeSync } from 'node:fs';

/** What one entry of the processor's second level of page tables maps, on x86-64 and on arm64 with pages of 4 KiB. */
const largePage = 2 * 1024 * 1024;
const page = 4096;

/** Where things are in a 64-bit little-endian ELF file: elf(5), <elf.h>. */
const header = { programTable: 32, sectionTable: 40, programCount: 56, sectionCount: 60 };
const segment = { type: 0, offset: 8, address: 16, size: 56 };
const section = { offset: 24, size: 64 };
const loaded = 1; // PT_LOAD

/**
 * An executable whose segments lie in the file as they lie in memory, up to multiples of 2 MiB: the kernel then maps
 * what the page cache holds in large pages with one page table entry for 512 pages. A plugin of this program otherwise
 * spends half a millisecond on page faults of code alone. Linkers do the same when told `-z max-page-size=0x200000`.
 * Nothing moves in memory; the file grows by a few pages.
 */
export function alignSegments(program: Buffer): Buffer {
  const elf = Buffer.from(program);
  const entries = (table: number, count: number, size: number) =>
    Array.from({ length: elf.readUInt16LE(count) }, (_, index) => offsetAt(elf, table) + index * size);
  const segments = entries(header.programTable, header.programCount, segment.size);
  const sections = entries(header.sectionTable, header.sectionCount, section.size);

  const gaps: { at: number; length: number }[] = [];
  let grown = 0;
  for (const entry of segments.filter((entry) => elf.readUInt32LE(entry + segment.type) === loaded)) {
    const offset = offsetAt(elf, entry + segment.offset);
    const length = modulo(offsetAt(elf, entry + segment.address) - offset - grown, largePage);
    if (length % page !== 0)
      throw new Error(`a segment at ${offset} of the executable is not aligned to pages`);
    if (length > 0) gaps.push({ at: offset - (offset % page), length });
    grown += length;
  }

  const moved = (offset: number) =>
    gaps.reduce((sum, { at, length }) => (offset >= at ? sum + length : sum), offset);
  for (const at of [
    ...segments.map((entry) => entry + segment.offset),
    ...sections.map((entry) => entry + section.offset),
    header.programTable,
    header.sectionTable,
  ])
    elf.writeBigUInt64LE(BigInt(moved(offsetAt(elf, at))), at);

  const pieces: Buffer[] = [];
  let done = 0;
  for (const { at, length } of gaps) {
    // The page at the gap may end one segment and begin the next: it is there twice, before the gap and after it.
    pieces.push(elf.subarray(done, at), elf.subarray(at, at + page), Buffer.alloc(length - page));
    done = at;
  }
  pieces.push(elf.subarray(done));
  return Buffer.concat(pieces);
}

/** Writes an executable anew, in pieces of 2 MiB: the page cache then holds it in pages as large, where the file system
 *  can (ext4 since Linux 6.16, XFS), until it is read from disk again. */
export function writeInLargePages(file: string, program: Buffer): void {
  const descriptor = openSync(file, 'w', 0o755);
  try {
    for (let at = 0; at < program.length; )
      at += writeSync(descriptor, program, at, Math.min(largePage, program.length - at));
  } finally {
    closeSync(descriptor);
  }
}

function offsetAt(elf: Buffer, at: number): number {
  return Number(elf.readBigUInt64LE(at));
}

/** Never negative, unlike `%`. */
function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
