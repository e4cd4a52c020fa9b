import { type IpvlanMode, ipvlanModes } from '@cni-ts/rtnetlink/kinds/ipvlan';
import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import type { Dns } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () =>
  z.object({
    ...networkConfig,
    master: z.optional(z.string()),
    mode: z.optional(z.string()),
    mtu: z.optional(z.int()),
    linkInContainer: z.optional(z.boolean()),
  });

/** What the plugin works by: nothing optional that has a default. */
export interface Config {
  /** '': the one link that prevResult names, or without prevResult that of the default route. */
  readonly master: string;
  readonly linkInContainer: boolean;
  readonly mode: string;
  /** 0, and less: the master's. It may be longer than that. */
  readonly mtu: number;
  /** '': the addresses are prevResult's. */
  readonly ipam: string;
  readonly dns: Dns | undefined;
}

export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    master: raw.master ?? '',
    linkInContainer: raw.linkInContainer ?? false,
    mode: raw.mode ?? '',
    mtu: raw.mtu ?? 0,
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}

const modes = Object.keys(ipvlanModes) as IpvlanMode[]; // reason: the keys of that table

/** What ADD and CHECK need, and what DEL must not stumble over. */
export function modeOf({ mode }: Config): IpvlanMode {
  const known = modes.find((one) => one === (mode || 'l2'));
  if (!known) throw new Error(`unknown ipvlan mode: ${JSON.stringify(mode)} (known are ${modes.join(', ')})`);
  return known;
}
