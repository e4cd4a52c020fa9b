/** Whose a lease is, and what is kept of it on disk. */
import { parseCidr } from '@cni-ts/address/cidr';
import { parseClient4 } from '@cni-ts/dhcp-protocol/client4';
import type { Client4State } from '@cni-ts/dhcp-protocol/client4-state';
import { parseClient6 } from '@cni-ts/dhcp-protocol/client6';
import type { Client6State } from '@cni-ts/dhcp-protocol/client6-state';
import {
  isBoolean,
  isIp4,
  isIp6,
  isListOf,
  isMac,
  isNumber,
  isObjectOf,
  isText,
  optional,
} from '@cni-ts/dhcp-protocol/stored';
import type { NamespaceId } from '@cni-ts/libc/netns';
import type { Route } from '@cni-ts/spec/result';
import type { Router } from './router-watch.ts';

export interface Identity {
  /** Container ID, network and interface: what a lease is found by. */
  readonly key: string;
  readonly containerId: string;
  readonly network: string;
  readonly ifname: string;
  /** The path by which the namespace is seen here. */
  readonly netns: string;
  /** The link of the host that the container's hangs from; '' where the configuration names none. */
  readonly hostLink: string;
}

export interface LeaseRecord extends Identity {
  readonly version: 1;
  readonly namespace: NamespaceId;
  /** The link's hardware address. */
  readonly mac: string;
  /** At least one of the two. */
  readonly client4?: Client4State;
  readonly client6?: Client6State;
  /** Hardware address that the lease came from. */
  readonly serverMac?: string;
  /** Somebody else is looked for before an IPv4 address is used. */
  readonly probe?: boolean;
  /** The IPv4 lease was lost and its address taken from the link: the routes that went with it. */
  readonly removed?: readonly Route[];
  readonly removed6?: readonly Route[];
  /** What a router of the link has said. */
  readonly router?: Router;
}

const isIp = (value: unknown) => isIp4(value) || isIp6(value);
const isCidr = (value: unknown) => isText(value) && parseCidr(value) !== undefined;

const isRoutes = isListOf(
  isObjectOf({
    dst: isCidr,
    gw: optional(isIp),
    mtu: optional(isNumber),
    advmss: optional(isNumber),
    priority: optional(isNumber),
    table: optional(isNumber),
    scope: optional(isNumber),
  }),
);

const isRecord = isObjectOf({
  key: isText,
  containerId: isText,
  network: isText,
  ifname: isText,
  netns: isText,
  hostLink: isText,
  namespace: isObjectOf({ dev: isNumber, ino: isNumber }),
  mac: isMac,
  client4: optional((value) => parseClient4(value) !== undefined),
  client6: optional((value) => parseClient6(value) !== undefined),
  serverMac: optional(isMac),
  probe: optional(isBoolean),
  removed: optional(isRoutes),
  removed6: optional(isRoutes),
  router: optional(
    isObjectOf({
      address: isIp6,
      isDefault: isBoolean,
      managed: isBoolean,
      prefixes: isListOf(isCidr),
      mtu: optional(isNumber),
      dns: isListOf(isIp6),
      search: isListOf(isText),
    }),
  ),
});

/** A record as it was written. Throws what is wrong with one that is damaged; undefined for one of another version of this
 *  program. */
export function readRecord(json: unknown): LeaseRecord | undefined {
  const raw = isObjectOf({})(json) ? (json as Partial<LeaseRecord>) : {}; // reason: an object, whose members are looked at below
  if (isNumber(raw.version) && raw.version !== 1) return undefined;
  if (raw.version !== 1 || !isRecord(raw)) throw new Error('it does not have what a lease must have');
  if (!raw.client4 && !raw.client6) throw new Error('there is no lease in it');
  return raw as LeaseRecord; // reason: each member was looked at
}
