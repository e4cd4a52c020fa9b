import { parseMac } from '@cni-ts/address/mac';
import { checkMtu } from '@cni-ts/resource/link-mtu';
import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import { parseCniArgs, stringArg } from '@cni-ts/spec/cni-args';
import type { Dns } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. */
export const schema = () => {
  const text = () => z.optional(z.string());
  const id = () => z.optional(z.int().check(z.minimum(0), z.maximum(0xfffffffe)));
  return z.object({
    ...networkConfig,
    multiQueue: z.optional(z.boolean()),
    mtu: z.optional(z.int()),
    mac: text(),
    owner: id(),
    group: id(),
    selinuxContext: text(),
    bridge: text(),
    args: z.optional(z.record(z.string(), z.unknown())),
    runtimeConfig: z.optional(z.object({ mac: text() })),
  });
};

/** What the plugin works by. */
export interface Config {
  readonly multiQueue: boolean;
  /** 0: the kernel's. */
  readonly mtu: number;
  readonly mac: string | undefined;
  readonly runtimeMac: string | undefined;
  readonly owner: number | undefined;
  readonly group: number | undefined;
  /** '' for none. */
  readonly selinuxContext: string;
  readonly bridge: string;
  readonly ipam: string;
  readonly dns: Dns | undefined;
}

export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    multiQueue: raw.multiQueue ?? false,
    mtu: raw.mtu ?? 0,
    mac: raw.mac || undefined,
    runtimeMac: raw.runtimeConfig?.mac || undefined,
    owner: raw.owner,
    group: raw.group,
    selinuxContext: raw.selinuxContext ?? '',
    bridge: raw.bridge ?? '',
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}

/** MAX_MTU less the Ethernet header, drivers/net/tun.c. */
const maxMtu = 65521;

/** The MAC asked for, undefined for any. What ADD and CHECK need, and what DEL must not stumble over: throws for a MAC that
 *  no link can have, an mtu out of range, bad CNI_ARGS. */
export function linkMac(config: Config, args: string): Uint8Array | undefined {
  const { MAC } = parseCniArgs(args, { MAC: stringArg });
  checkMtu('failed to create tap: mtu', config.mtu || undefined, maxMtu);
  const text = config.runtimeMac ?? (MAC || config.mac);
  if (text === undefined) return undefined;
  const mac = parseMac(text);
  if (!mac) throw badMac(text, 'invalid MAC address');
  if (mac.length !== 6) throw badMac(text, 'a tap has a MAC of 6 bytes');
  if (mac[0]! & 1) throw badMac(text, 'it is a multicast address, which no link can have');
  if (mac.every((byte) => byte === 0)) throw badMac(text, 'it is zero, which no link can have');
  return mac;
}

function badMac(text: string, why: string): Error {
  return new Error(`invalid args ${text} for MAC addr: address ${text}: ${why}`);
}
