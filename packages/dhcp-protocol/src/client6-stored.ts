/** Reads a state of the DHCPv6 client from disk. */
import type { Client6State } from './client6-state.ts';
import {
  isBoolean,
  isHex,
  isIp6,
  isListOf,
  isNumber,
  isObjectOf,
  isOneOf,
  isRecordOf,
  isText,
  optional,
} from './stored.ts';

const config = {
  duid: isHex,
  iaid: isNumber,
  request: isListOf(isNumber),
  provide: optional(isRecordOf(isHex)),
  rapidCommit: isBoolean,
  informationOnly: optional(isBoolean),
  resendTimeout: isNumber,
};

const lease = {
  address: isIp6,
  serverId: isHex,
  renewAt: optional(isNumber),
  rebindAt: optional(isNumber),
  preferredUntil: optional(isNumber),
  expiresAt: optional(isNumber),
  since: isNumber,
  dns: isListOf(isText),
  search: isListOf(isText),
  ntp: isListOf(isText),
};

const isState = isObjectOf({
  version: isOneOf(1),
  config: isObjectOf(config),
  phase: isOneOf(
    'stopped',
    'soliciting',
    'requesting',
    'confirming',
    'bound',
    'renewing',
    'rebinding',
    'informing',
    'releasing',
    'declining',
  ),
  lease: optional(isObjectOf(lease)),
  wanted: optional(isIp6),
  xid: isNumber,
  sends: isNumber,
  since: isNumber,
  wait: isNumber,
  began: isNumber,
  deadline: optional(isNumber),
  due: optional(isNumber),
  offer: optional(isObjectOf({ serverId: isHex, preference: isNumber, address: isIp6 })),
  solMaxRt: isNumber,
  why: optional(isText),
  linkUp: isBoolean,
  stamp: isObjectOf({ boottime: isNumber, wall: isNumber, boot: isText }),
});

/** Undefined for what is no state, one of another version, or one that is damaged. */
export function parseClient6(json: unknown): Client6State | undefined {
  return isState(json) ? (json as Client6State) : undefined; // reason: each member was looked at
}
