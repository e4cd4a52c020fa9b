/**
 * Which addresses firewalld was told of, and for whom: firewalld has no place for it, so it is a file per
 * attachment, for DEL without prevResult and for GC, after a restart of the machine too.
 */
import { readText, removeFile, renameFile, writeText } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { listFolder, makeFolder } from '@cni-ts/libc/folder';
import { isMissing } from '@cni-ts/libc/syscall-error';
import { networkMark, type Owner, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';
import { parseJson } from '@cni-ts/spec/json';
import type { Source } from './firewalld.ts';

/** What is remembered of one attachment. */
export interface Memory {
  /** Begins with the owner's mark. */
  readonly name: string;
  readonly path: string;
  readonly sources: readonly Source[];
  /** The attachment is gone, and firewalld has yet to be told. */
  readonly isOver: boolean;
}

const ending = '.json';
export const over = '.left';

export function memories(folder: string): Memory[] {
  // Nearly always there is no folder: firewalld is rare.
  const names = tryStat(folder) ? listFolder(folder) : [];
  return names
    .filter((name) => name.endsWith(ending) || name.endsWith(ending + over))
    .map((name) => {
      const path = `${folder}/${name}`;
      return { name, path, sources: sourcesIn(path), isOver: name.endsWith(over) };
    });
}

export function isAmong(one: Source, others: readonly Source[]): boolean {
  return others.some(({ zone, address }) => one.zone === zone && one.address === address);
}

/** Adds to what is remembered of an attachment. An address is one attachment's: its earlier holders in the same network
 *  are gone, and lose it. */
export function remember(folder: string, owner: Owner, sources: readonly Source[], undo: Undo): void {
  const { network, containerId, ifname } = owner;
  const mark = ownerMark(owner);
  failing('could not remember the addresses that firewalld is told of', () => {
    makeFolder(folder, 0o755);
    const all = memories(folder).filter(({ isOver }) => !isOver);
    const before = all.find(({ name }) => name === mark + ending)?.sources ?? [];
    const added = sources.filter((one) => !isAmong(one, before));
    const text = JSON.stringify({ network, containerId, ifname, sources: [...before, ...added] });
    if (added.length) put(`${folder}/${mark}${ending}`, text, undo);
    for (const { name, path, sources: theirs } of all) {
      const isEarlier = name.startsWith(networkMark(network)) && !name.startsWith(mark);
      if (isEarlier && theirs.some((one) => isAmong(one, sources))) put(path, undefined, undo);
    }
  });
}

/** Written as a whole or not at all; undefined: removed. */
function put(path: string, text: string | undefined, undo?: Undo): void {
  const before = textIn(path);
  undo?.add(path, () => put(path, before));
  if (text === undefined) {
    removeFile(path);
    return;
  }
  const temporary = `${path}.${process.pid}.new`;
  writeText(temporary, text, 0o644);
  renameFile(temporary, path);
}

function textIn(path: string): string | undefined {
  try {
    return readText(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Read with care: a torn or foreign file counts as none. */
function sourcesIn(path: string): Source[] {
  const text = textIn(path);
  try {
    const { sources }: { sources?: unknown } = Object(parseJson(text ?? '{}', path));
    return Array.isArray(sources) ? sources.filter(isSource) : [];
  } catch {
    return []; // reason: what cannot be understood was not written by us as a whole; prevResult is what is left
  }
}

function isSource(one: unknown): one is Source {
  const { zone, address } = (one ?? {}) as Partial<Source>; // reason: looked at in the next line
  return typeof zone === 'string' && typeof address === 'string';
}
