/** Router advertisements and solicitations (RFC 4861): whether there is DHCPv6, and what it does not tell. */

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

/**
 * Reads an ICMPv6 message from a raw socket, whose kernel has verified the checksum. `undefined` for another type.
 * Throws MalformedPacket: truncated, an option of length 0 or past the end. The caller sees to hop limit 255 and a
 * link-local source.
 */
export function readRouterAdvertisement(_icmp: Uint8Array): RouterAdvertisement | undefined {
  throw new Error('not written yet');
}

/** An ICMPv6 router solicitation from `source` to ff02::2, checksum included. `mac`: not where source is `::`. */
export function writeRouterSolicitation(_source: string, _mac?: Uint8Array): Uint8Array {
  throw new Error('not written yet');
}
