/** How the payload of a DHCPv6 option is read and written, by what it is. */
import { ip6At, ip6Bytes } from './address-bytes.ts';
import { joined, putU16, putU32, u16At, u32At } from './big-endian.ts';
import { readDomainNames, writeDomainNames } from './domain-names.ts';
import { addOption6, readOptions6 } from './option-list6.ts';

export interface Kind6<T> {
  /** Undefined for a payload that is none of this kind; it then counts as absent. */
  read(payload: Uint8Array): T | undefined;
  /** Payloads, each of an option of its own. */
  write(value: T): Uint8Array[];
  /** What a second option of the kind adds to the first. Without it, the first counts. */
  add?(value: T, more: T): void;
}

/** An identity association for addresses. Times are seconds; 0xffffffff is for ever, 0 leaves it to the client. */
export interface IaNa {
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  readonly addresses: readonly IaAddress[];
  readonly status?: Status6;
}

/** Lifetimes are seconds. */
export interface IaAddress {
  readonly address: string;
  readonly preferred: number;
  readonly valid: number;
  readonly status?: Status6;
}

export interface Status6 {
  readonly code: number;
  readonly message: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const iaAddressCode = 5;
const statusCode = 13;

export const bytes: Kind6<Uint8Array> = {
  read: (payload) => payload.slice(),
  write: (value) => [value.slice()],
};

export const flag: Kind6<true> = { read: () => true, write: () => [new Uint8Array(0)] };

export const u8: Kind6<number> = {
  read: (payload) => (payload.length === 1 ? payload[0] : undefined),
  write: (value) => [Uint8Array.of(value)],
};

export const u16: Kind6<number> = {
  read: (payload) => (payload.length === 2 ? u16At(payload, 0) : undefined),
  write: (value) => [words16([value])],
};

export const u32: Kind6<number> = {
  read: (payload) => (payload.length === 4 ? u32At(payload, 0) : undefined),
  write(value) {
    const payload = new Uint8Array(4);
    putU32(payload, 0, value);
    return [payload];
  },
};

/** Codes of options. */
export const codes: Kind6<number[]> = {
  read(payload) {
    if (payload.length % 2 !== 0) return undefined;
    const list: number[] = [];
    for (let at = 0; at < payload.length; at += 2) list.push(u16At(payload, at));
    return list;
  },
  write: (list) => [words16(list)],
};

export const ips: Kind6<string[]> = {
  read(payload) {
    if (payload.length === 0 || payload.length % 16 !== 0) return undefined;
    const list: string[] = [];
    for (let at = 0; at < payload.length; at += 16) list.push(ip6At(payload, at));
    return list;
  },
  write: (list) => [joined(list.map(ip6Bytes))],
};

/** Domain names, never compressed (RFC 8415, section 10). */
export const names: Kind6<string[]> = {
  read(payload) {
    const list = readDomainNames(payload, false);
    return list?.length === 0 ? undefined : list;
  },
  write: (list) => [writeDomainNames(list)],
};

export const status: Kind6<Status6> = {
  read(payload) {
    if (payload.length < 2) return undefined;
    return { code: u16At(payload, 0), message: decoder.decode(payload.subarray(2)) };
  },
  write: ({ code, message }) => [joined([words16([code]), encoder.encode(message)])],
};

/** RFC 5908: each option has one source of time, which is an address (1), a multicast group (2) or a name (3). */
export const ntp: Kind6<string[]> = {
  read(payload) {
    const list: string[] = [];
    readOptions6(payload, 0, payload.length, (code, source) => {
      if (code === 1 && source.length === 16) list.push(ip6At(source, 0));
      const found = code === 3 ? readDomainNames(source, false) : undefined;
      if (found?.length === 1) list.push(found[0]!);
    });
    return list.length === 0 ? undefined : list;
  },
  write: (list) =>
    list.map((source) => {
      const pieces: Uint8Array[] = [];
      if (source.includes(':')) addOption6(pieces, 1, ip6Bytes(source));
      else addOption6(pieces, 3, writeDomainNames([source]));
      return joined(pieces);
    }),
  add: (list, more) => {
    list.push(...more);
  },
};

export const iaNa: Kind6<IaNa[]> = {
  read: (payload) => (payload.length < 12 ? undefined : [readIa(payload)]),
  write: (list) => list.map(writeIa),
  add: (list, more) => {
    list.push(...more);
  },
};

function readIa(payload: Uint8Array): IaNa {
  const addresses: IaAddress[] = [];
  let said: Status6 | undefined;
  readOptions6(payload, 12, payload.length, (code, inner) => {
    if (code === iaAddressCode && inner.length >= 24) addresses.push(readIaAddress(inner));
    if (code === statusCode) said ??= status.read(inner);
  });
  const ia = { iaid: u32At(payload, 0), t1: u32At(payload, 4), t2: u32At(payload, 8), addresses };
  return said === undefined ? ia : { ...ia, status: said };
}

function readIaAddress(payload: Uint8Array): IaAddress {
  let said: Status6 | undefined;
  readOptions6(payload, 24, payload.length, (code, inner) => {
    if (code === statusCode) said ??= status.read(inner);
  });
  const one = { address: ip6At(payload, 0), preferred: u32At(payload, 16), valid: u32At(payload, 20) };
  return said === undefined ? one : { ...one, status: said };
}

function writeIa(ia: IaNa): Uint8Array {
  const head = new Uint8Array(12);
  putU32(head, 0, ia.iaid);
  putU32(head, 4, ia.t1);
  putU32(head, 8, ia.t2);
  const pieces = [head];
  for (const one of ia.addresses) addOption6(pieces, iaAddressCode, writeIaAddress(one));
  if (ia.status !== undefined) addOption6(pieces, statusCode, status.write(ia.status)[0]!);
  return joined(pieces);
}

function writeIaAddress(one: IaAddress): Uint8Array {
  const head = new Uint8Array(24);
  head.set(ip6Bytes(one.address), 0);
  putU32(head, 16, one.preferred);
  putU32(head, 20, one.valid);
  const pieces = [head];
  if (one.status !== undefined) addOption6(pieces, statusCode, status.write(one.status)[0]!);
  return joined(pieces);
}

function words16(values: readonly number[]): Uint8Array {
  const payload = new Uint8Array(2 * values.length);
  for (let i = 0; i < values.length; i++) putU16(payload, 2 * i, values[i]!);
  return payload;
}
