import { type VlanProtocol, vlanProtocols } from '@cni-ts/rtnetlink/kinds/vlan';
import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import type { Dns } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () =>
  z.object({
    ...networkConfig,
    master: z.optional(z.string()),
    vlanId: z.optional(z.int()),
    mtu: z.optional(z.int()),
    protocol: z.optional(z.string()),
    linkInContainer: z.optional(z.boolean()),
  });

/** What the plugin works by: nothing optional that has a default. What only ADD and CHECK need is in `tagOf`. */
export interface Config {
  /** '' is an error of all but DEL and GC. */
  readonly master: string;
  readonly linkInContainer: boolean;
  readonly vlanId: number;
  readonly protocol: string;
  /** 0: the master's. */
  readonly mtu: number;
  readonly ipam: string;
  readonly dns: Dns | undefined;
}

export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    master: raw.master ?? '',
    linkInContainer: raw.linkInContainer ?? false,
    vlanId: raw.vlanId ?? 0,
    protocol: raw.protocol ?? '',
    mtu: raw.mtu ?? 0,
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}

/** What is written into each packet. */
export interface Tag {
  readonly id: number;
  readonly protocol: VlanProtocol;
}

/** What ADD and CHECK need, and what DEL must not stumble over. Throws without master, for an unknown protocol and for an
 *  ID that is none: 0 (priority alone) to 4094; 4095 is reserved (IEEE 802.1Q). */
export function tagOf({ master, vlanId, protocol }: Config): Tag {
  if (master === '') {
    throw new Error(
      '"master" field is required. It specifies the host interface name to create the VLAN for',
    );
  }
  if (vlanId < 0 || vlanId > 4094) {
    const told = `invalid VLAN ID ${vlanId} (must be between 0 and 4095 inclusive)`;
    throw new Error(vlanId === 4095 ? `${told}: 4095 is reserved` : `${told}: the last one is 4094`);
  }
  const known = Object.keys(vlanProtocols) as VlanProtocol[]; // reason: the keys of that table
  const found = known.find((one) => one === (protocol || '802.1q').toLowerCase());
  if (!found) {
    throw new Error(`unknown VLAN protocol: ${JSON.stringify(protocol)} (known are ${known.join(', ')})`);
  }
  return { id: vlanId, protocol: found };
}
