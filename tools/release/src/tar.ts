/** Archives whose bytes follow from what is in them: nothing of the machine, the user or the day. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
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
  // gzip's own header would have the file's name and date.
  const packed = gzip ? ['--use-compress-program=gzip -n'] : [];
  // Options of the user's own would make other bytes.
  const env = { LC_ALL: 'C', TAR_OPTIONS: undefined, GZIP: undefined };
  await execa(
    'tar',
    ['--create', `--file=${file}`, ...packed, ...fixed, `--directory=${folder}`, ...members],
    {
      env,
    },
  );
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
