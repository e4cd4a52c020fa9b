/**
 * The rules by nftables, for hosts without iptables: one table of our own with the chains that iptables users know,
 * written in one transaction. Every rule carries its owner as comment.
 *
 * In nftables each table judges for itself: what ours accepts, another may still drop. So where another table's
 * forward chain has the policy `drop`, the attachment's rules stand there as well, in a chain CNI-FORWARD that this
 * forward chain asks first. Without that a container behind such a firewall would have no network at all. There a
 * second chain lets connections whose destination was translated through to the attachment's addresses: they are those
 * of its published ports. In our own table nothing would drop these.
 */
import { equalIp } from '@cni-ts/address/ip';
import type { Family } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { verdictChain } from '@cni-ts/nftables/action';
import { type Chain, chainText, isAmong, listChains } from '@cni-ts/nftables/chain';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { findTable, type Table } from '@cni-ts/nftables/table';
import {
  ensureInNft,
  isIptablesTable,
  missingInNft,
  removeOwned,
  ruleText,
  type Sight,
  thereInNft,
} from '@cni-ts/rules/nft-engine';
import { readRule } from '@cni-ts/rules/read-rule';
import type { Owners, RuleSet } from '@cni-ts/rules/rule-set';
import { networkMark, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Undo } from '@cni-ts/skeleton/undo';
import { families, forwardChain, type Plan, rulesAt, rulesOf, sharedMark, type Where } from './plan.ts';

const ownTable: Table = {
  family: 'inet',
  name: 'cni_plugins_firewall',
  comment: 'Forwarding rules of the CNI plugin firewall',
};
const publishedChain = 'CNI-FORWARD-PUBLISHED';
const hook: Chain = {
  table: ownTable,
  name: 'forward',
  base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
};

/** Whether another firewall than firewalld drops what it does not know. */
export function isDroppedElsewhere(nl: Netlink): boolean {
  return chainsOf(nl).some(isDropping);
}

/** All chains that may matter: ours, those that we have in others' tables, and whatever filters. Of bridge and other
 *  families the forward hook is another. */
function chainsOf(nl: Netlink): Chain[] {
  const about = [ownTable.name, forwardChain, 'filter\0'].map((text) => new TextEncoder().encode(text));
  return listChains(nl, undefined, about).filter(({ table }) => families.some((one) => sees(table, one)));
}

/** Whether a table sees packets of this family. */
function sees({ family }: Table, of: Family): boolean {
  return family === 'inet' || family === (of === 4 ? 'ip' : 'ip6');
}

/** Another's forward chain that drops what it does not know. firewalld's own belong to it alone. */
function isDropping({ table: { name }, base }: Chain): boolean {
  if (base?.hook !== 'forward' || base.type !== 'filter' || base.policy !== 'drop') return false;
  return name !== ownTable.name && name !== 'firewalld';
}

/** Our own, and those in others' tables. One that has not been used yet gets the rules of all attachments there are. */
function setsFor(nl: Netlink, plan: Plan, all: readonly Chain[]): RuleSet[] {
  const foreign = all.filter(isDropping).flatMap(({ table, name }) => {
    const addresses = plan.addresses.filter(({ family }) => sees(table, family));
    if (!addresses.length) return [];
    const where: Where = { forward: { table, name }, published: publishedChain, signed: true, foreign: true };
    const set = rulesAt(where, { ...plan, addresses });
    if (isAmong({ table, name: forwardChain }, all)) return [set];
    const earlier = listRules(nl, ownTable, forwardChain).flatMap((listed) => {
      const { comment = '' } = listed;
      const { from } = readRule(4, listed).when;
      const counts =
        from && sees(table, from.ip.family) && comment !== '' && !comment.startsWith(ownerMark(plan.owner));
      return counts ? rulesOf(where, from.ip, comment) : [];
    });
    return [{ ...set, shared: [...set.shared, ...earlier] }];
  });
  return [rulesAt({ forward: hook, signed: true }, plan), ...foreign];
}

/**
 * Makes what is missing in one transaction. Its undo is registered with it: also what all share goes, if nobody else
 * uses it.
 */
export function addByNftables(nl: Netlink, plan: Plan, undo: Undo): void {
  const what = `nftables rules of ${plan.owner.containerId}`;
  // REPAIR has listed them a moment ago. Where they have changed since, the kernel refuses, and they are listed anew.
  let seen = chainsSeen.get(plan);
  chainsSeen.delete(plan);
  ensureInNft(nl, what, undo, (thoroughly) => {
    const all = seen ?? chainsOf(nl);
    seen = undefined;
    return look(nl, plan, all, thoroughly);
  });
}

/** By the look before. */
const chainsSeen = new WeakMap<Plan, Chain[]>();

/**
 * Without the rules of other attachments that have nothing to do with this one. `thoroughly`: jumps that have lost the
 * comment by which they are known are listed as well, by where they lead.
 */
function look(nl: Netlink, plan: Plan, all: readonly Chain[], thoroughly: boolean): Sight {
  const { owner, addresses } = plan;
  const mark = ownerMark(owner);
  const marks = [sharedMark, new TextEncoder().encode(mark)];
  const about = ({ table, name }: Chain) => {
    const here = addresses.flatMap(({ family, bytes }) => (sees(table, family) ? [bytes] : []));
    const bytes = [...marks, ...here];
    if (!thoroughly || !isIptablesTable(table) || name === publishedChain) return bytes;
    return [...bytes, verdictChain(name === forwardChain ? publishedChain : forwardChain)];
  };
  /** Of this attachment, or of an earlier holder of an address of its in the same network. */
  const isMeant = (listed: ListedRule) => {
    if (!listed.comment?.startsWith(networkMark(owner.network))) return false;
    if (listed.comment.startsWith(mark)) return true;
    const { from, to = from } = readRule(4, listed).when;
    return to !== undefined && addresses.some((ip) => equalIp(ip, to.ip));
  };
  return {
    tables: isAmong(hook, all) || findTable(nl, ownTable) ? [] : [ownTable],
    sets: setsFor(nl, plan, all),
    there: thereInNft(nl, all, about),
    stale: ({ chains, own }, { rules, is }) =>
      chains
        .filter(isOwned)
        .flatMap(({ name }) => rules(name))
        .filter((listed) => isMeant(listed) && !own.some((one) => is(one, listed, false))),
  };
}

/** Takes the rules of `owners` away, wherever they are: our own table may be gone while another's still has them. */
export function removeByNftables(nl: Netlink, owners: Owners): void {
  const chains = () => {
    const all = chainsOf(nl);
    return all.some(isOnlyOurs) ? all.filter(isOwned) : []; // none: what else there is was made by iptables
  };
  removeOwned(nl, chains, owners);
}

/** A chain where rules have owners. */
function isOwned({ name }: Chain): boolean {
  return name === forwardChain || name === publishedChain;
}

/** A chain that iptables has no use for. */
function isOnlyOurs({ table, name }: Chain): boolean {
  return table.name === ownTable.name || name === publishedChain;
}

/** What is missing, in words. Nothing is changed. */
export function differencesInNftables(nl: Netlink, plan: Plan): string[] {
  const all = chainsOf(nl);
  chainsSeen.set(plan, all);
  if (!all.some((chain) => chain.base && isAmong(chain, [hook]))) {
    return [`expected chain ${chainText(hook)} not found, or it has no hook`];
  }
  return missingInNft((thoroughly) => look(nl, plan, all, thoroughly)).map(({ table, rule }) => {
    const where = chainText({ table, name: rule.chain });
    return `expected rule [${ruleText(table, rule)}] not found in chain ${where}`;
  });
}
