import { libc } from './internal/calls.ts';
import { waitOn } from './interruption.ts';
import { SyscallError } from './syscall-error.ts';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const POLLIN = 1;
const EINTR = 4;
const EINVAL = 22;
/** struct sockaddr_un, include/uapi/linux/un.h. */
const longestPath = 108;

/** A connected stream to a local service; everything waits for as long as it takes or is told to. */
export class UnixSocket {
  readonly #fd: number;
  #closed = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * `path`: of the socket; one that begins with a zero byte is abstract. Throws a SyscallError (connect): EAGAIN when
   * a service that is there does not take connections for so many milliseconds, which is also the most that a write
   * waits.
   */
  static connect(path: string, milliseconds: number): UnixSocket {
    const address = unixAddress(path, 'connect');
    const fd = libc().socket(AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
    if (fd < 0) throw new SyscallError('socket', libc().errno());
    const [seconds, rest] = [Math.floor(milliseconds / 1000), milliseconds % 1000];
    const timeout = new Uint8Array(new BigInt64Array([BigInt(seconds), BigInt(rest * 1000)]).buffer);
    libc().setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeout, timeout.length);
    while (libc().connect(fd, address, address.length) !== 0) {
      const errno = libc().errno();
      try {
        if (errno !== EINTR) throw new SyscallError('connect', errno);
        waitOn(`the service at ${path}`);
      } catch (error) {
        libc().close(fd);
        throw error;
      }
    }
    return new UnixSocket(fd);
  }

  /** All of it. Throws a SyscallError (send): EPIPE when nobody is there any more. */
  write(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      const sent = libc().send(this.#fd, rest, rest.length, MSG_NOSIGNAL);
      if (sent >= 0) rest = rest.subarray(sent);
      else if (libc().errno() !== EINTR) throw new SyscallError('send', libc().errno());
      else waitOn('a service to read');
    }
  }

  /** What came, up to 64 KiB: empty at the end of the stream, undefined when nothing came for that long. */
  read(milliseconds: number): Uint8Array | undefined {
    const until = performance.now() + milliseconds;
    const asked = new Uint8Array(8);
    new DataView(asked.buffer).setInt32(0, this.#fd, true);
    asked[4] = POLLIN;
    for (;;) {
      const left = Math.max(0, Math.ceil(until - performance.now()));
      const ready = libc().poll(asked, 1, left);
      if (ready === 0) return undefined;
      if (ready > 0) break;
      if (libc().errno() !== EINTR) throw new SyscallError('poll', libc().errno());
      waitOn("a service's answer");
    }
    const into = new Uint8Array(65536);
    for (;;) {
      const got = libc().recv(this.#fd, into, into.length, 0);
      if (got >= 0) return into.subarray(0, got);
      if (libc().errno() !== EINTR) throw new SyscallError('recv', libc().errno());
      waitOn("a service's answer");
    }
  }

  close(): void {
    // A second time the number may be another file's.
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.#fd);
  }
}

/** struct sockaddr_un. Throws a SyscallError (`call`): EINVAL for a path that does not fit. */
export function unixAddress(path: string, call: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length >= longestPath || name.indexOf(0, 1) >= 0) throw new SyscallError(call, EINVAL);
  const address = new Uint8Array(2 + name.length + (path.startsWith('\0') ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}
