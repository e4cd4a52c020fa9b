/** What a link was like before ADD, in one file per attachment: for DEL, which may come after a reboot of everything
 *  but the host. Directory, names and content are the reference plugin's, so that either can restore what the other
 *  saved; `network` is ours and lets GC tell whose the file is. */
import {
  listFolder,
  makeFolder,
  readText,
  removeFile,
  renameFile,
  tryStat,
  writeText,
} from '@cni-ts/libc/file';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { failing } from '@cni-ts/plugin-kit/failing';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { type LinkValue, type LinkValues, linkValues, type SomeValues } from './link-values.ts';

function fileName({ containerId, ifname }: Attachment): string {
  return `${containerId}_${ifname}.json`;
}

/** Written as a whole or not at all. A file of an earlier ADD is replaced; its undo puts that file back. */
export function saveValues(
  folder: string,
  at: Attachment,
  network: string,
  values: SomeValues,
  undo: Undo,
): void {
  const path = `${folder}/${fileName(at)}`;
  // Not 0600 as the reference has it: without root's privilege over files nobody could look into it.
  failing('failed to create backup directory', () => makeFolder(folder, 0o700));
  failing(`failed to save file ${at.ifname}.json`, () => {
    const before = tryStat(path) ? readText(path) : undefined;
    undo.add(path, () => void (before === undefined ? removeFile(path) : replace(path, before)));
    const ordered = Object.fromEntries(linkValues.map((name) => [name, values[name]]));
    replace(path, JSON.stringify({ ...ordered, network }, undefined, 1));
  });
}

function replace(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeText(temporary, text, 0o600);
  renameFile(temporary, path);
}

/** undefined when nothing was saved. Throws for a file that cannot be read or understood. */
export function savedValues(folder: string, at: Attachment): SomeValues | undefined {
  const path = `${folder}/${fileName(at)}`;
  const json = readSaved(path);
  if (json === undefined) return undefined;
  const values: { -readonly [K in LinkValue]?: unknown } = {};
  for (const name of linkValues) {
    if (json[name] === undefined) continue;
    if (typeof json[name] !== typeof blank[name]) throw new Error(`${path}: ${name} has an impossible value`);
    values[name] = json[name];
  }
  return values as SomeValues; // each member was compared with the type it has in `blank`
}

const blank: LinkValues = { mac: '', promisc: false, mtu: 0, allmulti: false, txQLen: 0 };

function readSaved(path: string): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const json: unknown = failing(path, () => JSON.parse(text));
  if (typeof json === 'object' && json !== null) return json as Record<string, unknown>; // any object has string keys
  throw new Error(`${path}: expected a JSON object`);
}

export function forgetValues(folder: string, at: Attachment): void {
  removeFile(`${folder}/${fileName(at)}`);
}

/** Removes what was saved for attachments of this network that are no more. A file that does not name its network
 *  may be any network's and stays. All are tried. */
export function forgetStale(folder: string, network: string, valid: readonly Attachment[]): void {
  const keep = new Set(valid.map(fileName));
  const failures: string[] = [];
  for (const name of namesIn(folder)) {
    if (!name.endsWith('.json') || keep.has(name)) continue;
    try {
      const path = `${folder}/${name}`;
      if (networkOf(path) === network) removeFile(path);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (failures.length > 0) throw new Error(`could not remove all saved values: ${failures.join('; ')}`);
}

function networkOf(path: string): unknown {
  try {
    return readSaved(path)?.network;
  } catch (error) {
    // Not JSON: nobody can tell whose it is.
    if (errnoOf(error) === undefined) return undefined;
    throw error;
  }
}

function namesIn(folder: string): string[] {
  try {
    return listFolder(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
