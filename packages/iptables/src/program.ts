import { kernelWrite } from '@cni-ts/libc/fault';
import { realPath } from '@cni-ts/libc/file';
import { mayAccess } from '@cni-ts/libc/file-status';
import { type Ended, runToEnd } from '@cni-ts/libc/program';
import { messageOf } from '@cni-ts/spec/cni-error';

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

/** What was found, by PATH and name: a call asks for the same few programs again and again. */
const found = new Map<string, string | undefined>();

/**
 * The first executable of this name in PATH. No process is started. What is installed or removed while this process
 * lives, it does not see.
 */
export function findProgram(name: string): string | undefined {
  const path = process.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const key = `${path}:${name}`;
  if (!found.has(key)) found.set(key, searchProgram(path, name));
  return found.get(key);
}

function searchProgram(path: string, name: string): string | undefined {
  for (const folder of path.split(':')) {
    if (folder === '') continue;
    const file = `${folder}/${name}`;
    // Not in this folder, or not executable: the search goes on, as execvp(3) does.
    if (mayAccess(file, { execute: true })) return file;
  }
  return undefined;
}

const variants = new Map<string, Variant | undefined>();

/** Which variant a program is, from the name of the file that its links lead to (`xtables-nft-multi`), as that is at
 *  the first look. */
export function variantOf(file: string): Variant | undefined {
  if (!variants.has(file)) variants.set(file, readVariant(file));
  return variants.get(file);
}

function readVariant(file: string): Variant | undefined {
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
  let done: Ended;
  try {
    done = runToEnd(file, args, process.env, input ?? '');
  } catch (error) {
    throw new IptablesError(`running [${command}]: ${messageOf(error)}`, undefined, error);
  }
  if (done.status === 0) return done.stdout;
  const status = done.status === undefined ? `signal: ${done.signal}` : `exit status ${done.status}`;
  throw new IptablesError(`running [${command}]: ${status}: ${done.stderr.trim()}`, done.status);
}

/** The program, or the reference's words for its absence. */
export function requireProgram(name: string): string {
  const program = findProgram(name);
  if (program !== undefined) return program;
  const plain = name.replace(/-(restore|save)$/, '');
  throw new IptablesError(`failed to locate ${plain}: exec: "${name}": executable file not found in $PATH`);
}
