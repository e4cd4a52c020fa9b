import { readRegular } from '@cni-ts/libc/file';
import { isMissing } from '@cni-ts/libc/syscall-error';
import { failing } from '@cni-ts/spec/failing';
import { parseJson } from '@cni-ts/spec/json';

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
