/** IPv4 and UDP around a DHCPv4 message: what a packet socket (SOCK_DGRAM, ETH_P_IP) sends and receives. */

export const clientPort4 = 68;
export const serverPort4 = 67;

export interface Datagram4 {
  /** Dotted quads. */
  readonly source: string;
  readonly destination: string;
  readonly payload: Uint8Array;
}

/** An IPv4 packet from the client's port to the server's, both checksums right, TTL 64, not to be fragmented. */
export function writeFrame4(_datagram: Datagram4): Uint8Array {
  throw new Error('not written yet');
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
  _packet: Uint8Array,
  _options?: { readonly checksum?: boolean },
): Datagram4 | undefined {
  throw new Error('not written yet');
}
