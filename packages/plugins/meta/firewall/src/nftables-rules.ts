/**
 * The rules by nftables, for hosts without iptables: one table of our own with the chains that iptables users know,
 * written in one transaction. Every rule carries its owner as comment.
 *
 * In nftables each table judges for itself: what ours accepts, another may still drop. So where another table's
 * forward chain has the policy `drop`, the attachment's rules stand there as well, in a chain CNI-FORWARD that this
 * forward chain asks first. Without that a container behind such a firewall would have no network at all.
 */
import { formatIp, type Ip } from '@cni-ts/address/ip';
import { xtRelatedOrEstablished } from '@cni-ts/netfilter/iptables/native-match';
import { accept, counter, drop, jump, toCaller } from '@cni-ts/netfilter/nftables/action';
import {
  addChain,
  type Chain,
  chainText,
  deleteEmptyChain,
  findChain,
  listChains,
} from '@cni-ts/netfilter/nftables/chain';
import { dataOf } from '@cni-ts/netfilter/nftables/expression';
import { ctState, daddr, iifname, oifname, saddr } from '@cni-ts/netfilter/nftables/match';
import {
  addRule,
  comment,
  deleteRule,
  insertRule,
  type ListedRule,
  listRules,
  type Rule,
  rule,
  sameRule,
} from '@cni-ts/netfilter/nftables/rule';
import { addTable, deleteEmptyTable, findTable, type Table } from '@cni-ts/netfilter/nftables/table';
import { NftablesError, retryRaces, transaction } from '@cni-ts/netfilter/nftables/transaction';
import { holdsBytes } from '@cni-ts/netlink/bytes';
import type { Netlink } from '@cni-ts/netlink/socket';
import { oneAtATime } from '@cni-ts/plugin-kit/host-lock';
import { networkMark, ownerComment, ownerMark } from '@cni-ts/plugin-kit/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { type IsolationRule, isolationChains, isolationRules } from './ingress-policy.ts';
import { adminComment, families, forwardChain, forwardComment, type Plan, sharedMark } from './plan.ts';

const ownTable: Table = {
  family: 'inet',
  name: 'cni_plugins_firewall',
  comment: 'Forwarding rules of the CNI plugin firewall',
};
const hook: Chain = {
  table: ownTable,
  name: 'forward',
  base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
};

interface Step {
  readonly chain: Chain;
  readonly rule: Rule;
  readonly first: boolean;
}

const encoder = new TextEncoder();

/** What must be there in one table. */
interface Place {
  readonly table: Table;
  readonly chains: readonly Chain[];
  readonly shared: readonly Step[];
  readonly own: readonly Step[];
}

function ownPlace(plan: Plan, { isolationOnly = false }): Place {
  const chain = (name: string): Chain => (name === 'FORWARD' ? hook : { table: ownTable, name });
  const [stage1] = isolationChains;
  const admin = chain(plan.adminChain);
  const forward = chain(forwardChain);
  const isolating = plan.isolation ? isolationRules(plan.isolation) : [];
  const addresses = isolationOnly ? [] : plan.addresses;
  return {
    table: ownTable,
    chains: [
      hook,
      ...(addresses.length ? [forward, admin] : []),
      ...(plan.isolation ? isolationChains.map(chain) : []),
    ],
    shared: [
      ...(addresses.length
        ? [
            last(hook, rule(jump(forward), comment(forwardComment))),
            first(forward, rule(jump(admin), comment(adminComment))),
          ]
        : []),
      // Before the containers' rules, as these accept.
      ...isolating.map((one) => ({
        chain: chain(one.chain),
        rule: isolationRule(one, chain),
        first: one.first || one.verdict === stage1,
      })),
    ],
    own: addressSteps(forward, plan, addresses),
  };
}

function isolationRule(one: IsolationRule, chain: (name: string) => Chain): Rule {
  const { input, output, notOutput, verdict } = one;
  return rule(
    ...(input === undefined ? [] : [iifname(input)]),
    ...(output === undefined ? [] : [oifname(output)]),
    ...(notOutput === undefined ? [] : [oifname('!=', notOutput)]),
    verdict === 'DROP' ? drop : verdict === 'RETURN' ? toCaller : jump(chain(verdict)),
    comment(one.comment),
  );
}

function addressSteps(chain: Chain, { owner }: Pick<Plan, 'owner'>, addresses: readonly Ip[]): Step[] {
  return ownedSteps(chain, ownerComment(owner), addresses);
}

function ownedSteps(chain: Chain, owner: string, addresses: readonly Ip[]): Step[] {
  const related = isIptablesTable(chain.table) ? xtRelatedOrEstablished : ctState('established', 'related');
  // iptables counts in every rule, and lists only such.
  const counting = isIptablesTable(chain.table) ? [counter] : [];
  return addresses.flatMap((ip) => [
    last(chain, rule(daddr(ip), related, ...counting, accept, comment(owner))),
    last(chain, rule(saddr(ip), ...counting, accept, comment(owner))),
  ]);
}

function isIptablesTable({ family, name }: Table): boolean {
  return family !== 'inet' && name === 'filter';
}

function first(chain: Chain, of: Rule): Step {
  return { chain, rule: of, first: true };
}

function last(chain: Chain, of: Rule): Step {
  return { chain, rule: of, first: false };
}

/** Whether another firewall than firewalld drops what it does not know. */
export function isDroppedElsewhere(nl: Netlink): boolean {
  return droppingChains(nl).length > 0;
}

/** The forward chains of others that drop what they do not know. firewalld's own belong to it alone. */
function droppingChains(nl: Netlink): Chain[] {
  return (['inet', 'ip', 'ip6'] as const)
    .flatMap((family) => listChains(nl, family))
    .filter(
      ({ table, base }) =>
        base?.hook === 'forward' &&
        base.type === 'filter' &&
        base.policy === 'drop' &&
        table.name !== ownTable.name &&
        table.name !== 'firewalld',
    );
}

function familiesOf({ family }: Table): readonly number[] {
  return families.filter((one) => family === 'inet' || (family === 'ip6') === (one === 6));
}

/** The places in others' tables. One that has not been used yet gets the rules of all attachments there are. */
function foreignPlaces(nl: Netlink, plan: Plan): Place[] {
  return droppingChains(nl).flatMap((base) => {
    const { table } = base;
    const here = (ip: Ip) => familiesOf(table).includes(ip.family);
    const addresses = plan.addresses.filter(here);
    if (!addresses.length) return [];
    const chain: Chain = { table, name: forwardChain };
    const counting = isIptablesTable(table) ? [counter] : [];
    const earlier = findChain(nl, chain)
      ? []
      : attached(nl).filter(({ ip, comment }) => here(ip) && !comment.startsWith(ownerMark(plan.owner)));
    return [
      {
        table,
        chains: [chain],
        shared: [
          first({ ...base }, rule(...counting, jump(chain), comment(forwardComment))),
          ...earlier.flatMap(({ ip, comment }) => ownedSteps(chain, comment, [ip])),
        ],
        own: addressSteps(chain, plan, addresses),
      },
    ];
  });
}

/** The addresses in our own table with their owners. */
function attached(nl: Netlink): { ip: Ip; comment: string }[] {
  return listRules(nl, ownTable, forwardChain).flatMap((listed) => {
    const found = addressIn(listed);
    return found?.side === 'source' && listed.comment !== undefined
      ? [{ ip: found.ip, comment: listed.comment }]
      : [];
  });
}

/** The address of one of our rules. */
function addressIn({ expressions }: ListedRule): { ip: Ip; side: 'source' | 'destination' } | undefined {
  for (const [i, one] of expressions.entries()) {
    const load = dataOf(one, 'payload');
    const value = expressions[i + 1] && dataOf(expressions[i + 1]!, 'cmp')?.data?.value;
    if (load?.base !== 'network' || !value) continue;
    const family = value.length === 4 ? 4 : 6;
    const source = load.offset === (family === 4 ? 12 : 8);
    return { ip: { family, bytes: value }, side: source ? 'source' : 'destination' };
  }
  return undefined;
}

/** What one ADD made. */
interface Made {
  readonly tables: readonly Table[];
  readonly chains: readonly Chain[];
  readonly steps: readonly Step[];
}

/**
 * Makes what is missing in one transaction. `isolationOnly`: another backend has the addresses. Its undo is added
 * here: also what all share goes, if nobody else uses it.
 */
export function addByNftables(nl: Netlink, plan: Plan, undo: Undo, { isolationOnly = false } = {}): void {
  if (isolationOnly ? !plan.isolation : !plan.addresses.length) return;
  const made = retryRaces(() => {
    const missing = lacking(nl, plan, { isolationOnly });
    if (!missing.shared) {
      transaction(nl, missing.changes);
      return missing;
    }
    return oneAtATime(() => {
      const now = lacking(nl, plan, { isolationOnly });
      transaction(nl, now.changes);
      return now;
    });
  });
  undo.add(`nftables rules of ${plan.owner.containerId}`, () => takeBack(nl, plan, made));
}

function placesOf(nl: Netlink, plan: Plan, options: { isolationOnly?: boolean }): Place[] {
  return [ownPlace(plan, options), ...(options.isolationOnly ? [] : foreignPlaces(nl, plan))];
}

function lacking(nl: Netlink, plan: Plan, options: { isolationOnly?: boolean }) {
  const places = placesOf(nl, plan, options);
  const tables = findTable(nl, ownTable) ? [] : [ownTable];
  const chains = places.flatMap((place) => place.chains).filter((chain) => !findChain(nl, chain));
  const known = listing(nl, plan);
  const isMissing = ({ chain, rule }: Step) =>
    !known(chain).some((listed) => sameRule(chain.table.family, rule, listed));
  const shared = places.flatMap((place) => place.shared).filter(isMissing);
  const own = places.flatMap((place) => place.own).filter(isMissing);
  const stale = places.flatMap(({ table, own: wanted }) =>
    known({ table, name: forwardChain })
      .filter((listed) => isStale(table, listed, plan, wanted))
      .map((listed) => deleteRule(table, listed)),
  );
  const steps = [...shared, ...own];
  return {
    tables,
    chains,
    steps,
    shared: tables.length + chains.length + shared.length > 0,
    changes: [
      ...tables.map(addTable),
      ...chains.map(addChain),
      ...steps.map(({ chain, rule, first }) => (first ? insertRule : addRule)(chain, rule)),
      ...stale,
    ],
  };
}

/** A rule of this attachment that is not wanted any more, or of the address's earlier holder in the same network. */
function isStale(
  table: Table,
  listed: ListedRule,
  { owner, addresses }: Plan,
  wanted: readonly Step[],
): boolean {
  if (!listed.comment?.startsWith(networkMark(owner.network)) || !wanted.length) return false;
  if (listed.comment.startsWith(ownerMark(owner))) {
    return !wanted.some(({ rule }) => sameRule(table.family, rule, listed));
  }
  if (!addresses.some(({ bytes }) => holdsBytes(listed.raw, bytes))) return false;
  const text = ruleAddress(listed);
  return wanted.some(({ rule }) => text !== undefined && rule.text.includes(` ${text} `));
}

function ruleAddress(listed: ListedRule): string | undefined {
  const found = addressIn(listed);
  return found && `${found.side === 'source' ? 'saddr' : 'daddr'} ${formatIp(found.ip)}`;
}

/** Each chain is listed once, without the rules of other attachments that have nothing to do with this one. */
function listing(nl: Netlink, { owner, addresses }: Plan): (chain: Chain) => readonly ListedRule[] {
  const about = [sharedMark, encoder.encode(ownerMark(owner)), ...addresses.map(({ bytes }) => bytes)];
  const known = new Map<string, readonly ListedRule[]>();
  return (chain) => {
    const key = chainText(chain);
    const before = known.get(key);
    if (before) return before;
    const listed = listRules(nl, chain.table, chain.name, about);
    known.set(key, listed);
    return listed;
  };
}

/**
 * Undoes one ADD. What it created goes only together with all that it put there, and only while nothing else is in
 * it: the kernel then refuses the whole transaction, and just the attachment's own rules are taken out.
 */
function takeBack(nl: Netlink, plan: Plan, { tables, chains, steps }: Made): void {
  if (chains.some(({ name }) => name === forwardChain)) {
    try {
      oneAtATime(() => {
        const known = listing(nl, plan);
        const rules = steps.flatMap(({ chain, rule }) => {
          const listed = known(chain).find((one) => sameRule(chain.table.family, rule, one));
          return listed ? [deleteRule(chain.table, listed)] : [];
        });
        transaction(nl, [...rules, ...chains.map(deleteEmptyChain), ...tables.map(deleteEmptyTable)]);
      });
      return;
    } catch (error) {
      if (!(error instanceof NftablesError)) throw error; // else: somebody else has begun to use them
    }
  }
  removeByNftables(nl, plan);
}

/** Takes the rules of one attachment away, wherever they are; found by owner, so no address is needed. */
export function removeByNftables(nl: Netlink, { owner }: Pick<Plan, 'owner'>): void {
  const mark = ownerMark(owner);
  removeRules(nl, mark, (comment) => comment.startsWith(mark));
}

/** Removes the rules of every attachment of `network` that is not among `valid`. */
export function gcByNftables(nl: Netlink, network: string, valid: readonly Attachment[]): void {
  const keep = new Set(valid.map((one) => ownerMark({ network, ...one })));
  const mark = networkMark(network);
  removeRules(nl, mark, (comment) => comment.startsWith(mark) && !keep.has(comment.slice(0, 33)));
}

/** `mark`: what all of their comments have. */
function removeRules(nl: Netlink, mark: string, isOwn: (comment: string) => boolean): void {
  const about = [encoder.encode(mark)];
  retryRaces(() => {
    if (!findTable(nl, ownTable)) return;
    const chains = (['inet', 'ip', 'ip6'] as const)
      .flatMap((family) => listChains(nl, family))
      .filter(({ name }) => name === forwardChain);
    transaction(
      nl,
      chains.flatMap(({ table, name }) =>
        listRules(nl, table, name, about)
          .filter((listed) => listed.comment !== undefined && isOwn(listed.comment))
          .map((listed) => deleteRule(table, listed)),
      ),
    );
  });
}

/** What is missing, in words. Nothing is changed. */
export function differencesInNftables(nl: Netlink, plan: Plan, { isolationOnly = false } = {}): string[] {
  if (isolationOnly ? !plan.isolation : !plan.addresses.length) return [];
  if (!findChain(nl, hook)?.base) return [`expected chain ${chainText(hook)} not found, or it has no hook`];
  const known = listing(nl, plan);
  return placesOf(nl, plan, { isolationOnly })
    .flatMap(({ shared, own }) => [...shared, ...own])
    .filter(({ chain, rule }) => !known(chain).some((one) => sameRule(chain.table.family, rule, one)))
    .map(({ chain, rule }) => `expected rule [${rule.text}] not found in chain ${chainText(chain)}`);
}
