/** Reads a state of the DHCPv4 client from disk. */
import { parseMac } from '@cni-ts/address/mac';
import type { Client4State } from './client4-state.ts';
import { has, isHex, isIp4, isListOf, isNumber, isRecordOf, isStored, isText, optional } from './stored.ts';

const phases = [
  'stopped',
  'pausing',
  'selecting',
  'requesting',
  'rebooting',
  'bound',
  'renewing',
  'rebinding',
];
const isBoolean = (one: unknown) => typeof one === 'boolean';
const number = isNumber;

const config = {
  mac: (one: unknown) => isText(one) && parseMac(one) !== undefined,
  clientId: optional(isHex),
  request: (one: unknown) => isListOf(one, isNumber),
  provide: (one: unknown) => isRecordOf(one, isHex),
  broadcast: isBoolean,
  timeout: number,
  resendMax: number,
  resendTimeout: number,
};

const lease = {
  address: isIp4,
  serverId: optional(isIp4),
  renewAt: optional(number),
  rebindAt: optional(number),
  expiresAt: optional(number),
  since: number,
  options: (one: unknown) => isRecordOf(one, isHex),
};

const offer = { address: isIp4, serverId: optional(isIp4), ciaddr: isIp4, flags: number };
const stamp = { boottime: number, wall: number, boot: isText };

const object = (members: Parameters<typeof has>[1]) => (one: unknown) => isStored(one) && has(one, members);

const state = {
  version: (one: unknown) => one === 1,
  config: object(config),
  phase: (one: unknown) => isText(one) && phases.includes(one),
  lease: optional(object(lease)),
  wanted: optional(isIp4),
  xid: number,
  secs: number,
  sends: number,
  since: number,
  began: number,
  deadline: optional(number),
  due: optional(number),
  offer: optional(object(offer)),
  foreignNak: optional(isText),
  failures: number,
  declines: number,
  why: optional(isText),
  linkUp: isBoolean,
  stamp: object(stamp),
};

/** Undefined for what is no state, one of another version, or one that is damaged. */
export function parseClient4(json: unknown): Client4State | undefined {
  return object(state)(json) ? (json as Client4State) : undefined; // reason: each member was looked at
}
