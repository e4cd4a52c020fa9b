import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';

const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const EINTR = 4;
const EAGAIN = 11;

/** Of the kinds there are, sockaddr_in6 is the longest. */
const longestAddress = 28;
const received = new Uint8Array(4096);
const sender = new Uint8Array(longestAddress);
const senderLength = new Uint8Array(4);

/** One received datagram, good until the next is received on whichever socket. */
export interface Datagram {
  readonly bytes: Uint8Array;
  /** Of who sent it: for IPv6 the address, 16 bytes; for a packet of a link the hardware address. */
  readonly from: Uint8Array;
}

/** A socket of whole datagrams for the event loop: nothing here waits. It stays in the namespace it was opened in. */
export abstract class DatagramSocket {
  readonly fd: number;
  #closed = false;

  /** Opens one in the calling thread's namespace and sets it up; closed again when that fails. */
  protected constructor(family: number, type: number, protocol: number) {
    this.fd = libc().socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (this.fd < 0) throw new SyscallError('socket', libc().errno());
  }

  /** Does what has to be done before the socket is anybody's; it is closed when that fails. */
  protected setUp(work: () => void): this {
    try {
      work();
      return this;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  protected option(level: number, name: number, value: Uint8Array): void {
    if (libc().setsockopt(this.fd, level, name, value, value.length) !== 0)
      throw new SyscallError('setsockopt', libc().errno());
  }

  protected bind(address: Uint8Array): void {
    while (libc().bind(this.fd, address, address.length) !== 0) {
      const errno = libc().errno();
      if (errno !== EINTR) throw new SyscallError('bind', errno);
    }
  }

  protected sendTo(bytes: Uint8Array, address: Uint8Array): void {
    while (libc().sendto(this.fd, bytes, bytes.length, 0, address, address.length) < 0) {
      const errno = libc().errno();
      if (errno !== EINTR) throw new SyscallError('sendto', errno);
    }
  }

  /** Who sent a datagram, of the address that the kernel tells. */
  protected abstract senderIn(address: Uint8Array): Uint8Array;

  /** What the kernel says of a socket that has nothing to tell for now, besides that it has nothing. */
  protected readonly silence: number = EAGAIN;

  /** The next datagram that came, undefined when there is none. */
  receive(): Datagram | undefined {
    for (;;) {
      new DataView(senderLength.buffer).setUint32(0, longestAddress, true);
      const length = libc().recvfrom(this.fd, received, received.length, 0, sender, senderLength);
      if (length >= 0) return { bytes: received.subarray(0, length), from: this.senderIn(sender) };
      const errno = libc().errno();
      if (errno === EAGAIN || errno === this.silence) return undefined;
      if (errno !== EINTR) throw new SyscallError('recvfrom', errno);
    }
  }

  close(): void {
    // A second time the number may be another file's.
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.fd);
  }
}
