import { kernelWrite } from '@cni-ts/libc/fault';
import { mayAccess, realPath } from '@cni-ts/libc/file';

export type Family = 4 | 6;
/** What stands behind the name `iptables`: a front end of nf_tables, or the older tables of the kernel. */
export type Variant = 'nft' | 'legacy';

/** An iptables program that could not be found or said no. */
export class IptablesError extends Error {
  override readonly name = 'IptablesError';
  /** Exit status; undefined when the program did not run at all. */
  readonly status: number | undefined;
  constructor(message: string, status?: number, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

/** `iptables-restore` for IPv4, `ip6tables-restore` for IPv6; without an action the plain program. */
export function programName(family: Family, action?: 'restore' | 'save', variant?: Variant): string {
  return [
    'ip',
    family === 6 ? '6' : '',
    'tables',
    variant ? `-${variant}` : '',
    action ? `-${action}` : '',
  ].join('');
}

/** The first executable of this name in PATH. No process is started. */
export function findProgram(name: string): string | undefined {
  const path = process.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  for (const folder of path.split(':')) {
    if (folder === '') continue;
    const file = `${folder}/${name}`;
    // Not in this folder, or not executable: the search goes on, as execvp(3) does.
    if (mayAccess(file, { execute: true })) return file;
  }
  return undefined;
}

/** Which variant a program is, from the name of the file that its links lead to (`xtables-nft-multi`). */
export function variantOf(file: string): Variant | undefined {
  const target = realPath(file);
  if (target.includes('legacy')) return 'legacy';
  return target.includes('nft') ? 'nft' : undefined;
}

/** The program for one variant, under its own name or because the plain name leads to it. */
export function findVariant(
  family: Family,
  action: 'restore' | 'save',
  variant: Variant,
): string | undefined {
  const own = findProgram(programName(family, action, variant));
  if (own !== undefined) return own;
  const plain = findProgram(programName(family, action));
  return plain !== undefined && variantOf(plain) === variant ? plain : undefined;
}

/**
 * Runs a program in the calling thread's network namespace and returns its output. A failure becomes an
 * IptablesError with the command, its status and what it said.
 */
export function runProgram(file: string, args: readonly string[], input?: string): string {
  if (input !== undefined) kernelWrite(file.slice(file.lastIndexOf('/') + 1));
  const command = [file, ...args].join(' ');
  let done: Finished;
  try {
    done = spawn(file, args, input ?? '');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new IptablesError(`running [${command}]: ${why}`, undefined, error);
  }
  if (done.status === 0) return done.stdout;
  const status = done.status === undefined ? `signal: ${done.signal}` : `exit status ${done.status}`;
  throw new IptablesError(`running [${command}]: ${status}: ${done.stderr.trim()}`, done.status);
}

interface Finished {
  readonly status: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** The part of Bun's own process starting that we use. */
interface BunProcesses {
  spawnSync(
    command: readonly string[],
    options: { stdin: Uint8Array; stdout: 'pipe'; stderr: 'pipe'; env: NodeJS.ProcessEnv },
  ): { exitCode: number | null; signalCode?: string; stdout: Buffer; stderr: Buffer };
}

/** On Bun without node:child_process, whose loading costs as much as the program itself. Throws if it cannot start. */
function spawn(file: string, args: readonly string[], input: string): Finished {
  const { env } = process;
  const bun = (globalThis as { Bun?: BunProcesses }).Bun; // reason: a global that only one of our runtimes has
  if (bun) {
    const stdin = new TextEncoder().encode(input);
    const done = bun.spawnSync([file, ...args], { stdin, stdout: 'pipe', stderr: 'pipe', env });
    return {
      // A program ended by a signal has no status of its own.
      status: done.signalCode ? undefined : (done.exitCode ?? undefined),
      signal: done.signalCode,
      stdout: done.stdout.toString(),
      stderr: done.stderr.toString(),
    };
  }
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const done = spawnSync(file, args, { input, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024, env });
  // A program that ends before it has read its input leaves an EPIPE here; its status says what happened.
  if (done.error && done.status === null && done.signal === null) throw done.error;
  const { stdout, stderr } = done;
  return { status: done.status ?? undefined, signal: done.signal ?? undefined, stdout, stderr };
}

/** The program, or the reference's words for its absence. */
export function requireProgram(name: string): string {
  const found = findProgram(name);
  if (found !== undefined) return found;
  const plain = name.replace(/-(restore|save)$/, '');
  throw new IptablesError(`failed to locate ${plain}: exec: "${name}": executable file not found in $PATH`);
}
