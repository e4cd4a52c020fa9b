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
import { formatIp, type Ip } from '@cni-ts/address/ip';
import { xtDnatted, xtRelatedOrEstablished } from '@cni-ts/iptables/native-match';
import { sameInWords } from '@cni-ts/iptables/native-words';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import { holdsBytes } from '@cni-ts/netlink/bytes';
import type { Netlink } from '@cni-ts/netlink/socket';
import { accept, counter, drop, jump, toCaller, verdictChain } from '@cni-ts/nftables/action';
import { addChain, type Chain, chainText, deleteEmptyChain, listChains } from '@cni-ts/nftables/chain';
import { dataOf } from '@cni-ts/nftables/expression';
import { ctState, ctStatus, daddr, iifname, oifname, saddr } from '@cni-ts/nftables/match';
import {
  addRule,
  comment,
  deleteRule,
  insertRule,
  type ListedRule,
  listRules,
  type Rule,
  rule,
  type Statement,
  sameRule,
} from '@cni-ts/nftables/rule';
import { addTable, deleteEmptyTable, findTable, type Table } from '@cni-ts/nftables/table';
import { type Change, NftablesError, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { networkMark, ownerComment, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { type IsolationRule, isolationChains, isolationRules } from './ingress-policy.ts';
import {
  adminComment,
  families,
  forwardChain,
  forwardComment,
  type Plan,
  publishedComment,
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

interface Step {
  readonly chain: Chain;
  readonly rule: Rule;
  readonly first: boolean;
  /** Stands above the step before it, or is useless. */
  readonly above?: boolean;
}

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
        above: one.published === true,
      })),
    ],
    own: ownedSteps(forward, ownerComment(plan.owner), addresses),
  };
}

function isolationRule(one: IsolationRule, chain: (name: string) => Chain): Rule {
  const { input, output, notOutput, published, verdict } = one;
  return rule(
    ...(input === undefined ? [] : [iifname(input)]),
    ...(output === undefined ? [] : [oifname(output)]),
    ...(notOutput === undefined ? [] : [oifname('!=', notOutput)]),
    ...(published ? [ctStatus('dnat')] : []),
    verdict === 'DROP' ? drop : verdict === 'RETURN' ? toCaller : jump(chain(verdict)),
    comment(one.comment),
  );
}

function ownedSteps(chain: Chain, owner: string, addresses: readonly Ip[]): Step[] {
  const related = isIptablesTable(chain.table) ? xtRelatedOrEstablished : ctState('established', 'related');
  const counting = countingIn(chain.table);
  return addresses.flatMap((ip) => [
    last(chain, rule(daddr(ip), related, ...counting, accept, comment(owner))),
    last(chain, rule(saddr(ip), ...counting, accept, comment(owner))),
  ]);
}

/** In a table that drops: what goes to published ports passes as well. In our own nothing would drop it. */
function foreignSteps(table: Table, owner: string, addresses: readonly Ip[]): Step[] {
  const published: Chain = { table, name: publishedChain };
  return [
    ...ownedSteps({ table, name: forwardChain }, owner, addresses),
    ...addresses.map((ip) => last(published, rule(daddr(ip), ...countingIn(table), accept, comment(owner)))),
  ];
}

function publishedJump(table: Table): Step {
  const dnatted = isIptablesTable(table) ? xtDnatted : ctStatus('dnat');
  const published: Chain = { table, name: publishedChain };
  const to = rule(dnatted, ...countingIn(table), jump(published), comment(publishedComment));
  return last({ table, name: forwardChain }, to);
}

/** iptables counts in every rule, and lists only such. */
function countingIn(table: Table): Statement[] {
  return isIptablesTable(table) ? [counter] : [];
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

/** The places in others' tables. One that has not been used yet gets the rules of all attachments there are. */
function foreignPlaces(nl: Netlink, plan: Plan, all: readonly Chain[]): Place[] {
  return droppingChains(all).flatMap((base) => {
    const { table } = base;
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
          first({ ...base }, rule(...countingIn(table), jump(chain), comment(forwardComment))),
          publishedJump(table),
          ...earlier.flatMap(({ ip, comment }) => foreignSteps(table, comment, [ip])),
        ],
        own: foreignSteps(table, ownerComment(plan.owner), addresses),
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

/** What one ADD made, or was about to. */
interface Made extends Omit<Place, 'table'> {
  readonly tables: readonly Table[];
}

interface Lacking extends Made {
  readonly changes: readonly Change[];
}

/** Something is missing that others need too. */
function needsShared({ tables, chains, shared }: Made): boolean {
  return tables.length + chains.length + shared.length > 0;
}

/**
 * Makes what is missing in one transaction. `isolationOnly`: another backend has the addresses. Its undo is added
 * here: also what all share goes, if nobody else uses it.
 */
export function addByNftables(nl: Netlink, plan: Plan, undo: Undo, { isolationOnly = false } = {}): void {
  if (isolationOnly ? !plan.isolation : !plan.addresses.length) return;
  let made: Made = { tables: [], chains: [], shared: [], own: [] };
  const write = (missing: Lacking) => {
    made = missing;
    transaction(nl, missing.changes);
  };
  undo.make(
    `nftables rules of ${plan.owner.containerId}`,
    () =>
      retryRaces(() => {
        const missing = lacking(nl, plan, { isolationOnly }, false);
        if (needsShared(missing)) oneAtATime(() => write(lacking(nl, plan, { isolationOnly }, true)));
        else write(missing);
      }),
    () => takeBack(nl, plan, made),
  );
}

function placesOf(
  nl: Netlink,
  plan: Plan,
  all: readonly Chain[],
  options: { isolationOnly?: boolean },
): Place[] {
  return [ownPlace(plan, options), ...(options.isolationOnly ? [] : foreignPlaces(nl, plan, all))];
}

function lacking(nl: Netlink, plan: Plan, options: { isolationOnly?: boolean }, orLost: boolean): Lacking {
  const all = chainsOf(nl);
  const places = placesOf(nl, plan, all, options);
  const tables = isAmong(hook, all) || findTable(nl, ownTable) ? [] : [ownTable];
  const chains = places.flatMap((place) => place.chains).filter((chain) => !isAmong(chain, all));
  const known = listing(nl, plan, all, orLost);
  const isMissing = (step: Step, orLost: boolean) =>
    !known(step.chain).some((listed) => stands(step, listed, orLost));
  const shared = places.flatMap(({ shared: steps }) => {
    const missing = steps.map((step) => isMissing(step, true));
    return steps.filter(({ above }, i) => missing[i] || (above && missing[i - 1]));
  });
  const own = places.flatMap((place) => place.own).filter((step) => isMissing(step, false));
  const stale = places.flatMap(({ table, chains, own: wanted }) =>
    chains
      .filter(isOwned)
      .flatMap(known)
      .filter((listed) => isStale(listed, plan, wanted))
      .map((listed) => deleteRule(table, listed)),
  );
  return {
    tables,
    chains,
    shared,
    own,
    changes: [
      ...tables.map(addTable),
      ...chains.map(addChain),
      ...[...shared, ...own].map(({ chain, rule, first }) => (first ? insertRule : addRule)(chain, rule)),
      ...stale,
    ],
  };
}

/**
 * Whether a rule is there. In tables of iptables it may have been written anew by that, or by `nft -f`, which loses
 * comments that iptables has made its own. `orLost`: one without its comment will do.
 */
function stands({ chain, rule }: Step, listed: ListedRule, orLost: boolean): boolean {
  const { family } = chain.table;
  if (!isIptablesTable(chain.table)) return sameRule(family, rule, listed);
  return sameInWords(family === 'ip6' ? 6 : 4, rule, listed, { orLost });
}

/** A rule of this attachment that is not wanted any more, or of the address's earlier holder in the same network. */
function isStale(listed: ListedRule, { owner, addresses }: Plan, wanted: readonly Step[]): boolean {
  if (!listed.comment?.startsWith(networkMark(owner.network)) || !wanted.length) return false;
  if (listed.comment.startsWith(ownerMark(owner))) {
    return !wanted.some((step) => stands(step, listed, false));
  }
  if (!addresses.some(({ bytes }) => holdsBytes(listed.raw, bytes))) return false;
  const text = ruleAddress(listed);
  return wanted.some(({ rule }) => text !== undefined && rule.text.includes(` ${text} `));
}

function ruleAddress(listed: ListedRule): string | undefined {
  const found = addressIn(listed);
  return found && `${found.side === 'source' ? 'saddr' : 'daddr'} ${formatIp(found.ip)}`;
}

/**
 * Each chain is listed once, without the rules of other attachments that have nothing to do with this one. `orLost`:
 * jumps that have lost the comment by which they are known are listed as well, by where they lead.
 */
function listing(
  nl: Netlink,
  { owner, addresses }: Plan,
  all: readonly Chain[],
  orLost: boolean,
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
    if (orLost && isIptablesTable(chain.table) && chain.name !== publishedChain) {
      about.push(verdictChain(chain.name === forwardChain ? publishedChain : forwardChain));
    }
    const listed = listRules(nl, chain.table, chain.name, about);
    known.set(key, listed);
    return listed;
  };
}

/**
 * Undoes one ADD. What it created goes only together with all that it put there, and only while nothing else is in
 * it: the kernel then refuses the whole transaction, and just the attachment's own rules are taken out.
 */
function takeBack(nl: Netlink, plan: Plan, { tables, chains, shared, own }: Made): void {
  const deletions = (steps: readonly Step[]) => {
    const known = listing(nl, plan, chainsOf(nl), false);
    return steps.flatMap((step) => {
      const listed = known(step.chain).find((one) => stands(step, one, false));
      return listed ? [deleteRule(step.chain.table, listed)] : [];
    });
  };
  if (chains.length) {
    try {
      oneAtATime(() => {
        transaction(nl, [
          ...deletions([...shared, ...own]),
          ...chains.map(deleteEmptyChain),
          ...tables.map(deleteEmptyTable),
        ]);
      });
      return;
    } catch (error) {
      if (!(error instanceof NftablesError)) throw error; // else: somebody else has begun to use them
    }
  }
  retryRaces(() => transaction(nl, deletions(own)));
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

/** A chain where rules have owners. */
function isOwned({ name }: Chain): boolean {
  return name === forwardChain || name === publishedChain;
}

/** A chain that iptables has no use for. */
function isOnlyOurs({ table, name }: Chain): boolean {
  return table.name === ownTable.name || name === publishedChain;
}

/** `mark`: what all of their comments have. Our own table may be gone while another's still has the rules. */
function removeRules(nl: Netlink, mark: string, isOwn: (comment: string) => boolean): void {
  const about = [encoder.encode(mark)];
  retryRaces(() => {
    const chains = chainsOf(nl);
    if (!chains.some(isOnlyOurs)) return; // what else there is was made by iptables
    transaction(
      nl,
      chains.filter(isOwned).flatMap(({ table, name }) =>
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
  const all = chainsOf(nl);
  if (!all.some((chain) => chain.base && isAmong(chain, [hook]))) {
    return [`expected chain ${chainText(hook)} not found, or it has no hook`];
  }
  const steps = placesOf(nl, plan, all, { isolationOnly }).flatMap(({ shared, own }) => [...shared, ...own]);
  const missing = (orLost: boolean) => {
    const known = listing(nl, plan, all, orLost);
    return steps.filter((step) => !known(step.chain).some((one) => stands(step, one, true)));
  };
  return (missing(false).length ? missing(true) : []).map(
    ({ chain, rule }) => `expected rule [${rule.text}] not found in chain ${chainText(chain)}`,
  );
}
