import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () =>
  z.object({
    ...networkConfig,
    mtu: z.optional(z.int()),
    ipMasq: z.optional(z.boolean()),
    ipMasqBackend: z.optional(z.string()),
  });

/** What the plugin works by. */
export function parse(raw: z.output<ReturnType<typeof schema>>) {
  const { mtu = 0, ipMasq = false, ipMasqBackend } = raw;
  return {
    /** Of both ends; undefined: the kernel's default. */
    mtu: mtu > 0 ? mtu : undefined,
    ipMasq,
    ipMasqBackend,
    /** '' when the configuration has none, which no plugin is called. */
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}
