/** Where the daemon listens: the socket that systemd passed, or one of its own. */
import { removeFile } from '@cni-ts/libc/file';
import { statLink } from '@cni-ts/libc/file-status';
import { makeFolder } from '@cni-ts/libc/folder';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { UnixListener } from '@cni-ts/libc/unix-listener';
import { UnixSocket } from '@cni-ts/libc/unix-socket';
import { messageOf } from '@cni-ts/spec/cni-error';

/** Descriptors that are passed begin here, sd_listen_fds(3). */
const firstPassed = 3;
/** struct sockaddr_un, less the zero at the end. */
const longestPath = 107;

export interface OpenListener {
  readonly listener: UnixListener;
  /** Its socket, where that is ours to remove and to make anew: one that was passed is systemd's. */
  readonly own: OwnSocket | undefined;
}

/** The socket's file. */
export class OwnSocket {
  readonly path: string;
  readonly #made: { readonly dev: number; readonly ino: number } | undefined;

  constructor(path: string) {
    this.path = path;
    this.#made = statLink(path);
  }

  /** Whether it is still there, gone, or another's. Throws `lstat <path>: …`. */
  look(): 'ours' | 'gone' | 'another' {
    const found = statLink(this.path);
    if (!found) return 'gone';
    return found.ino === this.#made?.ino && found.dev === this.#made.dev ? 'ours' : 'another';
  }

  /** Takes it away, and nothing that has come in its place. */
  remove(): void {
    if (this.look() === 'ours') removeFile(this.path);
  }
}

/** Throws Error in the reference's words. `replaces`: a socket that nobody listens on makes way. */
export function openListener(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
  replaces: boolean,
): OpenListener {
  const count = Number(env.LISTEN_FDS ?? '0');
  if (env.LISTEN_PID === String(pid) && Number.isInteger(count) && count > 0) {
    if (count > 1) throw new Error(`Too many (${count}) FDs passed through socket activation`);
    const passed = UnixListener.passed(firstPassed);
    if (!passed) throw new Error('LISTEN_FDS=1 but no FD found');
    return { listener: passed, own: undefined };
  }
  return ownListener(path, replaces);
}

/** One of our own at that path, whose folder is made. Throws as `openListener`. */
export function ownListener(path: string, replaces: boolean): OpenListener {
  const length = new TextEncoder().encode(path).length;
  if (length > longestPath)
    throw new Error(
      `listen unix ${path}: a socket's path has at most ${longestPath} bytes, this one ${length}`,
    );
  makeFolder(path.slice(0, path.lastIndexOf('/')) || '/', 0o700);
  try {
    return { listener: bind(path), own: new OwnSocket(path) };
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error;
    if (!replaces || !isStale(path)) throw error;
    removeFile(path);
    return { listener: bind(path), own: new OwnSocket(path) };
  }
}

function bind(path: string): UnixListener {
  try {
    return UnixListener.bind(path);
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === undefined) throw cause;
    const call = cause instanceof Error && 'call' in cause ? String(cause.call) : 'bind';
    throw Object.assign(new Error(`listen unix ${path}: ${call}: ${messageOf(cause)}`, { cause }), { code });
  }
}

/** A socket that a daemon left which was killed: nobody answers. */
function isStale(path: string): boolean {
  const isSocket = ((statLink(path)?.mode ?? 0) & 0o170000) === 0o140000;
  if (!isSocket) return false;
  try {
    UnixSocket.connect(path, 1000).close();
    return false;
  } catch (error) {
    return errnoOf(error) === 'ECONNREFUSED';
  }
}
