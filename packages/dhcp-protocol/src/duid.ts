/** DHCP unique identifiers (RFC 8415, section 11), made from what does not change with the container. */

/** DUID-LL: by link-layer address. */
export function duidLl(_mac: Uint8Array): Uint8Array {
  throw new Error('not written yet');
}

/** DUID-EN: a vendor's number and an identifier of its choice. */
export function duidEn(_enterprise: number, _identifier: Uint8Array): Uint8Array {
  throw new Error('not written yet');
}

/** DUID-UUID (RFC 6355). Undefined where the text is no UUID. */
export function duidUuid(_uuid: string): Uint8Array | undefined {
  throw new Error('not written yet');
}

/** The number of an identity association: of four bytes that follow from a text, such as the client id's. */
export function iaidOf(_text: string): number {
  throw new Error('not written yet');
}
