import { parseCniArgs, stringArg } from '@cni-ts/skeleton/cni-args';
import { networkConfig } from '@cni-ts/skeleton/config';
import type { RawRequest } from '@cni-ts/skeleton/plugin';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration; `args.cni` has the same ones as the configuration itself. */
export function schema() {
  const queueLength = z.int().check(z.minimum(0), z.maximum(0xffffffff));
  const tunables = {
    sysctl: z.optional(z.record(z.string(), z.string())),
    mac: z.optional(z.string()),
    promisc: z.optional(z.boolean()),
    mtu: z.optional(z.int()),
    allmulti: z.optional(z.boolean()),
    txQLen: z.optional(queueLength),
  };
  return z.object({
    ...networkConfig,
    ...tunables,
    dataDir: z.optional(z.string()),
    runtimeConfig: z.optional(z.object({ mac: z.optional(z.string()) })),
    args: z.optional(z.object({ cni: z.optional(z.object(tunables)) })),
  });
}

/** What the plugin works by: one value from all sources. undefined and '' leave a thing as it is. */
export interface Config {
  readonly dataDir: string;
  /** Settings by their keys as written, those of the configuration before those of `args.cni`. */
  readonly sysctl: Readonly<Record<string, string>>;
  readonly argsSysctl: Readonly<Record<string, string>>;
  readonly mac: string;
  /** Can only be switched on; an explicit `false` is looked at by CHECK. */
  readonly promisc: boolean | undefined;
  /** 0: as it is. */
  readonly mtu: number;
  readonly allmulti: boolean | undefined;
  readonly txQLen: number | undefined;
}

const defaultDataDir = '/run/cni/tuning';

/** What `args.cni` says counts most, an empty `mac` there takes the others' back. */
export function parse(raw: z.output<ReturnType<typeof schema>>, request: RawRequest): Config {
  const args = raw.args?.cni ?? {};
  const { MAC } = parseCniArgs(request.args, { MAC: stringArg });
  return {
    dataDir: raw.dataDir || defaultDataDir,
    sysctl: raw.sysctl ?? {},
    argsSysctl: args.sysctl ?? {},
    mac: args.mac ?? (raw.runtimeConfig?.mac || MAC || raw.mac || ''),
    promisc: args.promisc ?? raw.promisc,
    mtu: args.mtu ?? raw.mtu ?? 0,
    allmulti: args.allmulti ?? raw.allmulti,
    txQLen: args.txQLen ?? raw.txQLen,
  };
}
