/**
 * The rules by nftables, for hosts without iptables: one table of our own with the chains that iptables users know,
 * written in one transaction. Every rule carries its owner as comment.
 *
 * In nftables each table judges for itself: what ours accepts, another may still drop. So where another table's
 * forward chain has the policy `drop`, the attachment's rules stand there as well, in a chain CNI-FORWARD that this
 * forward chain asks first. Without that a container behind such a firewall would have no network at all. There a
 * second chain lets connections whose destination was translated through to the attachment's addresses: they are those
 * of its published ports.
 */
import { equalIp, type Ip } from '@cni-ts/address/ip';
import { holdsBytes } from '@cni-ts/netlink/bytes';
import type { Netlink } from '@cni-ts/netlink/socket';
import { verdictChain } from '@cni-ts/nftables/action';
import { type Chain, chainText, listChains } from '@cni-ts/nftables/chain';
import { comparedNetwork, firstCompared } from '@cni-ts/nftables/comparison';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { findTable, type Table } from '@cni-ts/nftables/table';
import {
  ensureInNft,
  isInNft,
  isIptablesTable,
  removeOwned,
  ruleText,
  type Sight,
} from '@cni-ts/rules/nft-engine';
import {
  type Owners,
  ownedBy,
  ownedByNoneOf,
  type RuleSet,
  stands,
  type There,
} from '@cni-ts/rules/rule-set';
import { jump, type RuleSpec } from '@cni-ts/rules/rule-spec';
import { networkMark, ownerComment, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { isolationChains, isolationRules } from './ingress-policy.ts';
import {
  adminJump,
  families,
  forwardChain,
  forwardComment,
  type Plan,
  passing,
  publishedJump,
  reaching,
  sharedMark,
} from './plan.ts';

const ownTable: Table = {
  family: 'inet',
  name: 'cni_plugins_firewall',
  comment: 'Forwarding rules of the CNI plugin firewall',
};
const encoder = new TextEncoder();
const publishedChain = 'CNI-FORWARD-PUBLISHED';
const hook: Chain = {
  table: ownTable,
  name: 'forward',
  base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
};

/** `isolationOnly`: another backend has the addresses. */
interface Part {
  readonly isolationOnly?: boolean;
}

function ownSet({ owner, addresses, adminChain, isolation }: Plan, { isolationOnly = false }: Part): RuleSet {
  const through = isolationOnly ? [] : addresses;
  const names = [
    ...(through.length ? [forwardChain, adminChain] : []),
    ...(isolation ? isolationChains : []),
  ];
  const asking: RuleSpec[] = [
    { chain: hook.name, action: jump(forwardChain), comment: forwardComment },
    adminJump(adminChain),
  ];
  return {
    table: ownTable,
    chains: [hook, ...names.map((name) => ({ table: ownTable, name }))],
    // The policy's come before the containers' rules, as these accept.
    shared: [...(through.length ? asking : []), ...(isolation ? isolationRules(isolation, hook.name) : [])],
    own: through.flatMap((ip) => passing(ip, ownerComment(owner))),
  };
}

/** In a table that drops: what goes to published ports passes as well. In our own nothing would drop it. */
function foreignRules(comment: string, addresses: readonly Ip[]): RuleSpec[] {
  return [
    ...addresses.flatMap((ip) => passing(ip, comment)),
    ...addresses.map((ip) => reaching(publishedChain, ip, comment)),
  ];
}

/** Whether another firewall than firewalld drops what it does not know. */
export function isDroppedElsewhere(nl: Netlink): boolean {
  return droppingChains(chainsOf(nl)).length > 0;
}

/** All chains that may matter: ours, those that we have in others' tables, and whatever filters. */
function chainsOf(nl: Netlink): Chain[] {
  const about = [ownTable.name, forwardChain, 'filter\0'].map((text) => encoder.encode(text));
  return listChains(nl, undefined, about).filter(isForwarding);
}

/** The forward chains of others that drop what they do not know. firewalld's own belong to it alone. */
function droppingChains(all: readonly Chain[]): Chain[] {
  return all.filter(
    ({ table, base }) =>
      base?.hook === 'forward' &&
      base.type === 'filter' &&
      base.policy === 'drop' &&
      table.name !== ownTable.name &&
      table.name !== 'firewalld',
  );
}

/** Of bridge and other families the forward hook is another. */
function isForwarding({ table: { family } }: Chain): boolean {
  return family === 'inet' || family === 'ip' || family === 'ip6';
}

function familiesOf({ family }: Table): readonly number[] {
  return families.filter((one) => family === 'inet' || (family === 'ip6') === (one === 6));
}

/** The sets in others' tables. One that has not been used yet gets the rules of all attachments there are. */
function foreignSets(nl: Netlink, plan: Plan, all: readonly Chain[]): RuleSet[] {
  return droppingChains(all).flatMap(({ table, name }) => {
    const here = (ip: Ip) => familiesOf(table).includes(ip.family);
    const addresses = plan.addresses.filter(here);
    if (!addresses.length) return [];
    const chain: Chain = { table, name: forwardChain };
    const earlier = isAmong(chain, all)
      ? []
      : attached(nl).filter(({ ip, comment }) => here(ip) && !comment.startsWith(ownerMark(plan.owner)));
    return [
      {
        table,
        chains: [chain, { table, name: publishedChain }],
        shared: [
          { chain: name, place: 'first', action: jump(forwardChain), comment: forwardComment } as const,
          publishedJump(publishedChain),
          ...earlier.flatMap(({ ip, comment }) => foreignRules(comment, [ip])),
        ],
        own: foreignRules(ownerComment(plan.owner), addresses),
      },
    ];
  });
}

function isAmong(chain: Chain, all: readonly Chain[]): boolean {
  const { table, name } = chain;
  return all.some(
    (one) => one.name === name && one.table.name === table.name && one.table.family === table.family,
  );
}

/** The addresses in our own table with their owners. */
function attached(nl: Netlink): { ip: Ip; comment: string }[] {
  return listRules(nl, ownTable, forwardChain).flatMap((listed) => {
    const found = addressIn(listed);
    return found?.side === 'from' && listed.comment !== undefined
      ? [{ ip: found.ip, comment: listed.comment }]
      : [];
  });
}

/** The address of one of our rules. */
function addressIn({ expressions }: ListedRule): { ip: Ip; side: 'from' | 'to' } | undefined {
  const compared = firstCompared(expressions, 'saddr', 'daddr');
  const network = compared && comparedNetwork(compared);
  return network && { ip: network.ip, side: compared.field === 'saddr' ? 'from' : 'to' };
}

/**
 * Makes what is missing in one transaction. Its undo is registered with it: also what all share goes, if nobody else
 * uses it.
 */
export function addByNftables(nl: Netlink, plan: Plan, undo: Undo, part: Part = {}): void {
  if (part.isolationOnly ? !plan.isolation : !plan.addresses.length) return;
  const what = `nftables rules of ${plan.owner.containerId}`;
  ensureInNft(nl, what, undo, (thoroughly) => look(nl, plan, part, chainsOf(nl), thoroughly));
}

function look(nl: Netlink, plan: Plan, part: Part, all: readonly Chain[], thoroughly: boolean): Sight {
  const known = listing(nl, plan, all, thoroughly);
  return {
    tables: isAmong(hook, all) || findTable(nl, ownTable) ? [] : [ownTable],
    sets: [ownSet(plan, part), ...(part.isolationOnly ? [] : foreignSets(nl, plan, all))],
    there: ({ table }) => ({
      has: (name) => isAmong({ table, name }, all),
      rules: (name) => known({ table, name }),
      is: isInNft(table),
    }),
    stale: (set, there) =>
      set.chains
        .filter(isOwned)
        .flatMap(({ name }) => there.rules(name))
        .filter((listed) => isStale(listed, plan, set, there)),
  };
}

/** A rule of this attachment that is not wanted any more, or of the address's earlier holder in the same network. */
function isStale(
  listed: ListedRule,
  { owner, addresses }: Plan,
  { own }: RuleSet,
  { is }: There<ListedRule>,
): boolean {
  const { comment, raw } = listed;
  if (!comment?.startsWith(networkMark(owner.network)) || !own.length) return false;
  if (comment.startsWith(ownerMark(owner))) return !own.some((one) => is(one, listed, false));
  if (!addresses.some(({ bytes }) => holdsBytes(raw, bytes))) return false;
  const found = addressIn(listed);
  return own.some(({ when }) => {
    const host = found && when?.[found.side];
    return host !== undefined && equalIp(host.ip, found!.ip);
  });
}

/**
 * Each chain is listed once, without the rules of other attachments that have nothing to do with this one.
 * `thoroughly`: jumps that have lost the comment by which they are known are listed as well, by where they lead.
 */
function listing(
  nl: Netlink,
  { owner, addresses }: Plan,
  all: readonly Chain[],
  thoroughly: boolean,
): (chain: Chain) => readonly ListedRule[] {
  const marks = [sharedMark, encoder.encode(ownerMark(owner))];
  const known = new Map<string, readonly ListedRule[]>();
  return (chain) => {
    const key = chainText(chain);
    const before = known.get(key);
    if (before) return before;
    if (!isAmong(chain, all)) return [];
    const about: Uint8Array[] = [...marks];
    const here = familiesOf(chain.table);
    for (const { family, bytes } of addresses) if (here.includes(family)) about.push(bytes);
    if (thoroughly && isIptablesTable(chain.table) && chain.name !== publishedChain) {
      about.push(verdictChain(chain.name === forwardChain ? publishedChain : forwardChain));
    }
    const listed = listRules(nl, chain.table, chain.name, about);
    known.set(key, listed);
    return listed;
  };
}

/** Takes the rules of one attachment away, wherever they are; found by owner, so no address is needed. */
export function removeByNftables(nl: Netlink, { owner }: Pick<Plan, 'owner'>): void {
  removeRules(nl, ownedBy(owner));
}

/** Removes the rules of every attachment of `network` that is not among `valid`. */
export function gcByNftables(nl: Netlink, network: string, valid: readonly Attachment[]): void {
  removeRules(nl, ownedByNoneOf(network, valid));
}

/** Our own table may be gone while another's still has the rules. */
function removeRules(nl: Netlink, owners: Owners): void {
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
export function differencesInNftables(nl: Netlink, plan: Plan, part: Part = {}): string[] {
  if (part.isolationOnly ? !plan.isolation : !plan.addresses.length) return [];
  const all = chainsOf(nl);
  if (!all.some((chain) => chain.base && isAmong(chain, [hook]))) {
    return [`expected chain ${chainText(hook)} not found, or it has no hook`];
  }
  const missing = (thoroughly: boolean) => {
    const { sets, there } = look(nl, plan, part, all, thoroughly);
    return sets.flatMap((set) => {
      const now = there(set);
      const gone = [...set.shared, ...set.own].filter((one) => !stands(now, one, true));
      return gone.map((one) => {
        const where = chainText({ table: set.table, name: one.chain });
        return `expected rule [${ruleText(set.table, one)}] not found in chain ${where}`;
      });
    });
  };
  return missing(false).length ? missing(true) : [];
}
