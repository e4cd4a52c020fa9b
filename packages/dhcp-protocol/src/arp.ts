/** ARP for IPv4 on Ethernet (RFC 826), as far as it takes to ask whether an address is in use (RFC 5227). */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { ip4At, ip4Bytes, noAddress4 } from './address-bytes.ts';
import { MalformedPacket } from './malformed.ts';

const request = 1;
/** htype Ethernet, ptype IPv4, lengths of their addresses. */
const head = [0, 1, 8, 0, 6, 4];
const length = 28;

/** A question for who has the address, from somebody who does not say that he has one (RFC 5227, section 1.1: a probe). */
export function arpProbe(mac: string, address: string): Uint8Array {
  const packet = new Uint8Array(length);
  packet.set(head);
  packet[7] = request;
  packet.set(parseMac(mac) ?? [], 8);
  packet.set(ip4Bytes(address), 24);
  return packet;
}

/** The hardware address of another host that has the address, or is about to take it, as the packet shows; undefined where it
 *  does not. Throws MalformedPacket for what is no ARP of IPv4 on Ethernet. */
export function arpConflict(packet: Uint8Array, mac: string, address: string): string | undefined {
  if (packet.length < length || head.some((byte, i) => packet[i] !== byte))
    throw new MalformedPacket('no ARP of IPv4 on Ethernet');
  const sender = formatMac(packet.subarray(8, 14));
  if (sender === mac) return undefined;
  const [from, about] = [ip4At(packet, 14), ip4At(packet, 24)];
  const probes = packet[7] === request && from === noAddress4 && about === address;
  return from === address || probes ? sender : undefined;
}
