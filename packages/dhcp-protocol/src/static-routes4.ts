/** Routes in options: 121 and 249 (RFC 3442), and 33, which has no masks. */
import { ip4At, ip4Bytes } from './address-bytes.ts';
import { joined } from './big-endian.ts';

/** `gateway` 0.0.0.0 means: on the link. */
export interface StaticRoute4 {
  /** `10.0.0.0/8`; bits beyond the prefix are kept as they came. */
  readonly destination: string;
  readonly gateway: string;
}

/** Undefined for a prefix above 32, a list cut short, and an empty one. */
export function readClasslessRoutes(bytes: Uint8Array): StaticRoute4[] | undefined {
  const routes: StaticRoute4[] = [];
  const destination = new Uint8Array(4);
  let at = 0;
  while (at < bytes.length) {
    const prefix = bytes[at]!;
    const significant = (prefix + 7) >> 3;
    if (prefix > 32 || at + 1 + significant + 4 > bytes.length) return undefined;
    for (let i = 0; i < 4; i++) destination[i] = i < significant ? bytes[at + 1 + i]! : 0;
    at += 1 + significant;
    routes.push({ destination: `${ip4At(destination, 0)}/${prefix}`, gateway: ip4At(bytes, at) });
    at += 4;
  }
  return routes.length === 0 ? undefined : routes;
}

export function writeClasslessRoutes(routes: readonly StaticRoute4[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const { destination, gateway } of routes) {
    const slash = destination.indexOf('/');
    const prefix = Number(destination.slice(slash + 1));
    if (slash < 0 || !(prefix >= 0 && prefix <= 32)) {
      throw new RangeError(`${JSON.stringify(destination)} is no IPv4 network`);
    }
    const address = ip4Bytes(destination.slice(0, slash));
    pieces.push(Uint8Array.of(prefix), address.subarray(0, (prefix + 7) >> 3), ip4Bytes(gateway));
  }
  return joined(pieces);
}

/** The mask is that of the destination's class; a pair that is cut short is left out. */
export function readClassfulRoutes(bytes: Uint8Array): StaticRoute4[] | undefined {
  const routes: StaticRoute4[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const destination = `${ip4At(bytes, at)}/${classPrefix(bytes[at]!)}`;
    routes.push({ destination, gateway: ip4At(bytes, at + 4) });
  }
  return routes.length === 0 ? undefined : routes;
}

/** Prefixes are not written: whoever reads takes them from the class. */
export function writeClassfulRoutes(routes: readonly StaticRoute4[]): Uint8Array {
  return joined(
    routes.flatMap(({ destination, gateway }) => [
      ip4Bytes(destination.split('/', 1)[0]!),
      ip4Bytes(gateway),
    ]),
  );
}

/** The prefix of an address without a mask, by its first byte: classes A, B, and 24 for all others, as the reference
 *  has it. */
export function classPrefix(firstByte: number): number {
  return firstByte < 128 ? 8 : firstByte < 192 ? 16 : 24;
}
