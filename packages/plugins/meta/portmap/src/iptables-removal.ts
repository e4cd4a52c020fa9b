import { equalIp, type Ip } from '@cni-ts/address/ip';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, IptablesError } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { findChain } from '@cni-ts/nftables/chain';
import { NftablesError } from '@cni-ts/nftables/transaction';
import { isAnothers } from '@cni-ts/rules/iptables-owner';
import {
  chainVariants,
  familiesWith,
  type Jump,
  leadsElsewhere,
  listJumps,
  removeChains,
} from '@cni-ts/rules/jump';
import { failing, tryEach } from '@cni-ts/spec/failing';
import { entries, masq, natTable, redirectionsOf, setMark } from './iptables-chains.ts';
import {
  chainComment,
  iptablesChain,
  iptablesCommentStart,
  type Owner,
  oldIptablesChain,
  referenceChain,
  spareIptablesChain,
  usualInterface,
} from './owner.ts';
import type { Redirection, Removed } from './stale-flows.ts';

/** Of old versions of the reference. */
const oldEntries = 'CNI-HOSTPORT-SNAT';

/**
 * Takes an attachment's mappings away, found by its names alone, in both kinds of tables; rules of iptables-nft go
 * without a program, and none that name somebody else. With the last mapping of a family go the chains that all share.
 * What the reference made for another interface than eth0 is known by `addresses`, those of the container.
 */
export function removeFromIptables(nl: Netlink, owner: Owner, addresses: readonly Ip[] = []): Removed {
  const removed: Removed = { 4: [], 6: [] };
  const reference = addresses.length ? referenceChain(owner) : undefined;
  const names = reference === undefined ? ownChains(owner) : [...ownChains(owner), reference];
  tryEach(familiesWith(nl, 'nat', names), ({ family, chains }) => {
    const own = chains.filter((name) => name !== reference || leadsTo(nl, family, name, addresses));
    removed[family] = failing(`could not teardown ipv${family} dnat`, () =>
      removeFamily(nl, family, owner, own),
    );
  });
  return removed;
}

/** Whether a chain redirects, and to these addresses alone. */
function leadsTo(nl: Netlink, family: Family, chain: string, addresses: readonly Ip[]): boolean {
  const rules = chainVariants(nl, family, 'nat', chain).flatMap((variant) =>
    natTable(nl, family, variant).rules(chain),
  );
  const ports = rules.flatMap(redirectionsOf);
  return ports.length > 0 && ports.every(({ to }) => addresses.some((one) => to && equalIp(one, to)));
}

/** Those of one family; only these chains. */
export function removeFamily(
  nl: Netlink,
  family: Family,
  owner: Owner,
  chains: readonly string[] = ownChains(owner),
): Redirection[] {
  return removeOwn(nl, family, chains, ({ comment }) => isAnothers(comment, owner));
}

/** All chains that an attachment may have. */
export function ownChains(owner: Owner): string[] {
  return [iptablesChain(owner), spareIptablesChain(owner), oldIptablesChain(owner)];
}

function removeOwn(
  nl: Netlink,
  family: Family,
  chains: readonly string[],
  isOthers: (jump: Jump) => boolean,
): Redirection[] {
  const leading = listJumps(nl, family, 'nat', entries, chains);
  const spared = leading.filter(isOthers).map(({ to }) => to);
  const own = chains.filter((chain) => !spared.includes(chain));
  const ports = [...new Set(leading.map(({ variant }) => variant))].flatMap((variant) => {
    const nat = natTable(nl, family, variant);
    return own.flatMap((chain) => nat.rules(chain).flatMap(redirectionsOf));
  });
  const parents = [entries, oldEntries];
  if (leading.length && !leadsElsewhere(nl, family, 'nat', entries, 'CNI-', own)) {
    try {
      const shared = [entries, oldEntries, setMark, masq];
      removeChains(
        nl,
        family,
        'nat',
        [...chains, ...shared],
        [...parents, 'PREROUTING', 'OUTPUT', 'POSTROUTING'],
      );
      return ports;
    } catch (error) {
      // Somebody else's rules lead to a shared chain: then it stays.
      if (!isInUse(error)) throw error;
    }
  }
  removeChains(nl, family, 'nat', chains, parents, isOthers);
  return ports;
}

function isInUse(error: unknown): boolean {
  if (error instanceof NftablesError) return error.code === 'EBUSY';
  return error instanceof IptablesError && /busy|too many links|in use|not empty/i.test(error.message);
}

/** Removes the mappings of this network's attachments that are not valid any more. */
export function gcIptables(nl: Netlink, network: string, valid: readonly Omit<Owner, 'network'>[]): Removed {
  const removed: Removed = { 4: [], 6: [] };
  for (const family of [4, 6] as const) {
    const jumps = listJumps(nl, family, 'nat', entries);
    const start = iptablesCommentStart(network);
    const stale = staleChains(nl, family, jumps, network, valid);
    const isOthers = ({ comment }: Jump) => comment !== undefined && !comment.startsWith(start);
    if (stale.length) removed[family] = removeOwn(nl, family, stale, isOthers);
  }
  return removed;
}

function staleChains(
  nl: Netlink,
  family: Family,
  jumps: readonly Jump[],
  network: string,
  valid: readonly Omit<Owner, 'network'>[],
): string[] {
  const owners = valid.map((one) => ({ network, ...one }));
  const keep = new Set(owners.flatMap((one) => [iptablesChain(one), spareIptablesChain(one)]));
  const there = new Set(jumps.map(({ to }) => to));
  // The reference names no interface: such a chain may be that of a valid one other than eth0, unless it has its own
  // or the chain says that it is ours for eth0.
  for (const one of owners) {
    const usual = { ...one, ifname: usualInterface };
    const chain = iptablesChain(usual);
    if (keep.has(chain) || !there.has(chain)) continue;
    if (there.has(iptablesChain(one)) || there.has(spareIptablesChain(one))) continue;
    const known = findChain(nl, { table: iptablesNftTable(family, 'nat'), name: chain });
    if (known?.comment !== chainComment(usual)) keep.add(chain);
  }
  const start = iptablesCommentStart(network);
  const stale = jumps.filter(({ to, comment }) => comment?.startsWith(start) && !keep.has(to));
  return [...new Set(stale.map(({ to }) => to))];
}
