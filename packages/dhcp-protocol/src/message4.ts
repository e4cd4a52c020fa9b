/** DHCPv4 messages (RFC 2131, section 2) as they lie in a UDP datagram. */
import type { RawOptions4 } from './options4.ts';

export interface Message4 {
  /** 1 from a client, 2 from a server. */
  readonly op: number;
  /** Kind of hardware: 1 Ethernet, 32 InfiniBand. */
  readonly htype: number;
  readonly hops: number;
  /** Transaction, 32 bits. */
  readonly xid: number;
  /** Seconds since the client began. */
  readonly secs: number;
  /** 0x8000 is the broadcast flag. */
  readonly flags: number;
  /** Addresses are dotted quads, `0.0.0.0` for none. */
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  /** The client's hardware address, at most 16 bytes. */
  readonly chaddr: Uint8Array;
  /** Server's name and boot file, without what follows their first zero; empty where they carry options. */
  readonly sname: string;
  readonly file: string;
  /** By code, repeated ones joined (RFC 3396); without pad, end and overload. */
  readonly options: RawOptions4;
}

/** Values of option 53, by RFC 2132, section 9.6. */
export const MessageType4 = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** The flag of a client that cannot take unicast before it has an address. */
export const broadcastFlag = 0x8000;

/**
 * Reads the payload of a datagram. Throws MalformedPacket: shorter than the header, another cookie, hardware address
 * longer than its field, an option past the end of its area, no END option.
 */
export function decodeMessage4(_payload: Uint8Array): Message4 {
  throw new Error('not written yet');
}

/** The payload: options by ascending code with 82 last, longer ones than 255 bytes split, padded to 300 bytes, which
 *  the BOOTP servers of old want. */
export function encodeMessage4(_message: Message4): Uint8Array {
  throw new Error('not written yet');
}
