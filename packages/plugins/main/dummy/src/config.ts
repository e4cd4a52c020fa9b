import { networkConfig } from '@cni-ts/skeleton/config';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration: those that every network has. */
export const schema = () => z.object({ ...networkConfig });

/** What the plugin works by. */
export interface Config {
  /** '' is refused by what needs it. */
  readonly ipam: string;
}

export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return { ipam: raw.ipam?.type ?? '' };
}

/** A dummy is for its addresses. ADD and CHECK need to know where they come from; DEL does not. */
export function checkIpam({ ipam }: Config): void {
  if (ipam) return;
  throw new CniError(
    ErrorCode.internal,
    'dummy interface requires an IPAM configuration',
    'the configuration has no ipam.type',
  );
}
