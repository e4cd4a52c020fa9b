import { equalIp, type Ip } from '@cni-ts/address/ip';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, IptablesError } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { findChain } from '@cni-ts/nftables/chain';
import { NftablesError } from '@cni-ts/nftables/transaction';
import { rulesIn } from '@cni-ts/rules/chain-rules';
import { isAnothers, namingNoneOf } from '@cni-ts/rules/iptables-owner';
import {
  chainVariants,
  familiesWith,
  type Jump,
  leadsElsewhere,
  listJumps,
  removeChains,
} from '@cni-ts/rules/jump';
import { failing, tryEach } from '@cni-ts/spec/failing';
import { entries, masq, redirectionsOf, setMark } from './iptables-rules.ts';
import {
  chainComment,
  iptablesChains,
  iptablesWord,
  type Owner,
  ownChains,
  referenceChains,
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
  const own = ownChains(owner);
  const reference = addresses.length ? referenceChains(owner) : [];
  tryEach(familiesWith(nl, 'nat', [...own, ...reference]), ({ family, chains }) => {
    const going = chains.filter((name) => own.includes(name) || leadsTo(nl, family, name, addresses));
    removed[family] = failing(`could not teardown ipv${family} dnat`, () =>
      removeFamily(nl, family, owner, going),
    );
  });
  return removed;
}

/** Whether a chain redirects, and to these addresses alone. */
function leadsTo(nl: Netlink, family: Family, chain: string, addresses: readonly Ip[]): boolean {
  const ports = redirectionsIn(nl, family, [chain]);
  return ports.length > 0 && ports.every(({ to }) => addresses.some((one) => to && equalIp(one, to)));
}

function redirectionsIn(nl: Netlink, family: Family, chains: readonly string[]): Redirection[] {
  return chains.flatMap((chain) =>
    chainVariants(nl, family, 'nat', chain).flatMap((variant) =>
      rulesIn(nl, family, 'nat', variant, chain).flatMap(redirectionsOf),
    ),
  );
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

function removeOwn(
  nl: Netlink,
  family: Family,
  chains: readonly string[],
  isOthers: (jump: Jump) => boolean,
): Redirection[] {
  const leading = listJumps(nl, family, 'nat', entries, chains);
  const spared = leading.filter(isOthers).map(({ to }) => to);
  const own = chains.filter((chain) => !spared.includes(chain));
  const ports = leading.length ? redirectionsIn(nl, family, own) : [];
  const parents = [entries, oldEntries];
  if (leading.length && !leadsElsewhere(nl, family, 'nat', entries, 'CNI-', own)) {
    const shared = [...parents, setMark, masq];
    const leadingThere = [...parents, 'PREROUTING', 'OUTPUT', 'POSTROUTING'];
    try {
      removeChains(nl, family, 'nat', [...chains, ...shared], leadingThere);
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
  // Comments do not tell one interface of a container from another; its chains do.
  const { owns } = namingNoneOf(network, [], iptablesWord);
  for (const family of [4, 6] as const) {
    const leading = listJumps(nl, family, 'nat', entries);
    const keep = validChains(nl, family, leading, network, valid);
    const stale = leading.filter(({ to, comment }) => owns(comment) && !keep.has(to)).map(({ to }) => to);
    const isOthers = ({ comment }: Jump) => comment !== undefined && !owns(comment);
    if (stale.length) removed[family] = removeOwn(nl, family, [...new Set(stale)], isOthers);
  }
  return removed;
}

function validChains(
  nl: Netlink,
  family: Family,
  leading: readonly Jump[],
  network: string,
  valid: readonly Omit<Owner, 'network'>[],
): Set<string> {
  const all = valid.map((one) => ({ network, ...one }));
  const keep = new Set(all.flatMap((one) => Object.values(iptablesChains(one))));
  const there = new Set(leading.map(({ to }) => to));
  // The reference names no interface: such a chain may be that of a valid one other than eth0, unless it has its own
  // or the chain says that it is ours for eth0.
  for (const one of all) {
    if (Object.values(iptablesChains(one)).some((name) => there.has(name))) continue;
    for (const name of referenceChains(one)) {
      if (keep.has(name) || !there.has(name)) continue;
      const known = findChain(nl, { table: iptablesNftTable(family, 'nat'), name });
      if (known?.comment !== chainComment({ ...one, ifname: usualInterface })) keep.add(name);
    }
  }
  return keep;
}
