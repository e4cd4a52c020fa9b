/** Versions of the CNI specification, and how they compare. */
import { CniError, ErrorCode } from './cni-error.ts';

/**
 * Major, minor and micro. `''` is 0.1.0, missing parts are 0, a sign is let through as the reference does.
 * Throws CniError 6 for anything that is not made of one to three integers.
 */
export function parseVersion(text: string): [number, number, number] {
  if (text === '') return [0, 1, 0];
  const parts = text.split('.');
  if (parts.length > 3) {
    throw new CniError(ErrorCode.decodingFailure, `invalid version ${JSON.stringify(text)}: too many parts`);
  }
  return [integer(parts[0], 'major'), integer(parts[1], 'minor'), integer(parts[2], 'micro')];
}

/** Negative, zero or positive, part by part as numbers: 1.10.0 is above 1.9.0. Throws as parseVersion does. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

function integer(part: string | undefined, name: string): number {
  if (part === undefined) return 0;
  // Nearly always one digit; a regular expression takes longer to compile than all else here.
  const digit = part.charCodeAt(0) - 0x30;
  if (part.length === 1 && digit >= 0 && digit <= 9) return digit;
  const value = /^[+-]?[0-9]+$/.test(part) ? Number(part) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new CniError(
    ErrorCode.decodingFailure,
    `failed to convert ${name} version part ${JSON.stringify(part)}: ` +
      (Number.isNaN(value) ? 'it is not a whole number' : 'the number is out of range'),
  );
}
