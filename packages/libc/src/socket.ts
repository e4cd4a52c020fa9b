import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const SO_RCVTIMEO = 20;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const longestWaitMs = 60_000;
const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;

/** A netlink socket of the calling thread's namespace, as bytes in and bytes out. */
export class RawNetlinkSocket {
  #closed = false;
  readonly fd: number;

  /** `protocol`: include/uapi/linux/netlink.h (0 route, 12 netfilter). Receiving gives up after 60 s. */
  constructor(protocol: number) {
    this.fd = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
    if (this.fd < 0) throw new SyscallError('socket', libc().errno());
    this.setOption(SOL_SOCKET, SO_RCVTIMEO, new BigInt64Array([BigInt(longestWaitMs / 1000), 0n]));
  }

  /** setsockopt(2) with an int or a ready-made structure; false when the kernel does not know the option. */
  setOption(level: number, name: number, value: number | BigInt64Array): boolean {
    const bytes = new Uint8Array(typeof value === 'number' ? new Int32Array([value]).buffer : value.buffer);
    return libc().setsockopt(this.fd, level, name, bytes, bytes.length) === 0;
  }

  /** A larger receive buffer, for transactions whose many acks would not fit. Needs CAP_NET_ADMIN; else no effect. */
  enlargeReceiveBuffer(bytes: number): void {
    this.setOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  }

  /** A larger send buffer, for messages beyond the usual 200 KiB (EMSGSIZE). Needs CAP_NET_ADMIN; else no effect. */
  enlargeSendBuffer(bytes: number): void {
    this.setOption(SOL_SOCKET, SO_SNDBUFFORCE, bytes);
  }

  /** From now on also receives what the kernel tells this group of listeners (RTNLGRP_*, NFNLGRP_*). */
  join(group: number): void {
    // struct sockaddr_nl: without a number of its own a socket is told nothing; the kernel gives it one.
    const address = new Uint8Array(12);
    address[0] = AF_NETLINK;
    if (libc().bind(this.fd, address, address.length) !== 0) throw new SyscallError('bind', libc().errno());
    if (!this.setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group))
      throw new SyscallError('setsockopt', libc().errno());
  }

  send(message: Uint8Array): void {
    let until: number | undefined;
    while (libc().send(this.fd, message, message.length, 0) < 0) {
      const errno = libc().errno();
      until = later(until);
      if (errno !== EINTR || performance.now() > until) throw new SyscallError('send', errno);
    }
  }

  /**
   * Receives one datagram into `into` and returns its length. A signal does not end this waiting: the kernel's answer
   * tells what there is to undo.
   */
  receive(into: Uint8Array): number {
    let until: number | undefined;
    for (;;) {
      const length = libc().recv(this.fd, into, into.length, 0);
      if (length >= 0) return length;
      const errno = libc().errno();
      until = later(until);
      if (errno === EAGAIN || (errno === EINTR && performance.now() > until)) {
        throw new SyscallError('recv', EAGAIN, `the kernel did not answer within ${longestWaitMs / 1000} s`);
      }
      if (errno !== EINTR) throw new SyscallError('recv', errno);
    }
  }

  /** The same if something is there; undefined if not. */
  receiveNow(into: Uint8Array): number | undefined {
    const length = libc().recv(this.fd, into, into.length, MSG_DONTWAIT);
    if (length >= 0) return length;
    const errno = libc().errno();
    if (errno === EAGAIN || errno === EINTR) return undefined;
    throw new SyscallError('recv', errno);
  }

  close(): void {
    // A second time the number may be another file's.
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.fd);
  }
}

/** When waiting that began, or was interrupted for the first time, a moment ago has to end. */
function later(until: number | undefined): number {
  return until ?? performance.now() + longestWaitMs;
}
