import { formatIp, type Ip, isUnspecified, parseIp } from '@cni-ts/address/ip';
import { networkConfig } from '@cni-ts/skeleton/config';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. The kernel's numbers of tables and priorities have 32 bits. */
export const schema = () => {
  const number = () => z.nullable(z.int().check(z.minimum(0), z.maximum(0xffffffff)));
  return z.object({
    ...networkConfig,
    table: z.optional(number()),
    gateways: z.optional(z.nullable(z.array(z.string()))),
    addSourceHints: z.optional(z.nullable(z.boolean())),
    priority: z.optional(number()),
  });
};

/** What the plugin works by. */
export interface Config {
  /** The table that rules lead to, and nothing else is done; undefined: one for each address, with the link's routes. */
  readonly table: number | undefined;
  /** As written: what they are is asked where they are used. */
  readonly gateways: readonly string[];
  readonly addSourceHints: boolean;
  /** Of the rules; undefined: the kernel's choice. */
  readonly priority: number | undefined;
}

export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    table: raw.table ?? undefined,
    gateways: raw.gateways ?? [],
    addSourceHints: raw.addSourceHints ?? false,
    priority: raw.priority ?? undefined,
  };
}

/** The gateways that replace those of the result, at most one of a family. Throws naming the one that cannot be. */
export function gatewaysByFamily({ gateways }: Config): Partial<Record<4 | 6, Ip>> {
  if (gateways.length > 2)
    throw new Error('gateways list cannot contain more than 2 entries (one IPv4, one IPv6)');
  const found: Partial<Record<4 | 6, Ip>> = {};
  for (const text of gateways) {
    const ip = parseIp(text);
    if (!ip) throw new Error(`invalid static gateway IP address: ${text}`);
    if (isUnspecified(ip))
      throw new Error(
        `invalid static gateway IP address: ${text}: it stands for no address; leave it out where there is no gateway`,
      );
    const first = found[ip.family];
    if (first) {
      throw new Error(
        `gateways list contains multiple IPv${ip.family} addresses: ${formatIp(first)} and ${text}`,
      );
    }
    found[ip.family] = ip;
  }
  return found;
}
