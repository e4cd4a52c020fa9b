/** Looks into what was read from disk, before anybody relies on it. */
import { parseIp } from '@cni-ts/address/ip';
import { parseMac } from '@cni-ts/address/mac';
import { fromHex } from './hex.ts';

type Look = (value: unknown) => boolean;

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

export function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

export function isHex(value: unknown): boolean {
  return isText(value) && fromHex(value) !== undefined;
}

export function isIp4(value: unknown): boolean {
  return isText(value) && !value.includes(':') && parseIp(value) !== undefined;
}

export function isIp6(value: unknown): boolean {
  return isText(value) && value.includes(':') && parseIp(value) !== undefined;
}

export function isMac(value: unknown): boolean {
  return isText(value) && parseMac(value) !== undefined;
}

export function isOneOf(...values: readonly unknown[]): Look {
  return (value) => values.includes(value);
}

export function isListOf(is: Look): Look {
  return (value) => Array.isArray(value) && value.every(is);
}

export function isRecordOf(is: Look): Look {
  return (value) => isObject(value) && Object.values(value).every(is);
}

/** An object whose members are what they must be; it may have others. */
export function isObjectOf(members: Readonly<Record<string, Look>>): Look {
  return (value) => isObject(value) && Object.keys(members).every((name) => members[name]!(value[name]));
}

/** For a member that may be missing. */
export function optional(is: Look): Look {
  return (value) => value === undefined || is(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
