/**
 * Which addresses firewalld was told of, and for whom: firewalld has no place for it, so it is a file per
 * attachment, for DEL without prevResult and for GC, after a restart of the machine too.
 */
import { readText, removeFile, renameFile, writeText } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { listFolder, makeFolder } from '@cni-ts/libc/folder';
import { isMissing } from '@cni-ts/libc/syscall-error';
import { networkMark, type Owner, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';
import { parseJson } from '@cni-ts/spec/json';

export interface Source {
  readonly zone: string;
  readonly address: string;
}

function fileName(owner: Owner): string {
  return `${ownerMark(owner)}.json`;
}

function pathOf(folder: string, owner: Owner): string {
  return `${folder}/${fileName(owner)}`;
}

/** Adds to what is remembered of this attachment. Written as a whole or not at all. */
export function rememberSources(folder: string, owner: Owner, sources: readonly Source[], undo: Undo): void {
  const path = pathOf(folder, owner);
  const before = read(path);
  const added = sources.filter((one) => !before.some((other) => sameSource(one, other)));
  if (!added.length) return;
  failing('could not remember the addresses that firewalld is told of', () => {
    makeFolder(folder, 0o755);
    undo.add(path, () => {
      if (before.length) write(path, owner, before);
      else removeFile(path);
    });
    write(path, owner, [...before, ...added]);
  });
}

function write(path: string, { network, containerId, ifname }: Owner, sources: readonly Source[]): void {
  replaceText(path, JSON.stringify({ network, containerId, ifname, sources }));
}

function replaceText(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  writeText(temporary, text, 0o644);
  renameFile(temporary, path);
}

export function rememberedSources(folder: string, owner: Owner): Source[] {
  return read(pathOf(folder, owner));
}

export function forgetSources(folder: string, owner: Owner): void {
  removeFile(pathOf(folder, owner));
}

/** Sources of others (of all, without an owner): they must stay whoever else knew them. */
export function othersSources(folder: string, owner?: Owner): Source[] {
  return filesIn(folder)
    .filter((name) => !owner || name !== fileName(owner))
    .flatMap((name) => read(`${folder}/${name}`));
}

const left = '.left';

/** Turns the memory of an attachment that is over into one of what firewalld has yet to be told. Returns its path. */
export function keepAsLeft(path: string): string;
export function keepAsLeft(folder: string, owner: Owner): string;
export function keepAsLeft(at: string, owner?: Owner): string {
  const path = owner ? pathOf(at, owner) : at;
  renameFile(path, path + left);
  return path + left;
}

/** Every file of that kind, with what it holds. */
export function leftSources(folder: string): { path: string; sources: Source[] }[] {
  return filesIn(folder, left).map((name) => {
    const path = `${folder}/${name}`;
    return { path, sources: read(path) };
  });
}

export function forgetLeft(path: string): void {
  removeFile(path);
}

/** An address is one attachment's: its earlier holders in the same network are over, and lose it. */
export function takeOver(folder: string, owner: Owner, sources: readonly Source[], undo: Undo): void {
  for (const name of filesIn(folder)) {
    if (!name.startsWith(networkMark(owner.network)) || name === fileName(owner)) continue;
    const path = `${folder}/${name}`;
    if (!read(path).some((one) => sources.some((other) => sameSource(one, other)))) continue;
    const text = readText(path);
    undo.add(path, () => replaceText(path, text));
    removeFile(path);
  }
}

/** Files of attachments of this network that are not valid any more. */
export function staleSources(folder: string, network: string, valid: readonly Attachment[]): string[] {
  const keep = new Set(valid.map((one) => fileName({ network, ...one })));
  return filesIn(folder)
    .filter((name) => name.startsWith(networkMark(network)) && !keep.has(name))
    .map((name) => `${folder}/${name}`);
}

export function sameSource(a: Source, b: Source): boolean {
  return a.zone === b.zone && a.address === b.address;
}

function filesIn(folder: string, ending = '.json'): string[] {
  // Nearly always there is none: firewalld is rare.
  return tryStat(folder) ? listFolder(folder).filter((name) => name.endsWith(ending)) : [];
}

/** Read with care: a torn or foreign file counts as none. */
function read(path: string): Source[] {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  try {
    const { sources }: { sources?: unknown } = Object(parseJson(text, path));
    return Array.isArray(sources) ? sources.filter(isSource) : [];
  } catch {
    return []; // reason: what cannot be understood was not written by us as a whole; prevResult is what is left
  }
}

function isSource(one: unknown): one is Source {
  const { zone, address } = (one ?? {}) as Partial<Source>; // reason: looked at in the next line
  return typeof zone === 'string' && typeof address === 'string';
}
