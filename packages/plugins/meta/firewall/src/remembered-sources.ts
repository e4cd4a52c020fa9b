/**
 * Which addresses firewalld was told of, and for whom: firewalld has no place for it, so it is a file per
 * attachment, for DEL without prevResult and for GC, after a restart of the machine too.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { failing } from '@cni-ts/plugin-kit/failing';
import { networkMark, type Owner, ownerMark } from '@cni-ts/plugin-kit/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import * as z from 'zod/mini';

export interface Source {
  readonly zone: string;
  readonly address: string;
}

/** Read back with care: a torn or foreign file counts as none. */
const content = () => z.object({ sources: z.array(z.object({ zone: z.string(), address: z.string() })) });

function fileName(owner: Owner): string {
  return `${ownerMark(owner)}.json`;
}

/** Adds to what is remembered of this attachment. Written as a whole or not at all. */
export function rememberSources(folder: string, owner: Owner, sources: readonly Source[], undo: Undo): void {
  const path = join(folder, fileName(owner));
  const before = read(path);
  const added = sources.filter((one) => !before.some((other) => sameSource(one, other)));
  if (!added.length) return;
  failing('could not remember the addresses that firewalld is told of', () => {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    undo.add(path, () => (before.length ? write(path, owner, before) : rmSync(path, { force: true })));
    write(path, owner, [...before, ...added]);
  });
}

function write(path: string, { network, containerId, ifname }: Owner, sources: readonly Source[]): void {
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, JSON.stringify({ network, containerId, ifname, sources }), { mode: 0o644 });
  renameSync(temporary, path);
}

export function rememberedSources(folder: string, owner: Owner): Source[] {
  return read(join(folder, fileName(owner)));
}

export function forgetSources(folder: string, owner: Owner): void {
  rmSync(join(folder, fileName(owner)), { force: true });
}

/** Sources of others: they must stay whoever else knew them. */
export function othersSources(folder: string, owner: Owner): Source[] {
  return filesIn(folder)
    .filter((name) => name !== fileName(owner))
    .flatMap((name) => read(join(folder, name)));
}

/** An address is one attachment's: its earlier holders in the same network are over, and lose it. */
export function takeOver(folder: string, owner: Owner, sources: readonly Source[]): void {
  for (const name of filesIn(folder)) {
    if (!name.startsWith(networkMark(owner.network)) || name === fileName(owner)) continue;
    const path = join(folder, name);
    if (read(path).some((one) => sources.some((other) => sameSource(one, other))))
      rmSync(path, { force: true });
  }
}

/** Files of attachments of this network that are not valid any more, with what they hold. */
export function staleSources(
  folder: string,
  network: string,
  valid: readonly Attachment[],
): { path: string; sources: Source[] }[] {
  const keep = new Set(valid.map((one) => fileName({ network, ...one })));
  return filesIn(folder)
    .filter((name) => name.startsWith(networkMark(network)) && !keep.has(name))
    .map((name) => ({ path: join(folder, name), sources: read(join(folder, name)) }));
}

export function sameSource(a: Source, b: Source): boolean {
  return a.zone === b.zone && a.address === b.address;
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function read(path: string): Source[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    return z.parse(content(), JSON.parse(text)).sources;
  } catch {
    return []; // reason: what cannot be understood was not written by us as a whole; prevResult is what is left
  }
}
