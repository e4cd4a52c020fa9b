/** The daemon's command line: the reference's flags, by the rules of Go's `flag`. */
import { defaultSocket } from './rpc-types.ts';

export interface Flags {
  readonly pidfile: string;
  /** Put before the socket's path and each CNI_NETNS. */
  readonly hostprefix: string;
  readonly socketpath: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly resendmax: number;
  readonly resendtimeout: number;
  readonly broadcast: boolean;
  /** Ours: where leases are kept. */
  readonly statedir: string;
}

/** A command line that is none; `usage` is to be shown with it. */
export class UsageError extends Error {}

const kinds = {
  pidfile: 'path',
  hostprefix: 'string',
  socketpath: 'path',
  timeout: 'duration',
  resendmax: 'duration',
  resendtimeout: 'duration',
  broadcast: 'bool',
  statedir: 'path',
} as const;

const defaults: Flags = {
  pidfile: '',
  hostprefix: '',
  socketpath: defaultSocket,
  timeout: 10_000,
  resendmax: 62_000,
  resendtimeout: 208_000,
  broadcast: false,
  statedir: '/var/lib/cni/dhcp',
};

export const usage = `Usage of dhcp daemon:
  -broadcast
    	ask servers to answer by broadcast
  -hostprefix string
    	optional prefix to the paths of the socket and of network namespaces
  -pidfile string
    	optional path to write this process's ID to
  -resendmax duration
    	longest wait for an answer before asking again (default 1m2s)
  -resendtimeout duration
    	how long to ask for a lease in all (default 3m28s)
  -socketpath string
    	path of the socket (default ${JSON.stringify(defaultSocket)})
  -statedir string
    	folder where leases are kept (default ${JSON.stringify(defaults.statedir)})
  -timeout duration
    	first wait for an answer (default 10s)
`;

/** Undefined when help was asked for. Throws UsageError. */
export function readFlags(args: readonly string[]): Flags | undefined {
  const flags: Record<string, string | number | boolean> = { ...defaults };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--' || !arg.startsWith('-') || arg === '-') break;
    const text = arg.slice(arg.startsWith('--') ? 2 : 1);
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    if (name === 'h' || name === 'help') return undefined;
    if (!Object.hasOwn(kinds, name)) throw new UsageError(`flag provided but not defined: -${name}`);
    const kind = kinds[name as keyof typeof kinds]; // reason: it is one of its own keys
    let value = equals < 0 ? undefined : text.slice(equals + 1);
    if (value === undefined && kind === 'bool') value = 'true';
    value ??= args[++i];
    if (value === undefined) throw new UsageError(`flag needs an argument: -${name}`);
    flags[name] = read(kind, name, value);
  }
  return flags as unknown as Flags; // reason: each was read by the kind of its name
}

function read(
  kind: (typeof kinds)[keyof typeof kinds],
  name: string,
  value: string,
): string | number | boolean {
  if (kind === 'bool') {
    if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
    if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
    throw new UsageError(`invalid boolean value "${value}" for -${name}: parse error`);
  }
  if (kind !== 'duration') return value;
  const milliseconds = parseDuration(value);
  if (milliseconds === undefined)
    throw new UsageError(`invalid value "${value}" for flag -${name}: parse error`);
  return milliseconds;
}

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
};

/** Go's durations, in milliseconds: `10s`, `1m2.5s`, `0`. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/y;
  let total = 0;
  let at = text.startsWith('+') ? 1 : 0;
  if (at === text.length) return undefined;
  while (at < text.length) {
    part.lastIndex = at;
    const found = part.exec(text);
    if (!found) return undefined;
    total += Number(found[1]) * units[found[2]!]!;
    at = part.lastIndex;
  }
  return total;
}
