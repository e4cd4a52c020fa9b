/** DHCPv6 messages (RFC 8415, section 8) between client and server; relays' are not read. */
import { joined } from './big-endian.ts';
import { MalformedPacket } from './malformed.ts';
import { addOptionTable6, type Options6, readOptionTable6 } from './options6.ts';

export const clientPort6 = 546;
export const serverPort6 = 547;
/** All_DHCP_Relay_Agents_and_Servers. */
export const allServers6 = 'ff02::1:2';

export const MessageType6 = {
  solicit: 1,
  advertise: 2,
  request: 3,
  confirm: 4,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  reconfigure: 10,
  informationRequest: 11,
} as const;

export interface Message6 {
  readonly type: number;
  /** 24 bits. */
  readonly xid: number;
  readonly options: Options6;
}

const relayForward = 12;
const relayReply = 13;

/** Throws MalformedPacket: truncated, an option past the end, a relay's message. */
export function decodeMessage6(payload: Uint8Array): Message6 {
  if (payload.length < 4) {
    throw new MalformedPacket(`a DHCPv6 message has at least 4 bytes, and this has ${payload.length}`);
  }
  const type = payload[0]!;
  if (type === relayForward || type === relayReply) {
    throw new MalformedPacket('the DHCPv6 message is one between relays and servers');
  }
  const xid = (payload[1]! << 16) | (payload[2]! << 8) | payload[3]!;
  return { type, xid, options: readOptionTable6(payload, 4) };
}

/** Options by ascending code, those the table does not have last. Throws RangeError for what cannot be said. */
export function encodeMessage6({ type, xid, options }: Message6): Uint8Array {
  const pieces = [Uint8Array.of(type, xid >>> 16, xid >>> 8, xid)];
  addOptionTable6(pieces, options);
  return joined(pieces);
}
