/** Looks into what was read from disk, before anybody relies on it. */
import { parseIp } from '@cni-ts/address/ip';
import { fromHex } from './hex.ts';

export type Stored = Readonly<Record<string, unknown>>;

export function isStored(value: unknown): value is Stored {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isHex(value: unknown): value is string {
  return isText(value) && fromHex(value) !== undefined;
}

export function isIp4(value: unknown): value is string {
  return isText(value) && !value.includes(':') && parseIp(value) !== undefined;
}

export function isIp6(value: unknown): value is string {
  return isText(value) && value.includes(':') && parseIp(value) !== undefined;
}

export function isListOf(value: unknown, is: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(is);
}

export function isRecordOf(value: unknown, is: (one: unknown) => boolean): boolean {
  return isStored(value) && Object.values(value).every(is);
}

/** Whether each member is there and is what it must be. */
export function has(value: Stored, members: Readonly<Record<string, (one: unknown) => boolean>>): boolean {
  return Object.keys(members).every((name) => members[name]!(value[name]));
}

/** For a member that may be missing. */
export function optional(is: (one: unknown) => boolean): (one: unknown) => boolean {
  return (one) => one === undefined || is(one);
}
