import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration; each has a row in README.md. */
export const schema = () => z.object({ ...networkConfig, mtu: z.optional(z.int()) });

/** What the plugin works by. */
export type Config = ReturnType<typeof parse>;

export function parse(raw: z.output<ReturnType<typeof schema>>) {
  return {
    /** Of both ends; undefined: the kernel's default. */
    mtu: raw.mtu || undefined,
    /** '' when the network has no IPAM. */
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}
