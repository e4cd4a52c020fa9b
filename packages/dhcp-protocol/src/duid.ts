/** DHCP unique identifiers (RFC 8415, section 11), made from what does not change with the container. */
import { joined, putU16, putU32 } from './big-endian.ts';
import { fromHex } from './hex.ts';

const enterprise = 2;
const linkLayer = 3;
const uuid = 4;
const ethernet = 1;
const infiniband = 32;

/** DUID-LL: by link-layer address, of Ethernet unless it is as long as InfiniBand's. */
export function duidLl(mac: Uint8Array): Uint8Array {
  const head = new Uint8Array(4);
  putU16(head, 0, linkLayer);
  putU16(head, 2, mac.length === 20 ? infiniband : ethernet);
  return joined([head, mac]);
}

/** DUID-EN: a vendor's number and an identifier of its choice. */
export function duidEn(vendor: number, identifier: Uint8Array): Uint8Array {
  const head = new Uint8Array(6);
  putU16(head, 0, enterprise);
  putU32(head, 2, vendor);
  return joined([head, identifier]);
}

/** DUID-UUID (RFC 6355). Undefined where the text is no UUID. */
export function duidUuid(text: string): Uint8Array | undefined {
  const bytes = fromHex(text.split('-').join(''));
  return bytes?.length === 16 ? joined([Uint8Array.of(0, uuid), bytes]) : undefined;
}

/** The number of an identity association, which follows from a text, such as the client id's: 32-bit FNV-1a. */
export function iaidOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
