/** A stream socket at a path that others connect to, for the event loop: nothing here waits. */
import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';
import { unixAddress } from './unix-socket.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const EINTR = 4;
const EAGAIN = 11;
const ECONNABORTED = 103;
const waiting = 128;

export class UnixListener {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Binds and listens. Throws SyscallError: EADDRINUSE for a path where something is. */
  static bind(path: string): UnixListener {
    const address = unixAddress(path, 'bind');
    const fd = libc().socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw new SyscallError('socket', libc().errno());
    try {
      if (libc().bind(fd, address, address.length) !== 0) throw new SyscallError('bind', libc().errno());
      if (libc().listen(fd, waiting) !== 0) throw new SyscallError('listen', libc().errno());
    } catch (error) {
      libc().close(fd);
      throw error;
    }
    return new UnixListener(fd);
  }

  /** One that was passed to this process as a descriptor; undefined when that is no listening socket. */
  static passed(fd: number): UnixListener | undefined {
    const [value, length] = [new Uint8Array(4), new Uint8Array(4)];
    new DataView(length.buffer).setUint32(0, 4, true);
    if (libc().getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, length) !== 0 || value[0] === 0)
      return undefined;
    return new UnixListener(fd);
  }

  /** Who has connected; undefined when nobody has. Throws SyscallError: EMFILE. */
  accept(): UnixConnection | undefined {
    for (;;) {
      const length = new Uint8Array(4); // nothing is to be told of the other end
      const fd = libc().accept4(this.fd, new Uint8Array(1), length, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) return new UnixConnection(fd);
      const errno = libc().errno();
      if (errno === EAGAIN) return undefined;
      if (errno !== EINTR && errno !== ECONNABORTED) throw new SyscallError('accept', errno);
    }
  }

  close(): void {
    libc().close(this.fd);
  }
}

export class UnixConnection {
  readonly fd: number;
  #closed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** How many bytes came: 0 at the end of the stream or when the other end is gone, undefined when there is nothing yet. */
  read(into: Uint8Array): number | undefined {
    for (;;) {
      const got = libc().recv(this.fd, into, into.length, MSG_DONTWAIT);
      if (got >= 0) return got;
      const errno = libc().errno();
      if (errno === EAGAIN) return undefined;
      if (errno !== EINTR) return 0;
    }
  }

  /** How many of the bytes were sent; undefined when the other end is gone. */
  write(bytes: Uint8Array): number | undefined {
    for (;;) {
      const sent = libc().send(this.fd, bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) return sent;
      const errno = libc().errno();
      if (errno === EAGAIN) return 0;
      if (errno !== EINTR) return undefined;
    }
  }

  close(): void {
    // A second time the number may be another file's.
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.fd);
  }
}
