/** The host administrator's list of settings that tuning may write: one regular expression a line, matched anywhere
 *  in a key as it is written in the configuration. Without the file everything is allowed, with an empty one nothing.
 *  Lists in the field are written for RE2, and the keys come from whoever writes the configuration. */
import { readText } from '@cni-ts/libc/file';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { type LinearPattern, linearPattern } from '@cni-ts/linear-pattern/linear-pattern';

/** Throws for the first key that no pattern allows, naming the patterns. */
export function checkAllowed(file: string, keys: readonly string[]): void {
  const patterns = readPatterns(file);
  if (patterns === undefined) return;
  const compiled = new Map<string, LinearPattern>();
  for (const key of keys) {
    const allowed = patterns.some((pattern) => {
      const expression = compiled.get(pattern) ?? linearPattern(pattern);
      compiled.set(pattern, expression);
      return expression.isFoundIn(key);
    });
    if (allowed) continue;
    throw new Error(
      `Sysctl ${key} is not allowed. Only the following sysctls are allowed: [${patterns.join(' ')}]`,
    );
  }
}

function readPatterns(file: string): string[] | undefined {
  try {
    const lines = readText(file).split('\n');
    return lines.map((line) => line.trim()).filter((line) => line !== '');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
