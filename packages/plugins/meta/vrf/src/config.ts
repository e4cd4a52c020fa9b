import { networkConfig } from '@cni-ts/skeleton/config';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. */
export const schema = () =>
  z.object({
    ...networkConfig,
    vrfname: z.optional(z.nullable(z.string())),
    table: z.optional(z.nullable(z.int().check(z.minimum(0), z.maximum(0xffffffff)))),
  });

/** What the plugin works by. */
export interface Config {
  /** Name of the VRF's link. */
  readonly name: string;
  /** Of the VRF; 0: one that nobody uses, or that of the VRF which is there. */
  readonly table: number;
}

/** Throws for a name that no link can have. */
export function parse({ vrfname, table }: z.output<ReturnType<typeof schema>>): Config {
  const name = vrfname ?? '';
  if (name === '') throw new Error('configuration is expected to have a valid vrf name');
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > 15 || /[\s/:]/.test(name) || name === '.' || name === '..') {
    throw new Error(
      `configuration is expected to have a valid vrf name: ${JSON.stringify(name)} is none ` +
        '(1 to 15 bytes, no white space, "/" or ":")',
    );
  }
  return { name, table: table ?? 0 };
}
