/** Options of DHCPv6 one after the other: code, length, payload, with 16 bits for both numbers (RFC 8415, section 21.1). */
import { putU16, u16At } from './big-endian.ts';
import { MalformedPacket } from './malformed.ts';

/** Calls `each` for every option from `start` to `end`; the payload is a view of the message. Throws MalformedPacket. */
export function readOptions6(
  message: Uint8Array,
  start: number,
  end: number,
  each: (code: number, payload: Uint8Array) => void,
): void {
  let at = start;
  while (at < end) {
    if (at + 4 > end)
      throw new MalformedPacket(`${end - at} bytes after the last DHCPv6 option are no option`);
    const code = u16At(message, at);
    const length = u16At(message, at + 2);
    at += 4;
    if (at + length > end) {
      throw new MalformedPacket(
        `option ${code} of the DHCPv6 message has ${length} bytes by its length, and ${end - at} are left`,
      );
    }
    each(code, message.subarray(at, at + length));
    at += length;
  }
}

/** Adds an option to the pieces of a message. Throws RangeError for a payload above 65535 bytes. */
export function addOption6(pieces: Uint8Array[], code: number, payload: Uint8Array): void {
  if (payload.length > 0xffff) throw new RangeError(`${payload.length} bytes do not fit into an option`);
  const head = new Uint8Array(4);
  putU16(head, 0, code);
  putU16(head, 2, payload.length);
  pieces.push(head, payload);
}
