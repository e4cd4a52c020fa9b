/** `cnitool ipam release --from-report`: gives back what a report calls leaked, and is still so. */
import { Folder } from '@cni-ts/ipam-kit/folder-store';
import type { IpamFinding } from './check.ts';
import { type Reservation, readReservation } from './reservations.ts';
import type { Standings } from './standing.ts';
import type { Network } from './stores.ts';
import { whose } from './survey.ts';

export interface Released {
  readonly network: string;
  readonly address: string;
  readonly containerId: string;
  readonly ifname?: string;
  /** Why it was not released. */
  readonly left?: string;
}

/** One after the other, each in a hold of its store. */
export function releaseLeaked(
  findings: readonly IpamFinding[],
  networks: readonly Network[],
  standings: Standings,
): Released[] {
  return findings
    .filter(({ code }) => code === 'CNI2020')
    .map(({ network, address = '', containerId = '', ifname, path = '', since = '' }) => {
      const store = networks
        .filter(({ name }) => name === network)
        .flatMap(({ stores }) => stores)
        .find(({ folder }) => path === `${folder}/${address}`);
      const at = { network, address, containerId, ...(ifname !== undefined && { ifname }) };
      if (!store) return { ...at, left: `network ${network} keeps no reservations at ${path}` };
      const left = release(
        store.folder,
        network,
        standings,
        (now) => {
          if (now.address !== address) return 'it is another address';
          if (now.containerId !== containerId || now.ifname !== ifname)
            return `it is reserved for ${whose(now)} by now`;
          return String(now.since) === since ? undefined : 'it was reserved anew since';
        },
        address,
      );
      return { ...at, ...(left !== undefined && { left }) };
    });
}

/** Releases the reservation of an address if it is stale now, and `unlike` has nothing against it; else says why not. */
export function release(
  folder: string,
  network: string,
  standings: Standings,
  unlike: (now: Reservation) => string | undefined,
  address: string,
): string | undefined {
  return new Folder(folder, undefined).hold((store) => {
    const now = readReservation(address, `${folder}/${address}`);
    if (now === undefined) return 'it was released meanwhile';
    if ('why' in now) return now.why;
    const standing = standings.of(network, now);
    const against = unlike(now) ?? (standing.stale === undefined ? standing.why : undefined);
    if (against === undefined) store.release(address);
    return against;
  });
}
