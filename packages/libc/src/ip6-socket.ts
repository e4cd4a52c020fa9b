/** IPv6 datagrams of one link, from and to its neighbours. The socket stays in the namespace it was opened in. */
import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';
import { systemBytes } from './system-text.ts';

const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BINDTODEVICE = 25;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_V6ONLY = 26;
const IPPROTO_ICMPV6 = 58;
const ICMPV6_FILTER = 1;
const EINTR = 4;
const EAGAIN = 11;

/** One received datagram, good until the next is received on whichever socket. */
export interface Datagram6 {
  readonly bytes: Uint8Array;
  /** Address of who sent it: 16 bytes. */
  readonly from: Uint8Array;
}

const received = new Uint8Array(4096);
const sender = new Uint8Array(28);
const senderLength = new Uint8Array(4);

export class Ip6Socket {
  readonly fd: number;
  #closed = false;

  private constructor(type: number, protocol: number, link: string) {
    this.fd = libc().socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (this.fd < 0) throw new SyscallError('socket', libc().errno());
    try {
      this.#option(SOL_SOCKET, SO_BINDTODEVICE, systemBytes(link, true));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** UDP on that port of the link. Throws SyscallError: EADDRINUSE. */
  static udp(link: string, port: number): Ip6Socket {
    const socket = new Ip6Socket(SOCK_DGRAM, 0, link);
    try {
      socket.#option(SOL_SOCKET, SO_REUSEADDR, number(1));
      socket.#option(IPPROTO_IPV6, IPV6_V6ONLY, number(1));
      const address = address6(new Uint8Array(16), port, 0);
      if (libc().bind(socket.fd, address, address.length) !== 0)
        throw new SyscallError('bind', libc().errno());
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** ICMPv6 of one type, as routers and their neighbours send each other: with the highest hop limit there is. */
  static icmp(link: string, type: number): Ip6Socket {
    const socket = new Ip6Socket(SOCK_RAW, IPPROTO_ICMPV6, link);
    try {
      socket.#option(IPPROTO_IPV6, IPV6_UNICAST_HOPS, number(255));
      socket.#option(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, number(255));
      // struct icmp6_filter: a bit for each type that is not let through
      const filter = new Uint8Array(32).fill(0xff);
      filter[type >> 3] = 0xff & ~(1 << (type & 7));
      socket.#option(IPPROTO_ICMPV6, ICMPV6_FILTER, filter);
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  #option(level: number, name: number, value: Uint8Array): void {
    if (libc().setsockopt(this.fd, level, name, value, value.length) !== 0)
      throw new SyscallError('setsockopt', libc().errno());
  }

  /** The next datagram that came, undefined when there is none. */
  receive(): Datagram6 | undefined {
    for (;;) {
      new DataView(senderLength.buffer).setUint32(0, sender.length, true);
      const length = libc().recvfrom(this.fd, received, received.length, 0, sender, senderLength);
      if (length >= 0) return { bytes: received.subarray(0, length), from: sender.subarray(8, 24) };
      const errno = libc().errno();
      if (errno === EAGAIN) return undefined;
      if (errno !== EINTR) throw new SyscallError('recvfrom', errno);
    }
  }

  /** Throws SyscallError: EADDRNOTAVAIL while the link has no address of its own, the first second or two. */
  send(bytes: Uint8Array, to: Uint8Array, port: number, link: number): void {
    const address = address6(to, port, link);
    while (libc().sendto(this.fd, bytes, bytes.length, 0, address, address.length) < 0) {
      const errno = libc().errno();
      if (errno !== EINTR) throw new SyscallError('sendto', errno);
    }
  }

  close(): void {
    // A second time the number may be another file's.
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.fd);
  }
}

function number(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer);
}

/** struct sockaddr_in6, include/uapi/linux/in6.h */
function address6(ip: Uint8Array, port: number, link: number): Uint8Array {
  const address = new Uint8Array(28);
  const numbers = new DataView(address.buffer);
  numbers.setUint16(0, AF_INET6, true);
  numbers.setUint16(2, port, false);
  address.set(ip, 8);
  numbers.setUint32(24, link, true);
  return address;
}
