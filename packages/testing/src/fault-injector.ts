/** Failures of the kernel and the disk, and signals, for a program that is executed: see fault-injector.c. */
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

/** What happens at a change: it is refused, its answer is lost, or a signal comes before it. */
export type FaultMode = 'refuse' | 'lose' | 'kill' | 'term';

export interface Fault {
  readonly mode: FaultMode;
  /** The how many-th change, from 1; 0: none, they are counted only. */
  readonly at: number;
}

/** What the injector itself says by its exit status. */
export const injectorStatus = { hung: 124, broken: 125 } as const;

const source = join(import.meta.dirname, 'fault-injector.c');
const cached = resolve(import.meta.dirname, '../../../.cache');
let built: string | undefined;

/** The injector's executable: built by gcc when its source is new, once for all who ask at the same time. */
function injector(): string {
  if (built !== undefined) return built;
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const name = `fault-injector-${digest}`;
  let file = join(cached, name);
  if (!existsSync(file)) {
    const cache = writable();
    file = join(cache, name);
    const folder = mkdtempSync(join(cache, 'fresh-'));
    const made = join(folder, 'fault-injector');
    execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', made, source]);
    renameSync(made, file);
    rmSync(folder, { recursive: true });
  }
  built = file;
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

/** The command that runs `program` under this fault and writes its changes, one a line, to the file `report`. */
export function underFault(
  fault: Fault,
  report: string,
  program: string,
  args: readonly string[] = [],
): [file: string, args: string[]] {
  return [injector(), [fault.mode, String(fault.at), report, program, ...args]];
}

/** The changes a program made until the fault, that one included. */
export function reported(report: string): string[] {
  return readFileSync(report, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
