/** Which networks of this node keep reservations, where, and of which ranges. */
import { parseIp } from '@cni-ts/address/ip';
import { rangesOf, schema } from '@cni-ts/host-local/config';
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { defaultDataDir } from '@cni-ts/ipam-kit/data-dir';
import type { RangeSet } from '@cni-ts/ipam-kit/ranges';
import { namesIn } from '@cni-ts/libc/folder';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { isJsonObject, type JsonObject } from '@cni-ts/libcni/json';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import { readConfigOf } from '@cni-ts/skeleton/config';
import { errorText } from '@cni-ts/spec/cni-error';
import { poolNetworkOf } from '../cluster/pool-network.ts';
import { type PoolStore, poolStoreOf } from '../cluster/pool-store.ts';
import { networkListAt, wantedConfigPaths } from '../config-lists.ts';
import { grouped } from '../grouped.ts';
import { rememberedAttachments } from '../remembered-attachments.ts';
import { rememberedList } from '../remembered-list.ts';
import { configDir } from '../settings.ts';
import type { VerbCall } from '../verb.ts';

/** A network that there is, or was. */
export interface Network {
  readonly name: string;
  /** Its configuration: the node's, or what its attachments were made with. */
  readonly list?: NetworkList;
  /** The file that has it now. */
  readonly file?: string;
  /** What its attachments were made with, as the cache has it. */
  readonly attachments: readonly CachedAttachment[];
  readonly stores: readonly AddressStore[];
  /** Types of IPAM plugins whose memory is not looked into here. */
  readonly others: readonly string[];
}

/** One folder of reservations, as host-local keeps them. */
export interface AddressStore {
  readonly folder: string;
  readonly sets: readonly RangeSet[];
  /** Why the ranges are not known. */
  readonly unknown?: string;
  /** Its ranges are the cluster's, of which this node has blocks. */
  readonly pool?: PoolStore;
}

/** All networks in the order of their files, then those that only cache or reservations know. */
export function networksOf(
  call: Pick<VerbCall, 'env' | 'note' | 'runtime' | 'isOurs'>,
  cached: readonly CachedAttachment[] = rememberedAttachments(call.runtime),
): Network[] {
  const byNetwork = grouped(cached, ({ network }) => network);
  const found = new Map<string, { list: NetworkList; file?: string }>();
  for (const path of wantedConfigPaths(configDir(call.env))) {
    try {
      const list = networkListAt(path);
      if (!found.has(list.name)) found.set(list.name, { list, file: path });
    } catch (error) {
      call.note(`${path} was skipped: ${textOf(error)}`);
    }
  }
  for (const one of cached) {
    if (found.has(one.network)) continue;
    try {
      found.set(one.network, { list: rememberedList(one) });
    } catch (error) {
      call.note(
        `what ${one.network} ${one.containerId}/${one.ifname} was made with cannot be read: ${textOf(error)}`,
      );
    }
  }
  const isOurs = (type: string) => {
    const program = call.runtime.programOf(type);
    return program !== undefined && call.isOurs(program);
  };
  const networks = [...found].map(([name, { list, file }]): Network => {
    const attachments = byNetwork.get(name) ?? [];
    const { stores, others } = storesOf(list, attachments, isOurs);
    return { name, list, ...(file !== undefined && { file }), attachments, stores, others };
  });
  return [...networks, ...orphans(call, networks, cached)];
}

/** Folders beside the cache that no configuration speaks of, such as those of a network that was removed. */
function orphans(
  { env }: Pick<VerbCall, 'env'>,
  networks: readonly Network[],
  cached: readonly CachedAttachment[],
): Network[] {
  const root = env.CNI_CACHE_DIR ? `${withoutSlashes(env.CNI_CACHE_DIR)}/networks` : defaultDataDir;
  const known = new Set(networks.flatMap(({ stores }) => stores.map(({ folder }) => folder)));
  return namesIn(root).flatMap((name) => {
    const folder = `${root}/${name}`;
    if (known.has(folder) || !namesIn(folder).some((one) => parseIp(one) !== undefined)) return [];
    const attachments = cached.filter(({ network }) => network === name);
    const unknown = 'no configuration speaks of it';
    return [{ name, attachments, stores: [{ folder, sets: [], unknown }], others: [] }];
  });
}

function storesOf(
  list: NetworkList,
  attachments: readonly CachedAttachment[],
  isOurs: (type: string) => boolean,
): Pick<Network, 'stores' | 'others'> {
  const stores = new Map<string, AddressStore>();
  const others: string[] = [];
  for (const { json } of list.plugins) {
    const { ipam } = json;
    if (!isJsonObject(ipam) || typeof ipam.type !== 'string') continue;
    const pool = poolNetworkOf(list, json, isOurs);
    if (pool) {
      stores.set(pool.folder, poolStore(poolStoreOf(pool)));
      continue;
    }
    if (ipam.type !== 'host-local') {
      others.push(ipam.type);
      continue;
    }
    const { dataDir } = ipam;
    const root = withoutSlashes(typeof dataDir === 'string' && dataDir !== '' ? dataDir : defaultDataDir);
    const folder = `${root}/${list.name}`;
    const { sets, unknown } = rangesIn(list, json, attachments);
    const before = stores.get(folder)?.sets ?? [];
    stores.set(folder, { folder, sets: [...before, ...sets], ...(unknown !== undefined && { unknown }) });
  }
  return { stores: [...stores.values()], others };
}

function poolStore(pool: PoolStore): AddressStore {
  const { unknown } = pool;
  const sets = pool.ranges.map(({ set }) => set);
  return { folder: pool.folder, sets, pool, ...(unknown !== undefined && { unknown }) };
}

/** Ranges may come by a capability: then those of the attachments that are remembered count as well. */
function rangesIn(
  list: NetworkList,
  json: JsonObject,
  attachments: readonly CachedAttachment[],
): Pick<AddressStore, 'sets' | 'unknown'> {
  const last = attachments.findLast(({ capabilityArgs }) => capabilityArgs?.ipRanges !== undefined);
  const ipRanges = last?.capabilityArgs?.ipRanges;
  try {
    const raw = readConfigOf('host-local', schema, {
      ...json,
      cniVersion: list.cniVersion,
      ...(ipRanges !== undefined && { runtimeConfig: { ipRanges } }),
    });
    return { sets: rangesOf(raw) };
  } catch (error) {
    return { sets: [], unknown: errorText(error) };
  }
}
