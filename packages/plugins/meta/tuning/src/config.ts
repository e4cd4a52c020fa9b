import { networkConfig } from '@cni-ts/skeleton/config';
import { withoutNul } from '@cni-ts/skeleton/config-text';
import type { RawRequest } from '@cni-ts/skeleton/plugin';
import { parseCniArgs, stringArg } from '@cni-ts/spec/cni-args';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
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

/** The folder of saved values as the configuration names it. */
export function dataDirOf(written = ''): string {
  return withoutNul(written, 'dataDir') || defaultDataDir;
}

/**
 * The settings as they are, if the kernel will read of them what the list of allowed ones is asked about: to it a text
 * ends at its first NUL, and `..` would mean the folder above. Values may have tabs, as the kernel itself writes them,
 * and end with a line's end.
 */
function readable(
  settings: Readonly<Record<string, string>>,
  field: string,
): Readonly<Record<string, string>> {
  for (const key of Object.keys(settings)) {
    if (key.length > longestKey) throw unreadable(`a key of ${field} has ${key.length} characters`, field);
    const value = settings[key] ?? '';
    const where = `${field}[${JSON.stringify(key)}]`;
    if (hasControlCharacter(key)) throw unreadable(`the key ${where} has a control character in it`, field);
    if (hasControlCharacter(value, true)) {
      throw unreadable(`the value ${JSON.stringify(value)} of ${where} has a control character in it`, where);
    }
    if (key.includes('..')) throw unreadable(`the key ${where} has ".." in it`, field);
  }
  return settings;
}

/** No setting has so long a name, and one is compared with every allowed pattern. */
const longestKey = 1024;

function unreadable(what: string, field: string): CniError {
  return new CniError(ErrorCode.internal, `invalid argument: ${what}`, field);
}

function hasControlCharacter(text: string, isValue = false): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 32 && code !== 127) continue;
    const isBlank = code === 9 || (code === 10 && i === text.length - 1);
    if (!isValue || !isBlank) return true;
  }
  return false;
}

/** What `args.cni` says counts most, an empty `mac` there takes the others' back. */
export function parse(raw: z.output<ReturnType<typeof schema>>, request: RawRequest): Config {
  const args = raw.args?.cni ?? {};
  const { MAC } = parseCniArgs(request.args, { MAC: stringArg });
  return {
    dataDir: dataDirOf(raw.dataDir),
    sysctl: readable(raw.sysctl ?? {}, 'sysctl'),
    argsSysctl: readable(args.sysctl ?? {}, 'args.cni.sysctl'),
    mac: args.mac ?? (raw.runtimeConfig?.mac || MAC || raw.mac || ''),
    promisc: args.promisc ?? raw.promisc,
    mtu: args.mtu ?? raw.mtu ?? 0,
    allmulti: args.allmulti ?? raw.allmulti,
    txQLen: args.txQLen ?? raw.txQLen,
  };
}
