/** How the payload of a DHCPv4 option is read and written, by what it is. */
import { ip4At, ip4Bytes } from './address-bytes.ts';
import { joined, putU16, putU32, u16At, u32At } from './big-endian.ts';
import { readDomainNames, writeDomainNames } from './domain-names.ts';
import {
  readClassfulRoutes,
  readClasslessRoutes,
  type StaticRoute4,
  writeClassfulRoutes,
  writeClasslessRoutes,
} from './static-routes4.ts';

export interface Kind4<T> {
  /** Undefined for a payload that is none of this kind; it then counts as absent. */
  read(payload: Uint8Array): T | undefined;
  write(value: T): Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export const ip: Kind4<string> = {
  read: (payload) => (payload.length === 4 ? ip4At(payload, 0) : undefined),
  write: ip4Bytes,
};

export const ips: Kind4<string[]> = {
  read(payload) {
    if (payload.length === 0 || payload.length % 4 !== 0) return undefined;
    const list: string[] = [];
    for (let at = 0; at < payload.length; at += 4) list.push(ip4At(payload, at));
    return list;
  },
  write: (list) => joined(list.map(ip4Bytes)),
};

export const u8: Kind4<number> = {
  read: (payload) => (payload.length === 1 ? payload[0] : undefined),
  write: (value) => Uint8Array.of(value),
};

export const u16: Kind4<number> = {
  read: (payload) => (payload.length === 2 ? u16At(payload, 0) : undefined),
  write(value) {
    const payload = new Uint8Array(2);
    putU16(payload, 0, value);
    return payload;
  },
};

/** Seconds, where it is a time; 0xffffffff is for ever. */
export const u32: Kind4<number> = {
  read: (payload) => (payload.length === 4 ? u32At(payload, 0) : undefined),
  write(value) {
    const payload = new Uint8Array(4);
    putU32(payload, 0, value);
    return payload;
  },
};

/** UTF-8. Zeros at the end, which some servers send, are no part of it; an empty one is none. */
export const text: Kind4<string> = {
  read(payload) {
    let end = payload.length;
    while (end > 0 && payload[end - 1] === 0) end--;
    return end === 0 ? undefined : decoder.decode(payload.subarray(0, end));
  },
  write: (value) => encoder.encode(value),
};

export const bytes: Kind4<Uint8Array> = {
  read: (payload) => payload.slice(),
  write: (value) => value.slice(),
};

/** RFC 3397: domain names, compressed by pointers within the option. */
export const names: Kind4<string[]> = {
  read(payload) {
    const list = readDomainNames(payload, true);
    return list?.length === 0 ? undefined : list;
  },
  write: writeDomainNames,
};

export const classlessRoutes: Kind4<StaticRoute4[]> = {
  read: readClasslessRoutes,
  write: writeClasslessRoutes,
};

export const classfulRoutes: Kind4<StaticRoute4[]> = { read: readClassfulRoutes, write: writeClassfulRoutes };
