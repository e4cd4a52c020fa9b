/** Router advertisements and solicitations (RFC 4861): whether there is DHCPv6, and what it does not tell. */
import { ip6At, ip6Bytes } from './address-bytes.ts';
import { putU16, u16At, u32At } from './big-endian.ts';
import { addToSum, checksumOf } from './checksum.ts';
import { readDomainNames } from './domain-names.ts';
import { MalformedPacket } from './malformed.ts';

export interface RouterAdvertisement {
  readonly hopLimit: number;
  /** M: addresses by DHCPv6. */
  readonly managed: boolean;
  /** O: other configuration by DHCPv6. */
  readonly other: boolean;
  /** Seconds; 0: no default router. */
  readonly routerLifetime: number;
  readonly prefixes: readonly AdvertisedPrefix[];
  readonly mtu?: number;
  /** RFC 8106; lifetimes are seconds, 0 takes them back. */
  readonly rdnss: readonly { readonly lifetime: number; readonly servers: readonly string[] }[];
  readonly dnssl: readonly { readonly lifetime: number; readonly names: readonly string[] }[];
  /** The router's hardware address. */
  readonly sourceLinkLayer?: Uint8Array;
}

/** Lifetimes are seconds, 0xffffffff for ever. */
export interface AdvertisedPrefix {
  /** `2001:db8::/64` */
  readonly prefix: string;
  readonly onLink: boolean;
  readonly autonomous: boolean;
  readonly valid: number;
  readonly preferred: number;
}

const solicitation = 133;
const advertisement = 134;
const icmpv6 = 58;
const allRouters = 'ff02::2';
/** Of options. */
const Type = { sourceLinkLayer: 1, prefix: 3, mtu: 5, rdnss: 25, dnssl: 31 } as const;

/** What the options add up to. */
interface Found {
  prefixes: AdvertisedPrefix[];
  rdnss: { lifetime: number; servers: string[] }[];
  dnssl: { lifetime: number; names: string[] }[];
  mtu?: number;
  sourceLinkLayer?: Uint8Array;
}

/**
 * Reads an ICMPv6 message from a raw socket, whose kernel has verified the checksum. `undefined` for another type.
 * Throws MalformedPacket: truncated, an option of length 0 or past the end. The caller sees to hop limit 255 and a
 * link-local source. An option of another size than it must have counts as absent.
 */
export function readRouterAdvertisement(icmp: Uint8Array): RouterAdvertisement | undefined {
  if (icmp.length < 4) throw new MalformedPacket(`an ICMPv6 message of ${icmp.length} bytes has no header`);
  if (icmp[0] !== advertisement) return undefined;
  if (icmp[1] !== 0) throw new MalformedPacket(`a router advertisement has code 0, and this has ${icmp[1]}`);
  if (icmp.length < 16) {
    throw new MalformedPacket(`a router advertisement has at least 16 bytes, and this has ${icmp.length}`);
  }
  const found: Found = { prefixes: [], rdnss: [], dnssl: [] };
  for (let at = 16; at < icmp.length; ) {
    const length = (icmp[at + 1] ?? 0) * 8; // counted in eights
    if (length === 0 || at + length > icmp.length) {
      throw new MalformedPacket(
        `option ${icmp[at]} of the router advertisement has ${length} bytes by its length, and ${icmp.length - at} are left`,
      );
    }
    readOption(icmp.subarray(at, at + length), found);
    at += length;
  }
  return {
    hopLimit: icmp[4]!,
    managed: (icmp[5]! & 0x80) !== 0,
    other: (icmp[5]! & 0x40) !== 0,
    routerLifetime: u16At(icmp, 6),
    ...found,
  };
}

function readOption(option: Uint8Array, found: Found): void {
  const type = option[0];
  if (type === Type.sourceLinkLayer) found.sourceLinkLayer = option.slice(2);
  else if (type === Type.mtu && option.length === 8) found.mtu = u32At(option, 4);
  else if (type === Type.prefix && option.length === 32 && option[2]! <= 128) {
    found.prefixes.push({
      prefix: `${ip6At(option, 16)}/${option[2]}`,
      onLink: (option[3]! & 0x80) !== 0,
      autonomous: (option[3]! & 0x40) !== 0,
      valid: u32At(option, 4),
      preferred: u32At(option, 8),
    });
  } else if (type === Type.rdnss && option.length >= 24 && option.length % 16 === 8) {
    const servers: string[] = [];
    for (let at = 8; at < option.length; at += 16) servers.push(ip6At(option, at));
    found.rdnss.push({ lifetime: u32At(option, 4), servers });
  } else if (type === Type.dnssl && option.length >= 16) {
    const names = readDomainNames(option.subarray(8), false);
    if (names !== undefined) found.dnssl.push({ lifetime: u32At(option, 4), names });
  }
}

/** An ICMPv6 router solicitation from `source` to ff02::2, checksum included. `mac` of six bytes tells the router where
 *  to answer; it is not said where source is `::`, as section 4.1 wants. */
export function writeRouterSolicitation(source: string, mac?: Uint8Array): Uint8Array {
  const told = mac?.length === 6 && source !== '::' ? mac : undefined;
  const icmp = new Uint8Array(told === undefined ? 8 : 16);
  icmp[0] = solicitation;
  if (told !== undefined) {
    icmp[8] = Type.sourceLinkLayer;
    icmp[9] = 1;
    icmp.set(told, 10);
  }
  // The pseudo header of RFC 8200, section 8.1.
  let sum = addToSum(icmpv6 + icmp.length, ip6Bytes(source), 0, 16);
  sum = addToSum(sum, ip6Bytes(allRouters), 0, 16);
  putU16(icmp, 2, checksumOf(addToSum(sum, icmp, 0, icmp.length)));
  return icmp;
}
