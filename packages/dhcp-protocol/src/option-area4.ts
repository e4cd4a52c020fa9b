/** The bytes that options of DHCPv4 lie in: code, length, payload; 0 is padding and 255 the end (RFC 2132). */
import { joined } from './big-endian.ts';
import { MalformedPacket } from './malformed.ts';
import type { RawOptions4 } from './options4.ts';

const pad = 0;
const end = 255;
/** Says that `file` (1), `sname` (2) or both hold options. */
const overload = 52;
const relayAgentInformation = 82;

/** The pieces of each option, in the order they are to be joined (RFC 3396, section 7). */
type Pieces = Map<number, Uint8Array[]>;

export interface AreasRead {
  readonly options: RawOptions4;
  /** Whether `sname` and `file` held options. */
  readonly inSname: boolean;
  readonly inFile: boolean;
}

/** Reads the options after the cookie, and those in `file` and then `sname` where option 52 says so. Throws
 *  MalformedPacket. */
export function readOptionAreas4(payload: Uint8Array, start: number, sname: number, file: number): AreasRead {
  const pieces: Pieces = new Map();
  if (!readArea(payload, start, payload.length, pieces)) {
    throw new MalformedPacket('the options of the DHCP message have no end (option 255)');
  }
  const places = pieces.get(overload)?.[0]?.[0] ?? 0;
  const inFile = (places & 1) !== 0 && places <= 3;
  const inSname = (places & 2) !== 0 && places <= 3;
  // These two end where their field does, whether they say so or not.
  if (inFile) readArea(payload, file, file + 128, pieces);
  if (inSname) readArea(payload, sname, sname + 64, pieces);
  const options: RawOptions4 = new Map();
  for (const [code, found] of pieces) {
    if (code !== overload) options.set(code, joined(found));
  }
  return { options, inSname, inFile };
}

/** Whether the area says where it ends. What follows its end is not looked at. */
function readArea(payload: Uint8Array, start: number, limit: number, pieces: Pieces): boolean {
  let at = start;
  while (at < limit) {
    const code = payload[at]!;
    at++;
    if (code === pad) continue;
    if (code === end) return true;
    if (at >= limit) throw new MalformedPacket(`option ${code} of the DHCP message has no length`);
    const length = payload[at]!;
    at++;
    if (at + length > limit) {
      throw new MalformedPacket(
        `option ${code} of the DHCP message has ${length} bytes by its length, and ${limit - at} are left`,
      );
    }
    const piece = payload.subarray(at, at + length);
    const others = pieces.get(code);
    if (others === undefined) pieces.set(code, [piece]);
    else others.push(piece);
    at += length;
  }
  return false;
}

/** The options by ascending code, 82 last (RFC 3046, section 2.1), those of more than 255 bytes in pieces, and the end.
 *  Codes 0, 52 and 255 are left out: they are this area's own. */
export function writeOptionArea4(options: RawOptions4): Uint8Array {
  const codes: number[] = [];
  let length = 1;
  for (const [code, payload] of options) {
    if (code === pad || code === end || code === overload) continue;
    codes.push(code);
    length += payload.length + 2 * Math.max(1, Math.ceil(payload.length / 255));
  }
  codes.sort((a, b) => rank(a) - rank(b));
  const area = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    const payload = options.get(code)!;
    let from = 0;
    do {
      const piece = payload.subarray(from, from + 255);
      area[at] = code;
      area[at + 1] = piece.length;
      area.set(piece, at + 2);
      at += 2 + piece.length;
      from += 255;
    } while (from < payload.length);
  }
  area[at] = end;
  return area;
}

function rank(code: number): number {
  return code === relayAgentInformation ? 256 : code;
}
