/**
 * Putting plugins into a folder: the plugins' program, where it lies beside the tool, else the tool, which has them too. Each name gets a file of its own: with one file
 * under all names, `cp another-bridge /opt/cni/bin/bridge` would write into all of them. A file is complete and on disk
 * before it takes its name, in one step, so a plugin can be called meanwhile, and a copy that fails leaves the folder as
 * it was.
 */

import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import {
  closeFile,
  copyFile,
  openFile,
  openFlags,
  removeFile,
  renameFile,
  setMode,
  syncFile,
  writeAt,
} from '@cni-ts/libc/file';
import { statDescriptor, statLink } from '@cni-ts/libc/file-status';
import { listFolder, makeFolder } from '@cni-ts/libc/folder';
import { isThisProgram, type ProgramMark, programMark } from '@cni-ts/libc/program-file';
import { wrapped } from '@cni-ts/libcni/wrapped-error';

/** `wanted`: which of `names`, all of them where it is empty. `say` is told of each file that is in its place. */
export function install(
  wanted: readonly string[],
  into: string,
  names: readonly string[] | undefined,
  beside: string | undefined,
  say: (line: string) => void,
): void {
  const folder = withoutSlashes(into);
  const mark = programMark();
  if (names === undefined || mark === undefined) {
    throw new Error('only the compiled program installs itself: build it, and call dist/bin/cnitool install');
  }
  for (const name of wanted) {
    if (!names.includes(name))
      throw new Error(`there is no ${name} in this program: it has ${names.join(', ')}`);
  }
  makeFolder(folder, 0o755);
  const own = openFile('/proc/self/exe', openFlags.readOnly);
  const plugins = openPlugins(names, beside);
  try {
    sweep(folder);
    for (const name of wanted.length > 0 ? wanted : names) {
      const path = `${folder}/${name}`;
      const before = statLink(path);
      const same = before !== undefined && isThisProgram(path);
      try {
        replace(name === toolName ? own : (plugins ?? own), name, folder, mark);
      } catch (error) {
        throw wrapped(`${path} could not be installed, and is as it was`, error);
      }
      const what =
        before === undefined ? '' : same ? ' (this build was there before)' : ' (replaced another program)';
      say(`installed ${path}${what}`);
    }
    const fd = openFile(folder, openFlags.readOnly);
    try {
      // Until the folder is on disk too, a power cut may bring the old files back.
      syncFile(fd, folder);
    } finally {
      closeFile(fd);
    }
  } finally {
    closeFile(own);
    if (plugins !== undefined) closeFile(plugins);
  }
}

const toolName = 'cnitool';

/** The plugins' program of the same build, in the tool's folder; undefined where it is not there. */
function openPlugins(names: readonly string[], folder: string | undefined): number | undefined {
  const path = names
    .map((name) => `${folder}/${name}`)
    .find((one) => !one.endsWith(`/${toolName}`) && isThisProgram(one));
  return folder === undefined || path === undefined ? undefined : openFile(path, openFlags.readOnly);
}

/** What files begin with that are not in their place yet. No plugin is called so. */
const temporary = '.cnitool-install-';

function replace(own: number, name: string, folder: string, mark: ProgramMark): void {
  const fresh = `${folder}/${temporary}${name}.${process.pid}`;
  removeFile(fresh);
  const fd = openFile(fresh, openFlags.readWrite | openFlags.create | openFlags.exclusive, 0o700);
  try {
    try {
      copyFile(own, fd, { from: 'this program', to: fresh });
      const size = statDescriptor(own).size;
      if (statDescriptor(fd).size !== size)
        throw new Error(`${fresh}: it has not the ${size} bytes it should have`);
      // So that it is this plugin under any name.
      const written = new Uint8Array(mark.length);
      written.set(new TextEncoder().encode(name).subarray(0, mark.length - 1));
      writeAt(fd, written, mark.offset);
      setMode(fd, 0o755, fresh);
      syncFile(fd, fresh);
    } finally {
      closeFile(fd);
    }
    renameFile(fresh, `${folder}/${name}`);
  } catch (error) {
    removeFile(fresh);
    throw error;
  }
}

/** What an install that was killed left behind. Ten minutes are longer than any takes. */
function sweep(folder: string): void {
  for (const name of listFolder(folder)) {
    const path = `${folder}/${name}`;
    const written = name.startsWith(temporary) ? statLink(path)?.mtimeNs : undefined;
    if (written !== undefined && Date.now() - Number(written / 1_000_000n) > 600_000) removeFile(path);
  }
}
