/** Archives whose bytes follow from what is in them: nothing of the machine, the user or the day. */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { execa } from 'execa';

export interface TarOptions {
  /** The date of every file in it, in seconds. */
  readonly date: number;
  readonly gzip?: boolean;
}

/** Packs `members` of `folder`, in this order, as `file`. All belong to root; what is a hard link stays one. */
export async function tar(
  folder: string,
  members: readonly string[],
  file: string,
  { date, gzip = false }: TarOptions,
): Promise<void> {
  const fixed = ['--format=ustar', '--owner=root:0', '--group=root:0', `--mtime=@${date}`, '--no-recursion'];
  const plain = gzip ? `${file}.plain` : file;
  await execa('tar', ['--create', `--file=${plain}`, ...fixed, `--directory=${folder}`, ...members], { env });
  if (!gzip) return;
  writeFileSync(file, await packedPieces(readFileSync(plain)));
  rmSync(plain);
}

/** Options of the user's own would make other bytes. */
const env = { LC_ALL: 'C', TAR_OPTIONS: undefined, GZIP: undefined };

/** From how many bytes on a file in an archive is a piece of its own. */
const large = 1 << 20;

/**
 * What gzip makes of an archive in pieces, one behind the other, which is a gzip file as well (RFC 1952, 2.2). Its window is
 * a hundredth of a program, so it never sees that an archive has the same one under twenty names: here each is packed once.
 */
async function packedPieces(archive: Buffer): Promise<Buffer> {
  const done = new Map<string, Buffer>();
  const all: Buffer[] = [];
  for (const piece of pieces(archive)) {
    const name = createHash('sha256').update(piece).digest('hex');
    const packed = done.get(name) ?? (await packedBytes(piece));
    done.set(name, packed);
    all.push(packed);
  }
  return Buffer.concat(all);
}

/** The contents of large files, and what lies between them. */
function pieces(archive: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let begun = 0;
  // Blocks of 512 bytes: a header, whose octal number at 124 is the size (ustar, tar.h), and the contents.
  for (let header = 0; header < archive.length; ) {
    const size = Number.parseInt(archive.toString('latin1', header + 124, header + 135), 8) || 0;
    const contents = header + 512;
    const next = contents + Math.ceil(size / 512) * 512;
    if (size >= large) {
      found.push(archive.subarray(begun, contents), archive.subarray(contents, next));
      begun = next;
    }
    header = next;
  }
  if (begun < archive.length) found.push(archive.subarray(begun));
  return found;
}

/** gzip's own header would have the file's name and date. */
async function packedBytes(bytes: Buffer): Promise<Buffer> {
  const { stdout } = await execa('gzip', ['-n', '-c'], { env, input: bytes, encoding: 'buffer' });
  return Buffer.from(stdout);
}

export function hashOf(algorithm: 'sha256' | 'sha512', file: string): string {
  return createHash(algorithm).update(readFileSync(file)).digest('hex');
}

/** Lays beside `file` what `sha256sum --check` and `sha512sum --check` read. */
export function writeChecksums(file: string): void {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    writeFileSync(`${file}.${algorithm}`, `${hashOf(algorithm, file)}  ${basename(file)}\n`);
  }
}
