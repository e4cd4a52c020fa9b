import { drop, jump, jumpTarget, toCaller } from '@cni-ts/netfilter/nftables/action';
import { addChain, type Chain, deleteChain, findChain } from '@cni-ts/netfilter/nftables/chain';
import { dataOf } from '@cni-ts/netfilter/nftables/expression';
import { etherSaddr, iifname } from '@cni-ts/netfilter/nftables/match';
import {
  addRule,
  comment,
  deleteRule,
  flushChain,
  type ListedRule,
  listRules,
  type Rule,
  rule,
  sameRule,
} from '@cni-ts/netfilter/nftables/rule';
import { addTable, type Table } from '@cni-ts/netfilter/nftables/table';
import { retryRaces, transaction } from '@cni-ts/netfilter/nftables/transaction';
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Undo } from '@cni-ts/skeleton/undo';

/**
 * Keeps a container from sending with another hardware address than its own. Names, hook and comments are the
 * reference's. Frames from the host end of the container's pair go through two chains of its own; the second lets
 * pass what has the right source and drops the rest. Rules carry the attachment in their comment.
 */
const table: Table = { family: 'bridge', name: 'nat' };
const prerouting: Chain = {
  table,
  name: 'PREROUTING',
  base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
};
const commentPrefix = 'macspoofchk-';

/** Whose rules they are; DEL needs no more. */
export interface MacSpoofingOwner {
  readonly containerId: string;
  readonly ifname: string;
}

interface Plan {
  readonly iface: Chain;
  readonly mac: Chain;
  /** In the order they are made; PREROUTING belongs to all containers, the others to this one. */
  readonly rules: readonly (readonly [Chain, Rule])[];
}

function chainsOf({ containerId, ifname }: MacSpoofingOwner): { iface: Chain; mac: Chain } {
  const name = `cni-br-iface-${containerId}-${ifname}`;
  return { iface: { table, name }, mac: { table, name: `${name}-mac` } };
}

function commentOf({ containerId, ifname }: MacSpoofingOwner): string {
  return `${commentPrefix}${containerId}-${ifname}`;
}

function planOf(owner: MacSpoofingOwner, hostLink: string, address: Uint8Array): Plan {
  const { iface, mac } = chainsOf(owner);
  const ours = comment(commentOf(owner));
  return {
    iface,
    mac,
    rules: [
      [prerouting, rule(iifname(hostLink), jump(iface), ours)],
      [iface, rule(jump(mac), ours)],
      [mac, rule(etherSaddr(address), toCaller, ours)],
      [mac, rule(drop, ours)],
    ],
  };
}

/**
 * Drops frames that come in by the host end of the container's pair with another source than the container's `mac`.
 * One transaction; repeating it leaves one set of rules, with the link and address given last. Its undo is added here.
 */
export function addMacSpoofing(
  nl: Netlink,
  owner: MacSpoofingOwner,
  hostLink: string,
  mac: Uint8Array,
  undo: Undo,
): void {
  const plan = planOf(owner, hostLink, mac);
  undo.add(`spoof check of ${hostLink}`, () => removeMacSpoofing(nl, owner));
  retryRaces(() => {
    transaction(nl, [
      addTable(table),
      addChain(prerouting),
      addChain(plan.iface),
      addChain(plan.mac),
      ...ownJumps(nl, owner).map((stale) => deleteRule(table, stale)),
      flushChain(plan.iface),
      flushChain(plan.mac),
      ...plan.rules.map(([chain, one]) => addRule(chain, one)),
    ]);
  });
}

/** Takes the rules and chains of one attachment away; nothing there is fine. The shared table and PREROUTING stay. */
export function removeMacSpoofing(nl: Netlink, owner: MacSpoofingOwner): void {
  const { iface, mac } = chainsOf(owner);
  retryRaces(() => remove(nl, ownJumps(nl, owner), [iface, mac]));
}

/** What is missing or different, in words. */
export function checkMacSpoofing(
  nl: Netlink,
  owner: MacSpoofingOwner,
  hostLink: string,
  mac: Uint8Array,
): string[] {
  const plan = planOf(owner, hostLink, mac);
  const where = (chain: Chain) => `chain ${chain.name} of table bridge ${table.name}`;
  const [toIface, ...inside] = plan.rules;
  const found: string[] = [];
  if (!findChain(nl, prerouting)?.base) found.push(`${where(prerouting)} is missing or has no hook`);
  else if (!ownJumps(nl, owner).some((listed) => sameRule('bridge', toIface![1], listed))) {
    found.push(`rule "${toIface![1].text}" is missing in ${where(prerouting)}`);
  }
  for (const chain of [plan.iface, plan.mac]) {
    const wanted = inside.filter(([of]) => of === chain).map(([, one]) => one);
    const listed = listRules(nl, table, chain.name);
    // One rule before or between ours could let everything pass: the chain must hold these and no others.
    const same =
      listed.length === wanted.length && wanted.every((one, i) => sameRule('bridge', one, listed[i]!));
    if (!same) {
      const text = wanted.map((one) => `"${one.text}"`).join(', ');
      found.push(`${where(chain)} does not hold exactly the rules ${text}`);
    }
  }
  return found;
}

/**
 * Removes the rules whose host link is gone; `linkExists` tells. The rules do not name their network, so this is all
 * that GC may do: a link that exists may belong to any network's attachment.
 */
export function gcMacSpoofing(nl: Netlink, linkExists: (name: string) => boolean): void {
  retryRaces(() => {
    const stale = listRules(nl, table, prerouting.name).filter((listed) => {
      if (!listed.comment?.startsWith(commentPrefix)) return false;
      const link = inputOf(listed);
      return link !== undefined && !linkExists(link);
    });
    const chains = stale.flatMap((listed) => {
      const name = jumpTarget(listed.expressions);
      if (name === undefined || name !== `cni-br-iface-${listed.comment?.slice(commentPrefix.length)}`)
        return [];
      return [
        { table, name },
        { table, name: `${name}-mac` },
      ];
    });
    remove(nl, stale, chains);
  });
}

function remove(nl: Netlink, jumps: readonly ListedRule[], chains: readonly Chain[]): void {
  const there = chains.filter((chain) => findChain(nl, chain));
  transaction(nl, [...jumps.map((one) => deleteRule(table, one)), ...there.map(deleteChain)]);
}

function ownJumps(nl: Netlink, owner: MacSpoofingOwner): ListedRule[] {
  const own = commentOf(owner);
  return listRules(nl, table, prerouting.name).filter((one) => one.comment === own);
}

/** The link of `iifname "…"`. */
function inputOf({ expressions }: ListedRule): string | undefined {
  const at = expressions.findIndex((one) => dataOf(one, 'meta')?.key === 6);
  const value = expressions[at + 1] && dataOf(expressions[at + 1]!, 'cmp')?.data?.value;
  return at < 0 || !value ? undefined : new TextDecoder().decode(value).replace(/\0+$/, '');
}
