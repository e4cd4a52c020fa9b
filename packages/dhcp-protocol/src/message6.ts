/** DHCPv6 messages (RFC 8415) between client and server; relays' are not read. */
import type { Options6 } from './options6.ts';

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

/** Throws MalformedPacket: truncated, an option past the end, a relay's message. */
export function decodeMessage6(_payload: Uint8Array): Message6 {
  throw new Error('not written yet');
}

export function encodeMessage6(_message: Message6): Uint8Array {
  throw new Error('not written yet');
}
