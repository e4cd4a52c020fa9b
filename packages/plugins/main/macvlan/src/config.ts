import { parseMac } from '@cni-ts/address/mac';
import type { MacvlanMode, macvlanModes } from '@cni-ts/rtnetlink/kinds/macvlan';
import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import { parseCniArgs, stringArg } from '@cni-ts/spec/cni-args';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () => {
  const text = () => z.optional(z.string());
  return z.object({
    ...networkConfig,
    master: text(),
    mode: text(),
    mtu: z.optional(z.int()),
    mac: text(),
    linkInContainer: z.optional(z.boolean()),
    bcqueuelen: z.optional(z.int().check(z.minimum(0), z.maximum(0xffffffff))),
    runtimeConfig: z.optional(z.object({ mac: text() })),
  });
};

/** What the plugin works by. What only ADD and CHECK need is in `linkSettings`. */
export type Config = ReturnType<typeof parse>;

export function parse(raw: z.output<ReturnType<typeof schema>>) {
  return {
    /** Name of the master; '' for the link of the default route. */
    master: raw.master ?? '',
    linkInContainer: raw.linkInContainer ?? false,
    mode: raw.mode ?? '',
    /** 0: the master's. */
    mtu: raw.mtu ?? 0,
    /** The runtime's comes before CNI_ARGS, the configuration's after. */
    mac: raw.mac || undefined,
    runtimeMac: raw.runtimeConfig?.mac || undefined,
    /** 0: the kernel's default. */
    broadcastQueueLength: raw.bcqueuelen ?? 0,
    /** '' when the network has no IPAM. */
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}

/** How the link is to be made. */
export interface LinkSettings {
  readonly mode: MacvlanMode;
  /** As bytes; undefined: random, or in mode passthru the master's. */
  readonly mac: Uint8Array | undefined;
}

/** What ADD and CHECK need, and what DEL must not stumble over. Throws for an unknown mode, a bad MAC or CNI_ARGS. */
export function linkSettings(config: Config, args: string): LinkSettings {
  const mode = modeOf(config);
  const text = config.runtimeMac ?? (parseCniArgs(args, { MAC: stringArg }).MAC || config.mac);
  if (text === undefined) return { mode, mac: undefined };
  const mac = parseMac(text);
  if (!mac) throw new Error(`invalid args ${text} for MAC addr: address ${text}: invalid MAC address`);
  return { mode, mac };
}

const modes = ['bridge', 'private', 'vepa', 'passthru'] as const satisfies (keyof typeof macvlanModes)[];

export function modeOf({ mode }: Config): MacvlanMode {
  const known = modes.find((one) => one === (mode || 'bridge'));
  if (!known) {
    throw new Error(`unknown macvlan mode: ${JSON.stringify(mode)} (known are ${modes.join(', ')})`);
  }
  return known;
}
