/** How the values of a result's members are read, but for entries (result-table.ts): each kind once. */
import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { CniError, ErrorCode } from './cni-error.ts';

/** The arrangements of a result that there are, each by the spec version that introduced it. */
export type Shape = '0.1.0' | '0.3.0' | '1.0.0';

/** How one kind of value is read. */
export interface Codec<T> {
  /**
   * undefined or '' for what is as good as absent. `at` is the path of the entry that has `name`. For a member that is
   * always there `value` may be undefined or null; what is read then is empty. Throws CniError 6 with the member's path.
   */
  read(value: unknown, at: string, name: string, shape: Shape): T | undefined;
}

export const text: Codec<string> = {
  read(value, at, name) {
    if (value === undefined || value === null) return '';
    if (typeof value !== 'string') throw wrongType(join(at, name), 'a string', value);
    return value;
  },
};

/** A whole number; 0 has a meaning. */
export const whole: Codec<number> = {
  read(value, at, name) {
    if (Number.isSafeInteger(value)) return value as number; // reason: that is what isSafeInteger tells
    throw wrongType(join(at, name), 'an integer', value);
  },
};

/** A whole number; 0 says nothing. */
export const amount: Codec<number> = {
  read: (value, at, name, shape) => whole.read(value, at, name, shape) || undefined,
};

export const texts: Codec<string[]> = {
  read(value, at, name) {
    if (!Array.isArray(value)) throw wrongType(join(at, name), 'a list', value);
    const read: string[] = [];
    for (let i = 0; i < value.length; i++) {
      if (typeof value[i] !== 'string') throw wrongType(`${join(at, name)}[${i}]`, 'a string', value[i]);
      read.push(value[i]);
    }
    return read.length === 0 ? undefined : read;
  },
};

/** An address in canonical form (formatIp). */
export const ip: Codec<string> = {
  read(value, at, name, shape) {
    const given = text.read(value, at, name, shape) ?? '';
    return given === '' ? '' : canonicalIp(given, at, name);
  },
};

/** An address with its prefix length, in canonical form (formatCidr); host bits are kept. The reference prints `<nil>`
 *  for one that is not there. */
export const cidr: Codec<string> = {
  read(value, at, name, shape) {
    if (value !== undefined) return canonicalCidr(text.read(value, at, name, shape) ?? '', at, name);
    const expected = 'expected an address with a prefix length, such as 10.1.2.3/24';
    throw new CniError(ErrorCode.decodingFailure, `${join(at, name)} is missing: ${expected}`);
  },
};

const canonicalIp = canonical('IP address', (given) => {
  const parsed = parseIp(given);
  return parsed && formatIp(parsed);
});

const canonicalCidr = canonical('CIDR address', (given) => {
  const parsed = parseCidr(given);
  return parsed && formatCidr(parsed);
});

const mostKnown = 100;

/** Remembers what was read before and how it is written: in a chain each address is read a dozen times. */
function canonical(what: string, write: (given: string) => string | undefined) {
  const known = new Map<string, string>();
  return (given: string, at: string, name: string): string => {
    const before = known.get(given);
    if (before !== undefined) return before;
    const written = write(given);
    if (written === undefined) {
      throw new CniError(ErrorCode.decodingFailure, `invalid ${what}: ${given}`, `at ${join(at, name)}`);
    }
    if (known.size >= mostKnown) known.clear();
    known.set(given, written);
    return written;
  };
}

export function wrongType(at: string, expected: string, got: unknown): CniError {
  const shown = JSON.stringify(got) ?? String(got);
  const short = shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
  return new CniError(ErrorCode.decodingFailure, `${at}: expected ${expected}, got ${short}`);
}

export function join(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}
