/**
 * What was added, on disk, in the reference library's files and format, so that runtimes on either can follow one
 * another. One difference: a file is replaced as a whole (the reference overwrites in place, and a crash leaves an
 * empty file that no DEL gets past).
 */
import { join } from 'node:path';
import { listFolder, readText, removeFile, tryStat } from '@cni-ts/libc/file';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import {
  convertResult,
  decodeAnyResult,
  resultJson,
  type VersionedResult,
} from '@cni-ts/skeleton/result-version';
import { fromByteArray, toByteArray } from 'base64-js';
import * as z from 'zod/mini';
import { type FileCalls, fileCalls, replaceFile } from './atomic-file.ts';
import type { CachedAttachment, RuntimeConf } from './attachment.ts';
import { byBytes } from './byte-order.ts';
import { encodeJson, isJsonObject, parseJson } from './json.ts';
import { wrapped } from './wrapped-error.ts';

export const defaultCacheDir = '/var/lib/cni';

const kind = 'cniCacheV1';

/** Which file: the attachment's three names. */
export interface CacheKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

export class Cache {
  readonly #results: string;
  readonly #workshop: string;
  readonly #calls: FileCalls;

  constructor(dir: string = defaultCacheDir, calls: FileCalls = fileCalls) {
    this.#results = join(dir, 'results');
    // Not inside `results`: whoever lists attachments there takes every file for one.
    this.#workshop = join(dir, '.results-being-written');
    this.#calls = calls;
  }

  /** Throws when a name is empty or would leave the folder, or when the disk refuses. */
  write(network: string, config: Uint8Array, conf: RuntimeConf, result: VersionedResult | undefined): void {
    const path = this.path(keyOf(network, conf));
    const { netns, args = [], capabilityArgs = {} } = conf;
    const content = {
      kind,
      containerId: conf.containerId,
      config: fromByteArray(config),
      ifName: conf.ifname,
      networkName: network,
      ...(netns && { netns }),
      ...(args.length > 0 && { cniArgs: args }),
      ...(Object.keys(capabilityArgs).length > 0 && { capabilityArgs }),
      ...(result && { result: resultJson(result) }),
    };
    for (const folder of [this.#results, this.#workshop]) {
      this.#calls.makeFolder(folder, 0o700);
    }
    const text = encodeJson(content);
    replaceFile({ path, text, mode: 0o600, workshop: this.#workshop }, this.#calls);
  }

  /** A missing file is fine, and so are names that cannot have one. */
  remove(key: CacheKey): void {
    if (whyNoPath(key) !== undefined) return;
    removeFile(this.path(key));
  }

  /** The result of the ADD in this version, undefined when there is none. Throws when there is one we cannot read. */
  result(key: CacheKey, version: string): VersionedResult | undefined {
    const text = readIfThere(this.path(key));
    if (text === undefined) return undefined;
    const content = parseEntry(text);
    const result = decodeAnyResult(content ? (content.result ?? {}) : parseLegacy(text));
    try {
      return convertResult(result, version);
    } catch (error) {
      throw wrapped(`failed to convert cached result to config version ${JSON.stringify(version)}`, error);
    }
  }

  /** The configuration it was added with, and `conf` with the arguments it was added with. */
  config(network: string, conf: RuntimeConf): { config: Uint8Array; conf: RuntimeConf } | undefined {
    const text = readIfThere(this.path(keyOf(network, conf)));
    if (text === undefined) return undefined;
    const content = parseConfigEntry(text, network);
    const { capabilityArgs: _replaced, ...rest } = conf;
    return {
      config: toByteArray(content.config ?? ''),
      conf: {
        ...rest,
        ...(content.cniArgs && { args: content.cniArgs }),
        ...(content.capabilityArgs && { capabilityArgs: content.capabilityArgs }),
      },
    };
  }

  /** All there are, or those of one container, in order of file name. Files that are no entries are passed over. */
  attachments(containerId = ''): CachedAttachment[] {
    return this.#fileNames()
      .filter((name) => containerId === '' || mentions(name, containerId))
      .map((name) => attachmentIn(join(this.#results, name)))
      .filter((found) => found !== undefined)
      .filter((found) => containerId === '' || found.containerId === containerId);
  }

  /** Removes what writers that were killed left behind. An hour is longer than any write. */
  sweep(now: number = Date.now()): void {
    for (const name of listIfThere(this.#workshop)) {
      const path = join(this.#workshop, name);
      const written = tryStat(path)?.mtimeNs;
      if (written !== undefined && now - Number(written / 1_000_000n) > 3_600_000) removeFile(path);
    }
  }

  path(key: CacheKey): string {
    const problem = whyNoPath(key);
    if (problem !== undefined) throw new Error(problem);
    return `${this.#results}/${key.network}-${key.containerId}-${key.ifname}`;
  }

  #fileNames(): string[] {
    return listIfThere(this.#results).sort(byBytes);
  }
}

export function keyOf(network: string, { containerId, ifname }: RuntimeConf): CacheKey {
  return { network, containerId, ifname };
}

/** The reference lets `../` in these names lead anywhere on the disk. */
function whyNoPath({ network, containerId, ifname }: CacheKey): string | undefined {
  const names = [network, containerId, ifname];
  const isEmpty = names.includes('');
  if (!isEmpty && !/[/\0]/.test(names.join(''))) return undefined;
  const quoted = `network name (${JSON.stringify(network)}), container ID (${JSON.stringify(containerId)}), and interface name (${JSON.stringify(ifname)})`;
  return isEmpty
    ? `cache file path requires ${quoted}`
    : `cache file path allows no path separator in ${quoted}`;
}

/** Absent and null are the same; a member of another type makes the file no entry of ours. */
function makeEntrySchema() {
  const text = z.nullish(z.string());
  const base64 = z
    .string()
    .check(z.regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/));
  return z.object({
    kind: text,
    containerId: text,
    config: z.nullish(base64),
    ifName: text,
    networkName: text,
    netns: text,
    cniArgs: z.nullish(z.array(z.tuple([z.string(), z.string()]))),
    capabilityArgs: z.nullish(z.record(z.string(), z.unknown())),
    result: z.nullish(z.record(z.string(), z.unknown())),
  });
}

/** Made when an entry is read: a program that merely contains this library must not pay for it at its start. */
let entrySchema: ReturnType<typeof makeEntrySchema> | undefined;

type Entry = z.output<ReturnType<typeof makeEntrySchema>>;

/** undefined: not an entry of this kind, so perhaps the bare result that older runtimes kept. */
function parseEntry(text: string): Entry | undefined {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return undefined; // whoever reads it as a bare result says what is wrong with it
  }
  entrySchema ??= makeEntrySchema();
  const entry = entrySchema.safeParse(json);
  return entry.success && entry.data.kind === kind ? entry.data : undefined;
}

function parseLegacy(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text);
    if (!isJsonObject(json)) throw new Error('expected a JSON object');
    return json;
  } catch (error) {
    throw wrapped('decoding version from network config', error);
  }
}

function parseConfigEntry(text: string, network: string): Entry {
  const cached = `cached network ${JSON.stringify(network)} config`;
  let entry: Entry;
  try {
    entrySchema ??= makeEntrySchema();
    entry = entrySchema.parse(parseJson(text));
  } catch (error) {
    throw wrapped(`failed to unmarshal ${cached}`, error);
  }
  if (entry.kind !== kind) throw new Error(`read ${cached} has wrong kind: ${entry.kind ?? ''}`);
  return entry;
}

/** `-‹id›-` must be inside the name, neither first nor last: the format's own rule, by its first occurrence. */
function mentions(fileName: string, containerId: string): boolean {
  const part = `-${containerId}-`;
  const at = fileName.indexOf(part);
  return at > 0 && at + part.length < fileName.length;
}

function attachmentIn(path: string): CachedAttachment | undefined {
  const text = readIfThere(path);
  const entry = text === undefined ? undefined : parseEntry(text);
  if (!entry?.ifName || !entry.networkName) return undefined;
  return {
    network: entry.networkName,
    containerId: entry.containerId ?? '',
    ifname: entry.ifName,
    netns: entry.netns ?? '',
    args: entry.cniArgs ?? [],
    capabilityArgs: entry.capabilityArgs ?? {},
    config: toByteArray(entry.config ?? ''),
  };
}

function readIfThere(path: string): string | undefined {
  try {
    return readText(path);
  } catch {
    return undefined; // missing or unreadable: both mean that nothing is known, as in the reference library
  }
}

function listIfThere(folder: string): string[] {
  try {
    return listFolder(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
