/** Who holds what of each network, and who of them lives. */
import { formatCidr } from '@cni-ts/address/cidr';
import { equalIp, parseIp } from '@cni-ts/address/ip';
import { describe, type RangeSet, rangeOf, sizeOf } from '@cni-ts/ipam-kit/ranges';
import { cacheDir } from '@cni-ts/spec/cache-dir';
import { roomHere } from '../cluster/pool-store.ts';
import type { VerbCall } from '../verb.ts';
import { dhcpFolder, type Lease, leasesOf } from './leases.ts';
import { type OddFile, type Reservation, reservationsIn } from './reservations.ts';
import { type Standing, Standings } from './standing.ts';
import { type AddressStore, type Network, networksOf } from './stores.ts';

export interface Holder extends Reservation {
  readonly standing: Standing;
  /** Which of the store's sets it lies in; undefined for none of them. */
  readonly set?: number;
}

export interface StoreView {
  readonly store: AddressStore;
  readonly holders: readonly Holder[];
  readonly odd: readonly OddFile[];
}

export interface NetworkView {
  readonly network: Network;
  readonly stores: readonly StoreView[];
  readonly leases: readonly Lease[];
}

export interface Survey {
  readonly standings: Standings;
  readonly networks: readonly NetworkView[];
}

export function survey(call: VerbCall, standings = new Standings(call)): Survey {
  const networks = networksOf(call, standings.cached).map((network) => ({
    network,
    stores: network.stores.map((store) => storeView(network, store, standings)),
    leases: network.others.includes('dhcp') ? leasesOf(dhcpFolder(call.env), network.name) : [],
  }));
  if (
    standings.knowsNobody &&
    networks.some(({ stores }) => stores.some(({ holders }) => holders.length > 0))
  ) {
    const folder = cacheDir(call.env);
    call.note(
      `no attachment is remembered in ${folder}; if the runtime remembers them elsewhere, set CNI_CACHE_DIR`,
    );
  }
  return { standings, networks };
}

function storeView({ name }: Network, store: AddressStore, standings: Standings): StoreView {
  const { reservations, odd } = reservationsIn(store.folder);
  const holders = reservations.map((one): Holder => {
    const set = setOf(store.sets, one.address);
    return { ...one, standing: standings.of(name, one), ...(set !== undefined && { set }) };
  });
  return { store, holders, odd };
}

/** Where the address could be given from: a gateway never is. */
export function setOf(sets: readonly RangeSet[], address: string): number | undefined {
  const ip = parseIp(address);
  if (!ip) return undefined;
  const at = sets.findIndex((set) => {
    const range = rangeOf(set, ip);
    return range !== undefined && !equalIp(ip, range.gateway);
  });
  return at < 0 ? undefined : at;
}

/** The subnet where all of it is handed out, else the ends. */
export function rangeText(set: RangeSet): string {
  return set
    .map((range) => {
      const whole = sizeOf([range]) >= wholeSubnet(range.subnet.prefix, range.subnet.ip.family) - 1n;
      return whole ? formatCidr(range.subnet) : describe([range]);
    })
    .join(',');
}

/** All that a subnet can give: IPv4's without the addresses of network and broadcast, IPv6's without the first. */
function wholeSubnet(prefix: number, family: 4 | 6): bigint {
  const all = 1n << BigInt((family === 4 ? 32 : 128) - prefix);
  return family === 4 ? all - 2n : all - 1n;
}

/** The counts of one set. */
export interface Use {
  readonly range: string;
  readonly usable: number;
  readonly used: number;
  readonly live: number;
  readonly beforeBoot: number;
  readonly namespaceGone: number;
  readonly forgotten: number;
  /** By no attachment, but kept aside by a file. */
  readonly aside: number;
  /** How many blocks of it this node has, where it is the cluster's: what is usable is theirs, and there may be more. */
  readonly blocks?: number;
}

export function isFull({ used, usable, blocks }: Use): boolean {
  return used >= usable && blocks === undefined;
}

export function usesOf({ store, holders, odd }: StoreView): Use[] {
  return store.sets.map((set, at) => {
    const own = holders.filter((one) => one.set === at);
    const aside = odd.filter((one) => one.isTaken && setOf([set], one.address) === 0).length;
    const of = (cause: string | undefined) => own.filter(({ standing }) => standing.stale === cause).length;
    return {
      range: rangeText(set),
      ...usableOf(store, at),
      used: own.length + aside,
      live: of(undefined),
      beforeBoot: of('boot'),
      namespaceGone: of('namespace') + of('runtime'),
      forgotten: of('forgotten'),
      aside,
    };
  });
}

function usableOf({ pool, sets }: AddressStore, at: number): Pick<Use, 'usable' | 'blocks'> {
  const range = pool?.ranges[at];
  return pool && range ? roomHere(pool, range) : { usable: Number(sizeOf(sets[at] ?? [])) };
}

export function whose({ containerId, ifname }: { containerId: string; ifname?: string }): string {
  return ifname === undefined ? `container ${containerId}` : `container ${containerId}, interface ${ifname}`;
}

export function timeText(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString().replace(/\.\d+Z$/, 'Z');
}
