/** DHCPv4 messages (RFC 2131, section 2) as they lie in a UDP datagram. */
import { ip4At, ip4Bytes } from './address-bytes.ts';
import { putU16, putU32, u16At, u32At } from './big-endian.ts';
import { MalformedPacket } from './malformed.ts';
import { readOptionAreas4, writeOptionArea4 } from './option-area4.ts';
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
  /** Server's name and boot file, a character for each byte before the first zero; empty where they carry options. */
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

const longestHardwareAddress = 16;
const chaddrAt = 28;
const snameAt = 44;
const fileAt = 108;
const cookieAt = 236;
const cookie = 0x63825363;
const optionsAt = 240;
/** BOOTP's whole message (RFC 951), which servers and relays of its time want. */
const leastLength = 300;

/**
 * Reads the payload of a datagram. Throws MalformedPacket: shorter than the header, another cookie, hardware address
 * longer than its field, an option past the end of its area, no END option.
 */
export function decodeMessage4(payload: Uint8Array): Message4 {
  if (payload.length < optionsAt) {
    throw new MalformedPacket(
      `a DHCP message has at least ${optionsAt} bytes, and this has ${payload.length}`,
    );
  }
  const found = u32At(payload, cookieAt);
  if (found !== cookie) {
    throw new MalformedPacket(`the message is no DHCP: its cookie is ${found.toString(16)}, not 63825363`);
  }
  const hlen = payload[2]!;
  if (hlen > longestHardwareAddress) {
    throw new MalformedPacket(`the hardware address of the DHCP message has ${hlen} bytes, more than 16`);
  }
  const { options, inSname, inFile } = readOptionAreas4(payload, optionsAt, snameAt, fileAt);
  return {
    op: payload[0]!,
    htype: payload[1]!,
    hops: payload[3]!,
    xid: u32At(payload, 4),
    secs: u16At(payload, 8),
    flags: u16At(payload, 10),
    ciaddr: ip4At(payload, 12),
    yiaddr: ip4At(payload, 16),
    siaddr: ip4At(payload, 20),
    giaddr: ip4At(payload, 24),
    chaddr: payload.slice(chaddrAt, chaddrAt + hlen),
    sname: inSname ? '' : readField(payload, snameAt, fileAt),
    file: inFile ? '' : readField(payload, fileAt, cookieAt),
    options,
  };
}

/** The payload: options by ascending code with 82 last, longer ones than 255 bytes split, padded to 300 bytes, which
 *  the BOOTP servers of old want. Throws RangeError for what does not fit its field. */
export function encodeMessage4(message: Message4): Uint8Array {
  if (message.chaddr.length > longestHardwareAddress) {
    throw new RangeError(`a hardware address of ${message.chaddr.length} bytes does not fit into 16`);
  }
  const area = writeOptionArea4(message.options);
  const payload = new Uint8Array(Math.max(leastLength, optionsAt + area.length));
  payload[0] = message.op;
  payload[1] = message.htype;
  payload[2] = message.chaddr.length;
  payload[3] = message.hops;
  putU32(payload, 4, message.xid);
  putU16(payload, 8, message.secs);
  putU16(payload, 10, message.flags);
  payload.set(ip4Bytes(message.ciaddr), 12);
  payload.set(ip4Bytes(message.yiaddr), 16);
  payload.set(ip4Bytes(message.siaddr), 20);
  payload.set(ip4Bytes(message.giaddr), 24);
  payload.set(message.chaddr, chaddrAt);
  writeField(payload, snameAt, fileAt, message.sname);
  writeField(payload, fileAt, cookieAt, message.file);
  putU32(payload, cookieAt, cookie);
  payload.set(area, optionsAt);
  return payload;
}

function readField(payload: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to && payload[at] !== 0; at++) text += String.fromCharCode(payload[at]!);
  return text;
}

function writeField(payload: Uint8Array, from: number, to: number, text: string): void {
  if (text.length > to - from) {
    throw new RangeError(`${JSON.stringify(text)} does not fit into ${to - from} bytes`);
  }
  for (let i = 0; i < text.length; i++) payload[from + i] = text.charCodeAt(i);
}
