import { formatIp, type Ip } from '@cni-ts/address/ip';
import { formatMac } from '@cni-ts/address/mac';

/** IPPROTO_* of protocols with ports. */
export const protocols = { tcp: 6, udp: 17, sctp: 132 } as const;

interface Type {
  /** nft's own number for the type (TYPE_*): the kernel only stores it, nft needs it to list. */
  readonly number: number;
  readonly length: number;
  bytes(value: unknown): Uint8Array;
  read(bytes: Uint8Array): unknown;
  text(value: unknown): string;
}

function type<T>(
  number: number,
  length: number,
  write: (value: T) => Uint8Array,
  read: (from: Uint8Array) => T,
  text: (value: T) => string,
): Type {
  // reason: a key is a list of values of different types; which is which follows from the set's declaration
  return { number, length, bytes: (v) => write(v as T), read, text: (v) => text(v as T) };
}

const addressText = (value: Ip) => formatIp(value);

/** What keys and values of sets can consist of, and the JavaScript value of each. */
export const dataTypes = {
  ipv4_addr: type<Ip>(
    7,
    4,
    (ip) => ip.bytes,
    (b) => ({ family: 4, bytes: b }),
    addressText,
  ),
  ipv6_addr: type<Ip>(
    8,
    16,
    (ip) => ip.bytes,
    (b) => ({ family: 6, bytes: b }),
    addressText,
  ),
  ether_addr: type<Uint8Array>(
    9,
    6,
    (mac) => mac,
    (b) => b,
    formatMac,
  ),
  /** 'tcp', 'udp', 'sctp', or another protocol's number. */
  inet_proto: type<string | number>(
    12,
    1,
    (protocol) =>
      Uint8Array.of(typeof protocol === 'number' ? protocol : (protocols[protocol as 'tcp'] ?? 0)),
    (b) => Object.entries(protocols).find(([, number]) => number === b[0])?.[0] ?? b[0] ?? 0,
    String,
  ),
  inet_service: type<number>(
    13,
    2,
    (port) => Uint8Array.of(port >> 8, port & 0xff),
    (b) => ((b[0] ?? 0) << 8) | (b[1] ?? 0),
    String,
  ),
  mark: type<number>(
    19,
    4,
    (mark) => new Uint8Array(Uint32Array.of(mark).buffer),
    (b) => new DataView(b.buffer, b.byteOffset).getUint32(0, true),
    (mark) => `0x${mark.toString(16)}`,
  ),
  ifname: type<string>(
    41,
    16,
    (name) => {
      const padded = new Uint8Array(16);
      padded.set(new TextEncoder().encode(name).subarray(0, 15));
      return padded;
    },
    (b) => new TextDecoder().decode(b).replace(/\0+$/, ''),
    (name) => `"${name}"`,
  ),
};
export type DataType = keyof typeof dataTypes;
