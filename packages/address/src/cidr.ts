/** An address together with the length of its network's prefix. */
import { equalIp, formatIp, type Ip, parseIp } from './ip.ts';

/** Host bits are kept: `10.1.2.3/8` is an address in 10.0.0.0/8 and stays so. */
export interface Cidr {
  readonly ip: Ip;
  /** 0–32 for IPv4, 0–128 for IPv6. */
  readonly prefix: number;
}

/**
 * `address/length`, both strict; leading zeros in the length are let through, as the reference does. An IPv4-mapped
 * network becomes the IPv4 one: `::ffff:1.2.3.4/120` is `1.2.3.4/24`, and a prefix shorter than 96 becomes 0.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = text.slice(0, slash);
  const ip = parseIp(address);
  const length = text.slice(slash + 1);
  const prefix = readDigits(length);
  if (ip === undefined || prefix === undefined) return undefined;
  const writtenAsIpv6 = address.includes(':');
  if (prefix > (writtenAsIpv6 ? 128 : 32)) return undefined;
  return { ip, prefix: writtenAsIpv6 && ip.family === 4 ? Math.max(0, prefix - 96) : prefix };
}

function readDigits(text: string): number | undefined {
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return text === '' ? undefined : value;
}

export function formatCidr(c: Cidr): string {
  return `${formatIp(c.ip)}/${c.prefix}`;
}

/** The network the address lies in: host bits zero. */
export function networkOf(c: Cidr): Cidr {
  const bytes = new Uint8Array(c.ip.bytes); // not slice(): a Buffer's shares its memory
  for (let i = 0; i < bytes.length; i++) bytes[i] = bytes[i]! & maskByte(c.prefix, i);
  return { ip: { family: c.ip.family, bytes }, prefix: c.prefix };
}

/** The network's last address, all host bits one; for IPv4 its broadcast address. */
export function lastOf(c: Cidr): Ip {
  const bytes = new Uint8Array(c.ip.bytes);
  for (let i = 0; i < bytes.length; i++) bytes[i] = bytes[i]! | ~maskByte(c.prefix, i);
  return { family: c.ip.family, bytes };
}

/** Whether the address lies in the network; `network` may have host bits. An address of the other family never does. */
export function contains(network: Cidr, ip: Ip): boolean {
  if (network.ip.family !== ip.family) return false;
  for (let i = 0; i < ip.bytes.length; i++) {
    if ((ip.bytes[i]! ^ network.ip.bytes[i]!) & maskByte(network.prefix, i)) return false;
  }
  return true;
}

/** The same address with the same prefix length. */
export function equalCidr(a: Cidr, b: Cidr): boolean {
  return a.prefix === b.prefix && equalIp(a.ip, b.ip);
}

/** An address alone: a /32 or /128. */
export function hostCidr(ip: Ip): Cidr {
  return { ip, prefix: ip.bytes.length * 8 };
}

export function isHost({ ip, prefix }: Cidr): boolean {
  return prefix === ip.bytes.length * 8;
}

/** The netmask, as long as the address. */
export function maskOf(c: Cidr): Uint8Array {
  return c.ip.bytes.map((_, i) => maskByte(c.prefix, i));
}

function maskByte(prefix: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefix - index * 8));
  return 0xff & (0xff << (8 - bits));
}
