/** IPv4 and UDP around a DHCPv4 message: what a packet socket (SOCK_DGRAM, ETH_P_IP) sends and receives. */
import { ip4At, ip4Bytes } from './address-bytes.ts';
import { putU16, u16At } from './big-endian.ts';
import { addToSum, checksumOf } from './checksum.ts';
import { MalformedPacket } from './malformed.ts';

export const clientPort4 = 68;
export const serverPort4 = 67;

export interface Datagram4 {
  /** Dotted quads. */
  readonly source: string;
  readonly destination: string;
  readonly payload: Uint8Array;
}

const ipHeader = 20;
const udpHeader = 8;
const udp = 17;
const timeToLive = 64;
const dontFragment = 0x4000;
/** More fragments, and the offset of this one. */
const fragmentBits = 0x3fff;

/** An IPv4 packet from the client's port to the server's, both checksums right, TTL 64, not to be fragmented. Throws
 *  RangeError for a payload that no packet holds. */
export function writeFrame4({ source, destination, payload }: Datagram4): Uint8Array {
  const length = ipHeader + udpHeader + payload.length;
  if (length > 0xffff) throw new RangeError(`${payload.length} bytes do not fit into an IPv4 packet`);
  const packet = new Uint8Array(length);
  packet[0] = 0x45; // version 4, a header of five words
  putU16(packet, 2, length);
  putU16(packet, 6, dontFragment);
  packet[8] = timeToLive;
  packet[9] = udp;
  packet.set(ip4Bytes(source), 12);
  packet.set(ip4Bytes(destination), 16);
  putU16(packet, 10, checksumOf(addToSum(0, packet, 0, ipHeader)));
  putU16(packet, ipHeader, clientPort4);
  putU16(packet, ipHeader + 2, serverPort4);
  putU16(packet, ipHeader + 4, udpHeader + payload.length);
  packet.set(payload, ipHeader + udpHeader);
  const checksum = udpChecksum(packet, ipHeader, length);
  putU16(packet, ipHeader + 6, checksum === 0 ? 0xffff : checksum); // 0 would say: there is none
  return packet;
}

/**
 * The payload of a packet to the client's port. `undefined` for what is sound but not ours: another protocol, another
 * port, IPv6. Throws MalformedPacket: lengths that contradict each other, a fragment, a wrong checksum (0 is none).
 * IP options are skipped; what follows the packet, as Ethernet pads it, is cut off.
 *
 * `checksum: false` leaves UDP's unverified: on a veth the sender's kernel may have left it to hardware that is not
 * there (PACKET_AUXDATA says TP_STATUS_CSUMNOTREADY).
 */
export function readFrame4(
  packet: Uint8Array,
  options?: { readonly checksum?: boolean },
): Datagram4 | undefined {
  if (packet.length === 0) throw new MalformedPacket('the packet is empty');
  if (packet[0]! >> 4 !== 4) return undefined;
  if (packet.length < ipHeader) {
    throw new MalformedPacket(`an IPv4 packet has at least 20 bytes, and this has ${packet.length}`);
  }
  const header = (packet[0]! & 15) * 4;
  const end = u16At(packet, 2);
  if (header < ipHeader || end < header || end > packet.length) {
    throw new MalformedPacket(
      `the IPv4 packet is of ${packet.length} bytes, and claims ${end} with a header of ${header}`,
    );
  }
  if (packet[9] !== udp) return undefined;
  if (checksumOf(addToSum(0, packet, 0, header)) !== 0) {
    throw new MalformedPacket('the checksum of the IPv4 header is wrong');
  }
  if ((u16At(packet, 6) & fragmentBits) !== 0) throw new MalformedPacket('the packet is a fragment');
  if (end < header + udpHeader) {
    throw new MalformedPacket(`a UDP header has 8 bytes, and the packet has ${end - header} for it`);
  }
  if (u16At(packet, header + 2) !== clientPort4) return undefined;
  const length = u16At(packet, header + 4);
  if (length < udpHeader || header + length > end) {
    throw new MalformedPacket(`the UDP datagram claims ${length} bytes, and the packet has ${end - header}`);
  }
  const verified = options?.checksum !== false && u16At(packet, header + 6) !== 0;
  if (verified && udpChecksum(packet, header, header + length) !== 0) {
    throw new MalformedPacket('the checksum of the UDP datagram is wrong');
  }
  return {
    source: ip4At(packet, 12),
    destination: ip4At(packet, 16),
    payload: packet.slice(header + udpHeader, header + length),
  };
}

/** Over the pseudo header (addresses, protocol, length) and the datagram that lies from `from` to `to`. */
function udpChecksum(packet: Uint8Array, from: number, to: number): number {
  const pseudo = addToSum(udp + to - from, packet, 12, ipHeader);
  return checksumOf(addToSum(pseudo, packet, from, to));
}
