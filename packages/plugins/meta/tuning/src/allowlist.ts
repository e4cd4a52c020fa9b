/** The host administrator's list of settings that tuning may write: one regular expression a line, matched anywhere
 *  in a key as it is written in the configuration. Without the file everything is allowed, with an empty one nothing. */
import { readText } from '@cni-ts/libc/file';
import { errnoOf } from '@cni-ts/libc/syscall-error';

/** Throws for the first key that no pattern allows, naming the patterns. */
export function checkAllowed(file: string, keys: readonly string[]): void {
  const patterns = readPatterns(file);
  if (patterns === undefined) return;
  const compiled = new Map<string, RegExp>();
  for (const key of keys) {
    const allowed = patterns.some((pattern) => {
      const expression = compiled.get(pattern) ?? compile(pattern);
      compiled.set(pattern, expression);
      return expression.test(key);
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

/** Character classes that RE2 knows by name and JavaScript does not. */
const named: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
  space: '\\t\\n\\v\\f\\r ',
};

/** Lists in the field are written for RE2. What it spells in another way is translated; Unicode mode makes an error
 *  of an escape that means something else here, where a lenient reading might allow more than was meant. */
function compile(pattern: string): RegExp {
  const [, flags = '', rest = ''] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(pattern) ?? [];
  const source = rest.replace(/\\(.)|\(\?P<|\[:(\w+):\]/gs, (found, escaped?: string, name?: string) => {
    if (name !== undefined) return named[name] ?? found;
    if (escaped === undefined) return '(?<';
    if (escaped === 'A') return '^';
    if (escaped === 'z') return '$';
    if (escaped === '-') return '\\x2d'; // literal inside a class and outside
    return /[0-9A-Za-z^$\\.*+?()[\]{}|/]/.test(escaped) ? found : escaped;
  });
  try {
    return new RegExp(source, `${flags}u`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`error parsing regexp: ${why}`, { cause: error });
  }
}
