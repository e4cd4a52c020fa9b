/** Taking plugins of ours out of a folder again: what they replaced goes back to its place, in one step. */
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { removeFile, renameFile } from '@cni-ts/libc/file';
import { statLink, tryStat } from '@cni-ts/libc/file-status';
import { wrapped } from '@cni-ts/libcni/wrapped-error';
import { alone, sweep } from './folder-of-plugins.ts';
import { chosen, type Placed } from './install.ts';
import { type Kept, keptOf, removeKeptFolder, syncFolder } from './kept.ts';
import { nameOfFound, whatIsThere } from './what-is-there.ts';

/** `wanted`: which of `names`, all of them where it is empty. `tell` is told of each, as soon as it is so.
 *  False where there is no such folder. */
export function uninstall(
  wanted: readonly string[],
  from: string,
  names: readonly string[] | undefined,
  tell: (one: Placed) => void,
): boolean {
  const folder = withoutSlashes(from);
  const all = chosen(wanted, names);
  if (!tryStat(folder)?.isFolder) return false;
  alone(folder, () => {
    sweep(folder);
    for (const name of all) {
      const path = `${folder}/${name}`;
      try {
        const done = takeOut(name, path, folder);
        if (done) tell(done);
      } catch (error) {
        throw wrapped(`${path} could not be taken out, and is as it was`, error);
      }
    }
    removeKeptFolder(folder);
    syncFolder(folder);
  });
  return true;
}

/** Undefined where nothing of ours is, nor was. */
function takeOut(name: string, path: string, folder: string): Placed | undefined {
  const before = whatIsThere(path, name);
  const [kept, ...others] = keptOf(folder, name);
  if (before !== undefined && before.whose !== 'ours') return leave({ name, path, before }, kept);
  if (kept === undefined) {
    if (before === undefined) return undefined;
    removeFile(path);
    return { ...{ name, path, before, kept }, action: 'removed', text: `removed ${path}` };
  }
  renameFile(kept.path, path);
  for (const one of others) removeFile(one.path);
  const was = before === undefined ? 'which was gone' : nameOfFound(before);
  const text = `${name} ${was} → ${labelText(kept)}, back from ${kept.shown}`;
  return { ...{ name, path, before, kept }, action: 'restored', text };
}

function labelText({ label }: Kept): string {
  if (label === 'other') return 'what was there before';
  return label === 'unknown' ? 'that of unknown version' : label;
}

/** Somebody else's took its place: neither is ours to remove. */
function leave(place: Pick<Placed, 'name' | 'path' | 'before'>, kept: Kept | undefined): Placed | undefined {
  if (kept === undefined) return undefined;
  const [one, other] = [statLink(place.path), statLink(kept.path)];
  if (one && other && one.ino === other.ino && one.dev === other.dev) {
    removeFile(kept.path); // an install that was killed had kept it, and not replaced it yet
    return undefined;
  }
  const text = `CNI4032 ${place.path}: somebody has replaced what was installed; it stays, and so does ${kept.shown}`;
  return { ...place, kept, action: 'left', code: 'CNI4032', text };
}
