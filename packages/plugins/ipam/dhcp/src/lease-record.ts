/** Whose a lease is, and what is kept of it on disk. */
import { parseClient4 } from '@cni-ts/dhcp-protocol/client4';
import type { Client4State } from '@cni-ts/dhcp-protocol/client4-state';
import { parseClient6 } from '@cni-ts/dhcp-protocol/client6';
import type { Client6State } from '@cni-ts/dhcp-protocol/client6-state';
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
  /** The IPv4 lease was lost and its address taken from the link: the routes that went with it. */
  readonly removed?: readonly Route[];
  readonly removed6?: readonly Route[];
  /** What a router of the link has said. */
  readonly router?: Router;
}

/** A record as it was written. Undefined for what is none: of another version, or damaged. */
export function readRecord(json: unknown): LeaseRecord | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const raw = json as Partial<Record<keyof LeaseRecord, unknown>>; // reason: each member is looked at below
  const {
    version,
    key,
    containerId,
    network,
    ifname,
    netns,
    hostLink,
    namespace,
    mac,
    serverMac,
    removed,
    removed6,
    router,
  } = raw;
  const client4 = raw.client4 === undefined ? undefined : parseClient4(raw.client4);
  const client6 = raw.client6 === undefined ? undefined : parseClient6(raw.client6);
  const texts = [key, containerId, network, ifname, netns, hostLink];
  if (
    version !== 1 ||
    !(client4 || client6) ||
    !isNamespace(namespace) ||
    typeof mac !== 'string' ||
    texts.some((one) => typeof one !== 'string')
  )
    return undefined;
  // reason: looked at just now
  const identity = { key, containerId, network, ifname, netns, hostLink } as Identity;
  return {
    version,
    ...identity,
    namespace,
    mac,
    ...(client4 && { client4 }),
    ...(client6 && { client6 }),
    ...(typeof serverMac === 'string' && { serverMac }),
    // reason of the three: nobody but us writes these files
    ...(Array.isArray(removed) && { removed: removed as Route[] }),
    ...(Array.isArray(removed6) && { removed6: removed6 as Route[] }),
    ...(typeof router === 'object' && router !== null && { router: router as Router }),
  };
}

function isNamespace(value: unknown): value is NamespaceId {
  return (
    typeof value === 'object' &&
    value !== null &&
    'dev' in value &&
    'ino' in value &&
    typeof value.dev === 'number' &&
    typeof value.ino === 'number'
  );
}
