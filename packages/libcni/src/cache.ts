/**
 * What was added, on disk, in the reference library's files and format, so that runtimes on either can follow one
 * another. One difference: a file is replaced as a whole (the reference overwrites in place, and a crash leaves an
 * empty file that no DEL gets past).
 */
import { join } from 'node:path';
import { readText, removeFile } from '@cni-ts/libc/file';
import { requireAccess, tryStat } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { defaultCacheDir } from '@cni-ts/spec/cache-dir';
import {
  convertResult,
  decodeAnyResult,
  resultJson,
  type VersionedResult,
} from '@cni-ts/spec/result-version';
import { fromByteArray, toByteArray } from 'base64-js';
import { type FileCalls, fileCalls, replaceFile } from './atomic-file.ts';
import type { Argument, CachedAttachment, RuntimeConf } from './attachment.ts';
import { byBytes } from './byte-order.ts';
import { isBase64, kind, parseConfigEntry, parseEntry, parseLegacy } from './cache-entry.ts';
import { encodeJson } from './json.ts';
import { wrapped } from './wrapped-error.ts';

/** Which file: the attachment's three names. */
export interface CacheKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

/** A file among the entries that does not say, or not credibly, which attachment it is. */
export interface UnreadableEntry {
  readonly path: string;
  readonly why: string;
  /** What its name may stand for, for one network: a name with several dashes can be read in several ways. */
  readonly mayBe: readonly Attachment[];
}

/** What is remembered of one network. */
export interface Remembered {
  readonly attachments: readonly CachedAttachment[];
  readonly unreadable: readonly UnreadableEntry[];
}

/** What an attachment was added with besides its configuration. */
export interface CachedArguments {
  readonly netns: string;
  readonly args: readonly Argument[];
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
}

export class Cache {
  readonly #results: string;
  readonly #workshop: string;
  readonly #calls: FileCalls;
  /** Where each attachment that was listed lies: not always where its own words would have it. */
  readonly #files = new WeakMap<RuntimeConf, string>();

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
    const replacement = { path, text: encodeJson(content), mode: 0o600 };
    try {
      replaceFile({ ...replacement, temporaries: `${this.#workshop}/` }, this.#calls);
    } catch (error) {
      if (errnoOf(error) !== 'EXDEV') throw error;
      // `results` is a mount, or a link to another file system. There the new file can only lie beside the old one.
      replaceFile({ ...replacement, temporaries: `${this.#results}/${hidden}` }, this.#calls);
    }
  }

  /** Makes the folders and throws where they are not to be written to: asked before there is something to remember. */
  prepare(): void {
    for (const folder of [this.#results, this.#workshop]) {
      this.#calls.makeFolder(folder, 0o700);
      requireAccess(folder, { write: true, execute: true });
    }
  }

  /** Whether there is an entry, readable or not. */
  has(key: CacheKey): boolean {
    return whyNoPath(key) === undefined && tryStat(this.path(key)) !== undefined;
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

  /** What an attachment was added with; undefined where nothing is remembered that can be read. */
  arguments(key: CacheKey): CachedArguments | undefined {
    const text = whyNoPath(key) === undefined ? readIfThere(this.path(key)) : undefined;
    const entry = text === undefined ? undefined : parseEntry(text);
    if (entry === undefined) return undefined;
    const { netns = '', cniArgs: args = [], capabilityArgs = {} } = entry;
    return { netns, args, capabilityArgs };
  }

  /** All there are, or those of one container, in order of file name. Files that are no entries are passed over. */
  attachments(containerId = ''): CachedAttachment[] {
    return this.#fileNames()
      .filter((name) => containerId === '' || mentions(name, containerId))
      .map((name) => this.#attachment(name))
      .filter((found) => found !== undefined)
      .filter((found) => containerId === '' || found.containerId === containerId);
  }

  /** Of one network, with the files that may be of it and cannot be read, or say another thing than their name. */
  remembered(network: string): Remembered {
    const attachments: CachedAttachment[] = [];
    const unreadable: UnreadableEntry[] = [];
    for (const name of this.#fileNames()) {
      const found = this.#attachment(name);
      if (found?.network === network) attachments.push(found);
      if (!name.startsWith(`${network}-`)) continue;
      const mayBe = readingsOf(name.slice(network.length + 1));
      const path = `${this.#results}/${name}`;
      if (found === undefined) unreadable.push({ path, why: 'it is damaged', mayBe });
      else if (`${found.network}-${found.containerId}-${found.ifname}` !== name) {
        const says = `it says that it is container ${found.containerId}, interface ${found.ifname} of ${found.network}`;
        unreadable.push({ path, why: says, mayBe });
      }
    }
    return { attachments, unreadable };
  }

  /** Container IDs of entries of this network and interface that begin so; by the names of files, none is read. */
  containerIds(network: string, ifname: string, beginning: string): string[] {
    const [start, end] = [`${network}-`, `-${ifname}`];
    return this.#fileNames()
      .filter((name) => name.startsWith(start + beginning) && name.endsWith(end))
      .map((name) => name.slice(start.length, -end.length));
  }

  /** Removes the file that an attachment was read from, whatever it is called. */
  removeListed(attachment: RuntimeConf): void {
    const path = this.#files.get(attachment);
    if (path !== undefined) removeFile(path);
  }

  /** Removes what writers that were killed left behind. An hour is longer than any write. */
  sweep(now: number = Date.now()): void {
    const left = [
      ...listIfThere(this.#workshop).map((name) => join(this.#workshop, name)),
      ...listIfThere(this.#results)
        .filter((name) => name.startsWith(hidden))
        .map((name) => join(this.#results, name)),
    ];
    for (const path of left) {
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
    return listIfThere(this.#results)
      .filter((name) => !name.startsWith(hidden))
      .sort(byBytes);
  }

  #attachment(name: string): CachedAttachment | undefined {
    const text = readIfThere(join(this.#results, name));
    const entry = text === undefined ? undefined : parseEntry(text);
    if (!entry?.ifName || !entry.networkName || !isBase64(entry.config ?? '')) return undefined;
    // One without its ID has it in its name; without it no DEL would get past the entry.
    const { ifName: ifname, networkName: network } = entry;
    const containerId = entry.containerId || between(name, `${network}-`, `-${ifname}`);
    if (containerId === '') return undefined;
    const found: CachedAttachment = {
      network,
      containerId,
      ifname,
      netns: entry.netns ?? '',
      args: entry.cniArgs ?? [],
      capabilityArgs: entry.capabilityArgs ?? {},
      config: toByteArray(entry.config ?? ''),
    };
    this.#files.set(found, join(this.#results, name));
    return found;
  }
}

/** What names of files begin with that are being written and not yet entries. No network's name does. */
const hidden = '.';

/** What is left of a text between this beginning and this end; '' where it has not both. */
function between(text: string, start: string, end: string): string {
  if (text.length <= start.length + end.length || !text.startsWith(start) || !text.endsWith(end)) return '';
  return text.slice(start.length, -end.length);
}

/** `a-b-c` is container a, interface b-c, or container a-b, interface c. */
function readingsOf(name: string): Attachment[] {
  const found: Attachment[] = [];
  for (let at = name.indexOf('-', 1); at > 0 && at + 1 < name.length; at = name.indexOf('-', at + 1)) {
    found.push({ containerId: name.slice(0, at), ifname: name.slice(at + 1) });
  }
  return found;
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

/** `-‹id›-` must be inside the name, neither first nor last: the format's own rule, by its first occurrence. */
function mentions(fileName: string, containerId: string): boolean {
  const part = `-${containerId}-`;
  const at = fileName.indexOf(part);
  return at > 0 && at + part.length < fileName.length;
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
