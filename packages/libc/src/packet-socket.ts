/**
 * Packets of one link as they are (packet(7)), for a protocol that begins before the link has an address. The socket
 * stays in the namespace it was opened in and keeps that alive; it takes packets only while it listens.
 */
import { DatagramSocket } from './datagram-socket.ts';
import { libc } from './internal/calls.ts';

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
/** include/uapi/linux/if_ether.h */
const ETH_P_IP = 0x0800;
const ETH_P_ARP = 0x0806;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** BPF_RET, include/uapi/linux/bpf_common.h: how much of the packet is taken. */
const RET = 0x06;
/** What the kernel says once of a link that went down, or was deleted. */
const ENETDOWN = 100;

export class PacketSocket extends DatagramSocket {
  /** A link that is down has no packets. */
  protected override readonly silence = ENETDOWN;

  readonly #protocol: number;

  private constructor(protocol: number) {
    super(AF_PACKET, SOCK_DGRAM, 0);
    this.#protocol = protocol;
  }

  /** Opens one for ARP in the calling thread's namespace that takes no packets yet. */
  static arp(): PacketSocket {
    return new PacketSocket(ETH_P_ARP);
  }

  /** Opens one for IPv4 in the calling thread's namespace that takes no packets yet. Of UDP it will take those to `port`. */
  static open(port: number): PacketSocket {
    const socket = new PacketSocket(ETH_P_IP);
    return socket.setUp(() => socket.#takeOnlyUdpTo(port));
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
    this.option(SOL_SOCKET, SO_ATTACH_FILTER, described);
  }

  /** From now on takes packets of this link. Throws SyscallError: ENODEV, ENXIO when there is no such link. */
  listen(index: number): void {
    this.bind(linkAddress(index, this.#protocol, undefined));
  }

  protected senderIn(address: Uint8Array): Uint8Array {
    return address.subarray(12, 12 + Math.min(8, address[11] ?? 0));
  }

  /** Sends a packet on a link to that hardware address. Throws SyscallError: ENETDOWN when the link is down, ENXIO
   *  when it is gone. */
  send(packet: Uint8Array, index: number, to: Uint8Array): void {
    this.sendTo(packet, linkAddress(index, this.#protocol, to));
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
