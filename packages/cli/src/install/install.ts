/**
 * Putting plugins into a folder: the plugins' program, where it lies beside the tool, else the tool, which has them too.
 * Each name gets a file of its own: with one file under all names, `cp another-bridge /opt/cni/bin/bridge` would write into
 * all of them. All files are complete and on disk before the first takes its name, in one step each, so a plugin can be
 * called meanwhile, whatever happens is between two names, and a copy that fails leaves the folder as it was.
 */
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import {
  closeFile,
  copyFile,
  openFile,
  openFlags,
  readAt,
  removeFile,
  renameFile,
  setMode,
  syncFile,
  writeAt,
} from '@cni-ts/libc/file';
import { statDescriptor, statLink } from '@cni-ts/libc/file-status';
import { makeFolder } from '@cni-ts/libc/folder';
import { stopSignal } from '@cni-ts/libc/interruption';
import { isThisProgram, type ProgramMark, programMark } from '@cni-ts/libc/program-file';
import { wrapped } from '@cni-ts/libcni/wrapped-error';
import { pluginVersion } from '@cni-ts/skeleton/plugin';
import type { FindingCode } from '@cni-ts/spec/finding-codes';
import { UsageError } from '../verb.ts';
import { alone, sweep, temporary } from './folder-of-plugins.ts';
import { type Kept, keep, keptOf, syncFolder } from './kept.ts';
import { type Found, isNewer, nameOfFound, toolName, whatIsThere } from './what-is-there.ts';

/** What became of one name. */
export interface Placed {
  readonly name: string;
  readonly path: string;
  readonly action: 'installed' | 'replaced' | 'refused' | 'removed' | 'restored' | 'left';
  /** What was there before; undefined for nothing. */
  readonly before: Found | undefined;
  /** Where that is now, or what was put back from. */
  readonly kept: Kept | undefined;
  /** Why it was refused or left. */
  readonly code?: FindingCode;
  readonly text: string;
}

export interface Programs {
  /** The names there are. */
  readonly names: readonly string[] | undefined;
  /** The folder of this program. */
  readonly beside: string | undefined;
}

/** The names to work on, the plugins before the tool. Throws for one that there is not. */
export function chosen(wanted: readonly string[], names: readonly string[] | undefined): string[] {
  if (names === undefined) {
    throw new Error('only the compiled program installs itself: build it, and call dist/bin/cnitool install');
  }
  for (const name of wanted) {
    if (!names.includes(name))
      throw new UsageError(`there is no ${name} in this program: it has ${names.join(', ')}`);
  }
  return names.filter((name) => wanted.length === 0 || wanted.includes(name));
}

/** `wanted`: which of the names, all of them where it is empty. `tell` is told of each as soon as it is so. `force`: what is
 *  newer or another's is replaced as well. */
export function install(
  wanted: readonly string[],
  into: string,
  { names, beside }: Programs,
  force: boolean,
  tell: (one: Placed) => void,
): void {
  const folder = withoutSlashes(into);
  const all = chosen(wanted, names);
  const mark = programMark();
  if (mark === undefined) return void chosen([], undefined);
  makeFolder(folder, 0o755);
  const own = openFile('/proc/self/exe', openFlags.readOnly);
  const plugins = openPlugins(all, beside);
  try {
    alone(folder, () => {
      sweep(folder);
      const places: Place[] = [];
      for (const name of all) {
        const place = { name, path: `${folder}/${name}`, before: whatIsThere(`${folder}/${name}`, name) };
        const refused = refusal(place, force);
        if (refused) tell(refused);
        else places.push(place);
      }
      putAll(places, folder, (name) => (name === toolName ? own : (plugins ?? own)), mark, tell);
    });
  } finally {
    closeFile(own);
    if (plugins !== undefined) closeFile(plugins);
  }
}

interface Place {
  readonly name: string;
  readonly path: string;
  readonly before: Found | undefined;
}

/** The plugins' program of the same build, in the tool's folder; undefined where it is not there, or not whole. */
function openPlugins(names: readonly string[], folder: string | undefined): number | undefined {
  if (folder === undefined) return undefined;
  for (const name of names) {
    if (name === toolName || !isThisProgram(`${folder}/${name}`)) continue;
    const fd = openFile(`${folder}/${name}`, openFlags.readOnly);
    if (isWhole(fd)) return fd;
    closeFile(fd);
  }
  return undefined;
}

/** Whether a program is as long as its header says: the table of its sections is the last of it (elf.h, Elf64_Ehdr). */
function isWhole(fd: number): boolean {
  const header = new DataView(new ArrayBuffer(64));
  if (readAt(fd, new Uint8Array(header.buffer), 0) < 64) return false;
  const end = header.getUint32(40, true) + header.getUint16(58, true) * header.getUint16(60, true);
  return statDescriptor(fd).size === end;
}

/** Why what is there stays. */
function refusal(place: Place, force: boolean): Placed | undefined {
  const { path, before } = place;
  const refused = (code: FindingCode, why: string): Placed => ({
    ...{ ...place, action: 'refused', kept: undefined, code },
    text: `${code} ${path}: ${why}`,
  });
  if (before === undefined) return undefined;
  if (before.isFolder) return refused('CNI4030', 'it is a folder; look what it is, and move it away');
  if (force) return undefined;
  if (before.whose === 'other') {
    return refused(
      'CNI4030',
      'it is neither ours nor the reference’s, and stays; --force replaces and keeps it',
    );
  }
  if (before.whose === 'ours' && isNewer(before.version, pluginVersion)) {
    const what = `it is of version ${before.version}, and this is ${pluginVersion}`;
    return refused('CNI4031', `${what}: it stays; --force replaces it`);
  }
  return undefined;
}

function putAll(
  places: readonly Place[],
  folder: string,
  programFor: (name: string) => number,
  mark: ProgramMark,
  tell: (one: Placed) => void,
): void {
  const fresh = (name: string) => `${folder}/${temporary}${name}.${process.pid}`;
  try {
    for (const { name, path } of places) {
      const signal = stopSignal();
      if (signal !== undefined) throw new Error(`stopped by ${signal}: nothing was replaced`);
      placing(path, () => writeProgram(programFor(name), name, fresh(name), mark));
    }
    // From here on it takes milliseconds, and is done to its end.
    for (const place of places) placing(place.path, () => tell(replace(place, folder, fresh(place.name))));
    syncFolder(folder);
  } catch (error) {
    for (const { name } of places) {
      try {
        removeIfThere(fresh(name));
      } catch {
        // What went wrong first is told; this goes with a later install.
      }
    }
    throw error;
  }
}

function placing(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw wrapped(`${path} could not be installed, and is as it was`, error);
  }
}

/** A folder that is read-only refuses to remove what is not there, too. */
function removeIfThere(file: string): void {
  if (statLink(file) !== undefined) removeFile(file);
}

function writeProgram(program: number, name: string, file: string, mark: ProgramMark): void {
  removeIfThere(file);
  const fd = openFile(file, openFlags.readWrite | openFlags.create | openFlags.exclusive, 0o700);
  try {
    copyFile(program, fd, { from: 'this program', to: file });
    const size = statDescriptor(program).size;
    if (statDescriptor(fd).size !== size)
      throw new Error(`${file}: it has not the ${size} bytes it should have`);
    // So that it is this plugin under any name.
    const written = new Uint8Array(mark.length);
    written.set(new TextEncoder().encode(name).subarray(0, mark.length - 1));
    writeAt(fd, written, mark.offset);
    setMode(fd, 0o755, file);
    syncFile(fd, file);
  } finally {
    closeFile(fd);
  }
}

/** What is ours can be installed again, and is not kept; a link is, whatever it leads to. */
function replace({ name, path, before }: Place, folder: string, fresh: string): Placed {
  if (before === undefined) {
    renameFile(fresh, path);
    return { ...{ name, path, before, kept: undefined }, action: 'installed', text: `installed ${path}` };
  }
  if (before.whose === 'ours' && !before.isLink) {
    renameFile(fresh, path);
    const text = before.same
      ? `installed ${path} (this build was there before)`
      : `${name} ${nameOfFound(before)} → ${pluginVersion}${before.version === pluginVersion ? ' of another build' : ''}`;
    return { ...{ name, path, before, kept: undefined }, action: 'replaced', text };
  }
  const older = keptOf(folder, name);
  const [kept, takeBack] = keep(path, folder, name, before);
  try {
    renameFile(fresh, path);
  } catch (error) {
    takeBack();
    throw error;
  }
  for (const one of older) if (one.path !== kept.path) removeFile(one.path);
  const what = `${name} ${nameOfFound(before)} → ${pluginVersion}`;
  return { ...{ name, path, before, kept }, action: 'replaced', text: `${what}, kept as ${kept.shown}` };
}
