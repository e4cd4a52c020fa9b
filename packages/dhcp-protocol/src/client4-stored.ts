/** Reads a state of the DHCPv4 client from disk. */
import type { Client4State } from './client4-state.ts';
import {
  isBoolean,
  isHex,
  isIp4,
  isListOf,
  isMac,
  isNumber,
  isObjectOf,
  isOneOf,
  isRecordOf,
  isText,
  optional,
} from './stored.ts';

const config = {
  mac: isMac,
  clientId: optional(isHex),
  request: isListOf(isNumber),
  provide: isRecordOf(isHex),
  broadcast: isBoolean,
  timeout: isNumber,
  resendMax: isNumber,
  resendTimeout: isNumber,
};

const lease = {
  address: isIp4,
  serverId: optional(isIp4),
  renewAt: optional(isNumber),
  rebindAt: optional(isNumber),
  expiresAt: optional(isNumber),
  since: isNumber,
  options: isRecordOf(isHex),
};

const isState = isObjectOf({
  version: isOneOf(1),
  config: isObjectOf(config),
  phase: isOneOf(
    'stopped',
    'pausing',
    'selecting',
    'requesting',
    'rebooting',
    'bound',
    'renewing',
    'rebinding',
  ),
  lease: optional(isObjectOf(lease)),
  wanted: optional(isIp4),
  xid: isNumber,
  secs: isNumber,
  sends: isNumber,
  since: isNumber,
  sentAt: isNumber,
  began: isNumber,
  deadline: optional(isNumber),
  due: optional(isNumber),
  offer: optional(isObjectOf({ address: isIp4, serverId: optional(isIp4), ciaddr: isIp4, flags: isNumber })),
  foreignNak: optional(isText),
  failures: isNumber,
  declines: isNumber,
  why: optional(isText),
  linkUp: isBoolean,
  stamp: isObjectOf({ boottime: isNumber, wall: isNumber, boot: isText }),
});

/** Undefined for what is no state, one of another version, or one that is damaged. */
export function parseClient4(json: unknown): Client4State | undefined {
  return isState(json) ? (json as Client4State) : undefined; // reason: each member was looked at
}
