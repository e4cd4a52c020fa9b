import { networkConfig } from '@cni-ts/skeleton/config';
import type { Dns } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () =>
  z.object({
    ...networkConfig,
    mtu: z.optional(z.int()),
    ipMasq: z.optional(z.boolean()),
    ipMasqBackend: z.optional(z.string()),
  });

/** What the plugin works by: nothing optional that has a default. */
export interface Config {
  /** Of both ends; undefined: the kernel's default. */
  readonly mtu: number | undefined;
  readonly ipMasq: boolean;
  readonly ipMasqBackend: string | undefined;
  /** '' when the configuration has none, which no plugin is called. */
  readonly ipam: string;
  readonly dns: Dns | undefined;
}

export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    mtu: raw.mtu !== undefined && raw.mtu > 0 ? raw.mtu : undefined,
    ipMasq: raw.ipMasq ?? false,
    ipMasqBackend: raw.ipMasqBackend,
    ipam: raw.ipam?.type ?? '',
    dns: raw.dns as Dns | undefined, // reason: the schema's members may be undefined, which Dns writes as absent
  };
}
