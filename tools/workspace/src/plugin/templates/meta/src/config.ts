import { networkConfig } from '@cni-ts/skeleton/config';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration; each has a row in README.md. */
export const schema = () =>
  z.object({ ...networkConfig, port: z.optional(z.int().check(z.minimum(1), z.maximum(65535))) });

/** What the plugin works by. */
export type Config = ReturnType<typeof parse>;

export function parse(raw: z.output<ReturnType<typeof schema>>) {
  return { port: raw.port ?? 80 };
}
