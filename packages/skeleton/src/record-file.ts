import { readRegular, removeFile, replaceRegular } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { errnoOf, isMissing } from '@cni-ts/libc/syscall-error';
import { failing } from '@cni-ts/spec/failing';
import { parseJson } from '@cni-ts/spec/json';
import type { Undo } from './undo.ts';

/**
 * What a plugin has written down in a file (libc's replaceRegular), for a later call; undefined where there is none. Throws
 * `<path>: …` for one that is no JSON object.
 */
export function readRecordFile(path: string): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = readRegular(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const json: unknown = failing(path, () => parseJson(text, ''));
  if (typeof json === 'object' && json !== null) return json as Record<string, unknown>; // any object has string keys
  throw new Error(`${path}: expected a JSON object`);
}

/** As readRecordFile, but one that is torn or somebody else's, whatever it holds, is as if it were not there. */
export function readWholeRecord(path: string): Record<string, unknown> | undefined {
  try {
    return readRecordFile(path);
  } catch (error) {
    if (errnoOf(error) !== undefined) throw error;
    return undefined; // reason: replaceRegular writes the whole or nothing, so nobody of ours wrote that
  }
}

/** Replaces the file by one with this text, or removes it (undefined), as a whole or not at all; undone, it is what it was. */
export function changeRecordFile(path: string, text: string | undefined, mode: number, undo: Undo): void {
  const before = tryStat(path) && readRegular(path);
  const change = (to: string | undefined): void =>
    void (to === undefined ? removeFile(path) : replaceRegular(path, to, mode));
  undo.make(
    path,
    () => change(text),
    () => change(before),
  );
}
