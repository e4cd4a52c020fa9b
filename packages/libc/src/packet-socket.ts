/**
 * IPv4 packets of one link as they are (packet(7)), for a protocol that begins before the link has an address. The socket
 * stays in the namespace it was opened in and keeps that alive; it takes packets only while it listens.
 */
import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const ETH_P_IP = 0x0800;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** BPF_RET, include/uapi/linux/bpf_common.h: how much of the packet is taken. */
const RET = 0x06;
const EINTR = 4;
const EAGAIN = 11;
/** What the kernel says once of a link that went down, or was deleted. */
const ENETDOWN = 100;

/** One received packet, good until the next is received on whichever socket. */
export interface Packet {
  /** From the IP header on. */
  readonly bytes: Uint8Array;
  /** Hardware address of who sent the frame. */
  readonly from: Uint8Array;
}

const received = new Uint8Array(4096);
const sender = new Uint8Array(20);
const senderLength = new Uint8Array(4);

export class PacketSocket {
  readonly fd: number;
  #closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Opens one in the calling thread's namespace that takes no packets yet. Of UDP it will take those to `port`. */
  static open(port: number): PacketSocket {
    const fd = libc().socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw new SyscallError('socket', libc().errno());
    const socket = new PacketSocket(fd);
    try {
      socket.#takeOnlyUdpTo(port);
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  }

  /** Whole UDP datagrams to that port, and nothing else wakes us. */
  #takeOnlyUdpTo(port: number): void {
    const [LDB, LDH, LDXMSH, LDHX, JEQ, JSET] = [0x30, 0x28, 0xb1, 0x48, 0x15, 0x45];
    this.#filter([
      [LDB, 0, 0, 9], // the protocol
      [JEQ, 0, 6, 17],
      [LDH, 0, 0, 6], // the fragment's offset
      [JSET, 4, 0, 0x1fff],
      [LDXMSH, 0, 0, 0], // the header's length
      [LDHX, 0, 0, 2], // the port
      [JEQ, 0, 1, port],
      [RET, 0, 0, 0xffff],
      [RET, 0, 0, 0],
    ]);
  }

  /** Takes no packet any more. */
  mute(): void {
    this.#filter([[RET, 0, 0, 0]]);
  }

  /** struct sock_filter, include/uapi/linux/filter.h */
  #filter(program: readonly (readonly [code: number, yes: number, no: number, k: number])[]): void {
    const code = new Uint8Array(program.length * 8);
    const numbers = new DataView(code.buffer);
    for (const [i, [operation, yes, no, k]] of program.entries()) {
      numbers.setUint16(i * 8, operation, true);
      code[i * 8 + 2] = yes;
      code[i * 8 + 3] = no;
      numbers.setUint32(i * 8 + 4, k, true);
    }
    const described = new Uint8Array(16);
    const description = new DataView(described.buffer);
    description.setUint16(0, program.length, true);
    description.setBigUint64(8, BigInt(libc().address(code)), true);
    if (libc().setsockopt(this.fd, SOL_SOCKET, SO_ATTACH_FILTER, described, 16) !== 0)
      throw new SyscallError('setsockopt', libc().errno());
  }

  /** From now on takes packets of this link. Throws SyscallError: ENODEV, ENXIO when there is no such link. */
  listen(index: number): void {
    const address = linkAddress(index, ETH_P_IP, undefined);
    while (libc().bind(this.fd, address, address.length) !== 0) {
      const errno = libc().errno();
      if (errno !== EINTR) throw new SyscallError('bind', errno);
    }
  }

  /** The next packet that came, undefined when there is none. A link that is down has none. */
  receive(): Packet | undefined {
    for (;;) {
      new DataView(senderLength.buffer).setUint32(0, sender.length, true);
      const length = libc().recvfrom(this.fd, received, received.length, 0, sender, senderLength);
      if (length >= 0) {
        const macLength = Math.min(8, sender[11] ?? 0);
        return { bytes: received.subarray(0, length), from: sender.subarray(12, 12 + macLength) };
      }
      const errno = libc().errno();
      if (errno === EAGAIN || errno === ENETDOWN) return undefined;
      if (errno !== EINTR) throw new SyscallError('recvfrom', errno);
    }
  }

  /** Sends an IPv4 packet on a link to that hardware address. Throws SyscallError: ENETDOWN when the link is down, ENXIO
   *  when it is gone. */
  send(packet: Uint8Array, index: number, to: Uint8Array): void {
    const address = linkAddress(index, ETH_P_IP, to);
    while (libc().sendto(this.fd, packet, packet.length, 0, address, address.length) < 0) {
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

/** struct sockaddr_ll, include/uapi/linux/if_packet.h */
function linkAddress(index: number, protocol: number, mac: Uint8Array | undefined): Uint8Array {
  const address = new Uint8Array(20);
  const numbers = new DataView(address.buffer);
  numbers.setUint16(0, AF_PACKET, true);
  numbers.setUint16(2, protocol, false);
  numbers.setInt32(4, index, true);
  if (mac) {
    address[11] = mac.length;
    address.set(mac.subarray(0, 8), 12);
  }
  return address;
}
