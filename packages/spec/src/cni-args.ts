/** CNI_ARGS, `K1=V1;K2=V2`: deprecated by the spec in favour of `args` in the configuration, and still in use. */
import { type Ip, parseIp } from '@cni-ts/address/ip';
import { CniError, ErrorCode, errorText } from './cni-error.ts';

/** How a value is read; throws when it cannot be. */
export type ArgReader<T> = (value: string) => T;

/** What was found, by key; a key that was not given is absent. */
export type CniArgs<K> = { [Key in keyof K]?: K[Key] extends ArgReader<infer T> ? T : never };

/**
 * Reads CNI_ARGS. Keys match exactly and the last of several wins. A key not in `known` is an error unless
 * `IgnoreUnknown=1` stands anywhere in the text; that key is understood always. A pair without exactly one `=`,
 * which includes what follows a trailing `;`, is an error even then. Throws CniError 999 with the reference's texts.
 */
export function parseCniArgs<K extends Readonly<Record<string, ArgReader<unknown>>>>(
  text: string,
  known: K,
): CniArgs<K> {
  const values: Record<string, unknown> = {};
  const unknown: string[] = [];
  let ignoreUnknown = false;
  for (const pair of text === '' ? [] : text.split(';')) {
    const [key, value, more] = pair.split('=');
    if (key === undefined || value === undefined || more !== undefined) {
      throw bad(text, `ARGS: invalid pair ${JSON.stringify(pair)}`);
    }
    const reader = Object.hasOwn(known, key) ? known[key] : undefined;
    try {
      if (key === 'IgnoreUnknown') ignoreUnknown = booleanArg(value);
      else if (reader === undefined) unknown.push(JSON.stringify(pair));
      else values[key] = reader(value);
    } catch (cause) {
      const why = `ARGS: error parsing value of pair ${JSON.stringify(pair)}: ${errorText(cause)}`;
      throw bad(text, why, cause);
    }
  }
  if (unknown.length > 0 && !ignoreUnknown) throw bad(text, `ARGS: unknown args [${unknown.join(' ')}]`);
  return values as CniArgs<K>; // each value was made by the reader its key has in `known`
}

/** `1`, `true`, `0` or `false` in any letter case. */
export function booleanArg(value: string): boolean {
  const lower = value.toLowerCase();
  if (lower === '1' || lower === 'true') return true;
  if (lower === '0' || lower === 'false') return false;
  throw new Error(`boolean unmarshal error: invalid input ${lower}`);
}

/** Any text, the empty one included. */
export function stringArg(value: string): string {
  return value;
}

/** An IP address; an empty value is none. */
export function ipArg(value: string): Ip | undefined {
  if (value === '') return undefined;
  const ip = parseIp(value);
  if (ip === undefined) throw new Error(`invalid IP address: ${value}`);
  return ip;
}

/** The spec wants the variable named, the reference's texts do not name it: the details do. */
function bad(text: string, message: string, cause?: unknown): CniError {
  return new CniError(ErrorCode.internal, message, `CNI_ARGS is ${JSON.stringify(text)}`, {
    cause,
  });
}
