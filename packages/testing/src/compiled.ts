/** What tests and tools need of their own in C, made by gcc when its source is new, once for all who ask at the same time. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { errnoOf } from '@cni-ts/libc/syscall-error';

const cached = resolve(import.meta.dirname, '../../../.cache');
const built = new Map<string, string>();

/** The executable of `‹name›.c` in that folder, or the library where the name ends in .so; without a folder, beside this
 *  file. */
export function compiled(name: string, folder = import.meta.dirname): string {
  const source = join(folder, `${name}.c`);
  const known = built.get(source);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const unique = `${name}-${digest}`;
  let file = join(cached, unique);
  if (!existsSync(file)) {
    const cache = writable();
    file = join(cache, unique);
    const fresh = mkdtempSync(join(cache, 'fresh-'));
    const made = join(fresh, name);
    // Without libraries to be found an executable starts twice as fast.
    const kind = name.endsWith('.so') ? ['-shared', '-fPIC'] : ['-static'];
    execFileSync('gcc', ['-O2', ...kind, '-Wall', '-Wextra', '-Werror', '-o', made, source]);
    renameSync(made, file);
    rmSync(fresh, { recursive: true });
  }
  built.set(source, file);
  return file;
}

/** Where it may be put: the tree is read-only in user-mode Linux. */
function writable(): string {
  try {
    mkdirSync(cached, { recursive: true });
    accessSync(cached, constants.W_OK);
    return cached;
  } catch (error) {
    if (errnoOf(error) === 'EROFS') return tmpdir();
    throw error;
  }
}
