/** `cnitool ipam check`: what is wrong with reservations, as findings that `release` can work by. */
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { Netns } from '@cni-ts/libc/netns';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { Netlink } from '@cni-ts/netlink/socket';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import { findLink } from '@cni-ts/rtnetlink/link';
import type { FindingCode, FindingLevel } from '@cni-ts/spec/finding-codes';
import { poolProblems } from '../cluster/pool-problems.ts';
import { type Holder, isFull, type NetworkView, type Survey, setOf, usesOf, whose } from './survey.ts';

export interface IpamFinding {
  readonly code: FindingCode;
  readonly level: FindingLevel;
  readonly network: string;
  readonly message: string;
  readonly address?: string;
  readonly containerId?: string;
  readonly ifname?: string;
  /** The reservation's file. */
  readonly path?: string;
  /** When that was written, in nanoseconds since 1970. */
  readonly since?: string;
}

export function findingsIn({ networks, standings }: Survey): IpamFinding[] {
  const found = networks.flatMap((view) => [
    ...leaks(view),
    ...outside(view),
    ...inBlocks(view),
    ...odd(view),
    ...full(view),
    ...onLinks(view, (one) => standings.ofCached(one).stale === undefined),
  ]);
  return [...found, ...inTwoStores(networks)];
}

function about(network: string, { address, containerId, ifname, path, since }: Holder) {
  return {
    network,
    address,
    containerId,
    ...(ifname !== undefined && { ifname }),
    path,
    since: String(since),
  };
}

function leaks({ network, stores }: NetworkView): IpamFinding[] {
  return stores.flatMap(({ holders }) =>
    holders.flatMap((one) =>
      one.standing.stale === undefined
        ? []
        : {
            code: 'CNI2020' as const,
            level: 'error' as const,
            ...about(network.name, one),
            message: `it is reserved for ${whose(one)}: ${one.standing.why}`,
          },
    ),
  );
}

function outside({ network, stores }: NetworkView): IpamFinding[] {
  return stores.flatMap(({ store, holders }) =>
    store.sets.length === 0
      ? []
      : holders.flatMap((one) =>
          one.set === undefined && one.standing.stale === undefined
            ? {
                code: 'CNI2022' as const,
                level: 'warning' as const,
                ...about(network.name, one),
                message: `${whose(one)} holds it, and it is in none of the ranges`,
              }
            : [],
        ),
  );
}

function inBlocks({ network, stores }: NetworkView): IpamFinding[] {
  return stores.flatMap((one) =>
    poolProblems(one).map(({ code, message, level, address }) => ({
      code,
      level,
      network: network.name,
      ...(address !== undefined && { address }),
      message,
    })),
  );
}

function odd({ network, stores }: NetworkView): IpamFinding[] {
  return stores.flatMap(({ odd: files }) =>
    files.map(({ address, path, why, isTaken }) => ({
      code: 'CNI2025' as const,
      level: isTaken ? ('warning' as const) : ('note' as const),
      network: network.name,
      address,
      path,
      message: `${path} is no reservation: ${why}`,
    })),
  );
}

function full({ network, stores }: NetworkView): IpamFinding[] {
  return stores.flatMap((one) =>
    usesOf(one)
      .filter(isFull)
      .map(({ range, used, usable, live }) => ({
        code: 'CNI2026' as const,
        level: 'error' as const,
        network: network.name,
        message: `${range} is full: ${used} of ${usable} addresses are used, ${live} of them by who lives`,
      })),
  );
}

function inTwoStores(networks: readonly NetworkView[]): IpamFinding[] {
  const by = new Map<string, { network: string; holder: Holder }[]>();
  for (const { network, stores } of networks) {
    for (const { holders } of stores) {
      for (const holder of holders) {
        const all = by.get(holder.address) ?? [];
        all.push({ network: network.name, holder });
        by.set(holder.address, all);
      }
    }
  }
  return [...by].flatMap(([address, all]) => {
    const [first, second] = all;
    if (!first || !second) return [];
    const living = all.filter(({ holder }) => holder.standing.stale === undefined).length;
    return {
      code: 'CNI2021' as const,
      level: living > 1 ? ('error' as const) : ('warning' as const),
      network: first.network,
      address,
      message: `it is reserved more than once: ${all.map(({ network, holder }) => `by ${network} for ${whose(holder)}`).join('; ')}`,
    };
  });
}

/** Addresses that are on links of living attachments, as the kernel has them, and whom the network has them reserved for. */
function onLinks({ network, stores }: NetworkView, lives: (one: CachedAttachment) => boolean): IpamFinding[] {
  if (stores.length === 0) return [];
  return network.attachments.filter(lives).flatMap((one) => {
    const { containerId, ifname } = one;
    const at = { network: network.name, containerId, ifname };
    return addressesOf(one).flatMap((address): IpamFinding[] => {
      const store = stores.find((of) => setOf(of.store.sets, address) !== undefined);
      if (!store) return [];
      const holder = store.holders.find((of) => of.address === address);
      if (!holder) {
        const message = `${whose(one)} has it on its link, and it is not reserved: the next container may get it too`;
        return [{ code: 'CNI2023', level: 'error', ...at, address, message }];
      }
      const isIts = holder.containerId === containerId && (holder.ifname ?? ifname) === ifname;
      if (isIts) return [];
      const message = `${whose(one)} has it on its link, and it is reserved for ${whose(holder)}`;
      return [{ code: 'CNI2024', level: 'error', ...at, address, path: holder.path, message }];
    });
  });
}

/** None where the namespace cannot be entered. */
function addressesOf({ netns = '', ifname }: CachedAttachment): string[] {
  try {
    const place = Netns.open(netns);
    try {
      return place.run(() => {
        const route = Netlink.open('route');
        try {
          const link = findLink(route, ifname);
          return link ? listAddresses(route, link).map(({ cidr }) => formatIp(cidr.ip)) : [];
        } finally {
          route.close();
        }
      });
    } finally {
      place.close();
    }
  } catch {
    return []; // reason: it is gone by now, or another's whom we may not look into; nothing is said of it
  }
}

export function findingLine({ level, code, network, address, message }: IpamFinding): string {
  return `${level} ${code} ${network}${address === undefined ? '' : ` ${address}`}: ${message}`;
}

/** A report as it was written. Throws for what is none. */
export function readReport(json: unknown): IpamFinding[] {
  const findings =
    typeof json === 'object' && json !== null && 'findings' in json ? json.findings : undefined;
  if (!Array.isArray(findings))
    throw new Error('it has no list "findings": write one by cnitool ipam check -o FILE');
  return findings.filter((one: unknown): one is IpamFinding => {
    if (typeof one !== 'object' || one === null) return false;
    // reason: each member that is used is looked at here
    const { code, network, address, path, since, containerId } = one as Record<string, unknown>;
    const texts = [code, network, address, path, since, containerId];
    return texts.every((text) => typeof text === 'string') && parseIp(String(address)) !== undefined;
  });
}
