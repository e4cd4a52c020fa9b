/** One packet to somebody, and what comes back within a time: for a tool that asks whether a way is open. */

import { errnoText } from './errno.ts';
import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';

const AF = { 4: 2, 16: 10 } as const;
const SOCK = { stream: 1, datagram: 2, raw: 3 } as const;
const SOCK_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const POLLIN = 1;
const POLLOUT = 4;
const EINPROGRESS = 115;
const ECONNREFUSED = 111;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

export type ProbeOutcome =
  | { readonly kind: 'answered'; readonly what: string }
  /** Who was asked has nobody at that port, or somebody on the way rejects. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'failed'; readonly why: string };

/** `address`: 4 or 16 bytes. From the calling thread's namespace; waits for at most so many milliseconds. */
export function probe(
  protocol: 'tcp' | 'udp' | 'icmp',
  address: Uint8Array,
  port: number,
  milliseconds: number,
): ProbeOutcome {
  const family = AF[address.length as 4 | 16]; // reason: an address has one of these lengths
  const kind = { tcp: SOCK.stream, udp: SOCK.datagram, icmp: SOCK.raw }[protocol];
  const number = protocol === 'icmp' ? (address.length === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) : 0;
  const fd = libc().socket(family, kind | SOCK_CLOEXEC_NONBLOCK, number);
  if (fd < 0) throw new SyscallError('socket', libc().errno());
  try {
    const to = socketAddress(family, address, protocol === 'icmp' ? 0 : port);
    if (libc().connect(fd, to, to.length) !== 0) {
      const errno = libc().errno();
      if (errno !== EINPROGRESS) return ended(errno);
    }
    if (protocol !== 'tcp') {
      const packet = protocol === 'udp' ? new Uint8Array(1) : echoRequest(address.length);
      if (libc().send(fd, packet, packet.length, 0) < 0) return ended(libc().errno());
    }
    return answer(fd, protocol, milliseconds);
  } finally {
    libc().close(fd);
  }
}

function answer(fd: number, protocol: string, milliseconds: number): ProbeOutcome {
  const wanted = protocol === 'tcp' ? POLLOUT : POLLIN;
  const descriptor = new Uint8Array(8);
  const view = new DataView(descriptor.buffer);
  const into = new Uint8Array(2048);
  for (const until = performance.now() + milliseconds; ; ) {
    const left = Math.ceil(until - performance.now());
    if (left <= 0) return { kind: 'silent' };
    view.setInt32(0, fd, true);
    view.setUint16(4, wanted, true);
    if (libc().poll(descriptor, 1, left) <= 0) continue;
    const errno = socketError(fd);
    if (errno !== 0) return ended(errno);
    if (protocol === 'tcp') return { kind: 'answered', what: 'the connection was taken' };
    const got = libc().recv(fd, into, into.length, 0);
    if (got < 0) {
      const why = libc().errno();
      if (why === 11 || why === 4) continue; // nothing after all, or a signal
      return ended(why);
    }
    if (protocol === 'udp') return { kind: 'answered', what: `an answer of ${got} bytes came` };
    if (isEchoReply(into.subarray(0, got))) return { kind: 'answered', what: 'the echo came back' };
  }
}

function ended(errno: number): ProbeOutcome {
  if (errno === ECONNREFUSED) return { kind: 'refused' };
  return { kind: 'failed', why: errnoText(new SyscallError('connect', errno).code) };
}

function socketError(fd: number): number {
  const [value, length] = [new Uint8Array(4), new Uint8Array([4, 0, 0, 0])];
  libc().getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length);
  return new DataView(value.buffer).getInt32(0, true);
}

/** struct sockaddr_in, sockaddr_in6 */
function socketAddress(family: number, address: Uint8Array, port: number): Uint8Array {
  const four = address.length === 4;
  const bytes = new Uint8Array(four ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family, true);
  view.setUint16(2, port);
  bytes.set(address, four ? 4 : 8);
  return bytes;
}

const id = 0x636e;

/** RFC 792 and 4443; the kernel fills in ICMPv6's checksum. */
function echoRequest(length: number): Uint8Array {
  const packet = Uint8Array.of(length === 4 ? 8 : 128, 0, 0, 0, id >> 8, id & 0xff, 0, 1);
  if (length === 4) {
    const sum = 0xffff - (((8 << 8) + id + 1) % 0xffff);
    packet[2] = sum >> 8;
    packet[3] = sum & 0xff;
  }
  return packet;
}

/** A raw socket gets all that comes, for IPv4 with the header before it. */
function isEchoReply(bytes: Uint8Array): boolean {
  const at = bytes[0]! >> 4 === 4 ? (bytes[0]! & 15) * 4 : 0;
  const isReply = bytes[at] === 0 || bytes[at] === 129;
  return isReply && bytes[at + 4] === id >> 8 && bytes[at + 5] === (id & 0xff);
}
