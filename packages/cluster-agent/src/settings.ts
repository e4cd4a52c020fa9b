/** What the agent is told: by its command line, else the environment, else its file, else as it always is. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { defaultAgentSocket, type EtcdSettings } from '@cni-ts/cluster/agent-talk';
import { defaultStateFolder } from '@cni-ts/cluster/blocks-file';
import { parseEndpoint } from '@cni-ts/etcd/endpoint';
import * as z from 'zod/mini';
import { asPrefix } from './keys.ts';

export interface Settings {
  readonly node: string;
  readonly socket: string;
  readonly stateFolder: string;
  /** `address:port` or `unix:‹path›`, for metrics and health. */
  readonly listen?: string;
  readonly log: 'text' | 'json';
  readonly prefix: string;
  /** undefined: as the networks' configurations say. */
  readonly etcd?: EtcdSettings;
  /** Seconds between two looks at what is in use. */
  readonly period: number;
  /** Seconds between two looks at what etcd has. */
  readonly compare: number;
}

/** One row for each: its name is the flag, the environment's variable (CNI_TS_…) and the file's member. */
export const options = {
  node: ['NAME', 'name of this node; else NODENAME, else the host’s name'],
  socket: ['PATH', `where plugins ask (${defaultAgentSocket})`],
  state: ['FOLDER', `where lists of blocks are kept (${defaultStateFolder})`],
  endpoints: ['URL,…', 'etcd’s addresses; without them those of the networks’ configurations'],
  prefix: ['PREFIX', 'of all keys (/cni/v1/)'],
  username: ['NAME', 'for etcd’s roles'],
  'password-file': ['PATH', 'file with the password; or CNI_TS_PASSWORD'],
  'ca-file': ['PATH', 'certificates of who signs etcd’s, PEM'],
  'cert-file': ['PATH', 'this client’s certificate, PEM'],
  'key-file': ['PATH', 'its key, PEM'],
  listen: ['ADDRESS:PORT', 'or unix:PATH: /metrics, /healthz and /readyz'],
  log: ['text|json', 'form of the log on stderr (text)'],
  period: ['SECONDS', 'between two looks at what is in use (10)'],
  compare: ['SECONDS', 'between two looks at what etcd has (60)'],
} as const;
export type OptionName = keyof typeof options;

export const words = {
  'accept-restored': 'etcd was restored from a copy on purpose: go on with it as it is',
  'take-over': 'the node of this name and another uid is gone for good: this is the one now',
  version: 'the version',
  help: 'this',
} as const;
export type WordName = keyof typeof words;

export interface CommandLine {
  readonly words: readonly WordName[];
  readonly settings: Settings;
}

/** A command line, variable or file that is not understood. */
export class SettingsError extends Error {}

const fileSchema = z.partialRecord(
  z.enum(['config', ...Object.keys(options)]),
  z.union([z.string(), z.number(), z.array(z.string())]),
);

/** Throws a SettingsError. */
export function readSettings(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): CommandLine {
  let values: Readonly<Record<string, string | boolean | undefined>>;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        config: { type: 'string' },
        ...Object.fromEntries(Object.keys(options).map((name) => [name, { type: 'string' }] as const)),
        ...Object.fromEntries(Object.keys(words).map((name) => [name, { type: 'boolean' }] as const)),
      },
    }));
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
  const inEnv = (name: string) => env[`CNI_TS_${name.toUpperCase().replaceAll('-', '_')}`] || undefined;
  const config = textOf(values.config) ?? inEnv('config');
  const file = config === undefined ? {} : readFile(config);
  const given = (name: OptionName) => textOf(values[name]) ?? inEnv(name) ?? file[name];

  const endpoints = (given('endpoints') ?? '').split(',').flatMap((one) => one.trim() || []);
  for (const one of endpoints) checkEndpoint(one);
  const passwordFile = given('password-file');
  const password =
    passwordFile === undefined ? inEnv('password') : fileText(passwordFile).replace(/\r?\n$/, '');
  const optional = {
    username: given('username'),
    password,
    caFile: given('ca-file'),
    certFile: given('cert-file'),
    keyFile: given('key-file'),
  };
  if ((optional.certFile === undefined) !== (optional.keyFile === undefined)) {
    throw new SettingsError('cert-file and key-file belong together: give both');
  }
  if (optional.username !== undefined && password === undefined) {
    throw new SettingsError(`username ${optional.username} needs a password: give --password-file`);
  }
  const log = given('log') ?? 'text';
  if (log !== 'text' && log !== 'json') throw new SettingsError(`log is "${log}", and may be text or json`);
  const listen = given('listen');
  if (listen !== undefined) parseListen(listen);
  const node = given('node') ?? (env.NODENAME || undefined) ?? hostname();
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(node)) {
    throw new SettingsError(`"${node}" is no name for a node: letters, digits, ".", "_" and "-"`);
  }
  return {
    words: Object.keys(words).filter((name): name is WordName => values[name] === true),
    settings: {
      node,
      socket: given('socket') ?? defaultAgentSocket,
      stateFolder: given('state') ?? defaultStateFolder,
      ...(listen !== undefined && { listen }),
      log,
      prefix: asPrefix(given('prefix') ?? '/cni/v1/'),
      ...(endpoints.length > 0 && { etcd: { endpoints, ...defined(optional) } }),
      period: secondsOf('period', given('period') ?? '10'),
      compare: secondsOf('compare', given('compare') ?? '60'),
    },
  };
}

/** `address:port`, `[v6]:port`, `:port` or `unix:‹path›`. Throws a SettingsError. */
export function parseListen(text: string): { path: string } | { host?: string; port: number } {
  if (text.startsWith('unix:/')) return { path: text.slice('unix:'.length) };
  const found = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (!found || port > 65_535) {
    throw new SettingsError(`listen is "${text}", and may be ADDRESS:PORT or unix:/PATH`);
  }
  const host = found[1] ?? found[2];
  return host ? { host, port } : { port };
}

export function usage(): string {
  const rows: (readonly [string, string])[] = [
    ['--config FILE', 'a JSON object with these names as members'],
    ...Object.entries(options).map(([name, [value, what]]) => [`--${name} ${value}`, what] as const),
    ...Object.entries(words).map(([name, what]) => [`--${name}`, what] as const),
  ];
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`);
  return `cluster-agent [OPTION…]\n\nBorrows blocks of addresses from etcd for this node. Each option may also be a variable (--ca-file: CNI_TS_CA_FILE).\n\n${lines.join('')}`;
}

function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function readFile(path: string): Partial<Record<string, string>> {
  let json: unknown;
  try {
    json = JSON.parse(fileText(path));
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    throw new SettingsError(`${path} is no JSON`);
  }
  const read = fileSchema.safeParse(json);
  if (!read.success) {
    const [first] = read.error.issues;
    const unknown = first?.code === 'unrecognized_keys' || first?.code === 'invalid_key';
    const what = unknown ? 'it may have the names of the options' : (first?.message ?? '');
    throw new SettingsError(`${path}: ${first?.path.join('.') ?? ''}: ${what}`);
  }
  return Object.fromEntries(
    Object.entries(read.data).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join() : String(value),
    ]),
  );
}

function fileText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new SettingsError(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

function checkEndpoint(text: string): void {
  try {
    parseEndpoint(text, false);
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
}

function secondsOf(name: string, text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.1 && seconds <= 86_400) return seconds;
  throw new SettingsError(`${name} is "${text}", and may be from 0.1 to 86400 seconds`);
}

function defined<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  // reason: Object.fromEntries knows no types
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}
