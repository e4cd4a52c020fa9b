/**
 * The rules by iptables, as the reference writes them: FORWARD leads to CNI-FORWARD, which asks the administrator's
 * chain and then has two rules per address. They name no owner, and must not, since the reference's DEL and CHECK
 * look for exactly these. So owners stand in a chain of their own: one rule per address, whose comment is the owner.
 * By these DEL and GC find what is whose when nobody tells them the addresses. Only connections whose destination was
 * translated get there, and are let through to that address: they are those of its published ports.
 *
 * The reference's DEL takes the two rules and leaves the entry. That one is over, then: when the address has rules
 * again, they are younger than the entry, which nf_tables' handles tell, and belong to somebody else.
 */
import { formatCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, findProgram, programName, requireProgram } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { verdictChain } from '@cni-ts/nftables/action';
import { type ChainRule, readChains, readNftChains } from '@cni-ts/rules/chain-rules';
import { ensureInIptables, missingInIptables, removeChosen, type Work } from '@cni-ts/rules/iptables-engine';
import { isRule } from '@cni-ts/rules/read-rule';
import { type Owners, ownedBy } from '@cni-ts/rules/rule-set';
import type { RuleSpec } from '@cni-ts/rules/rule-spec';
import { ruleWords } from '@cni-ts/rules/words-language';
import { networkMark } from '@cni-ts/skeleton/owner-comment';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing, tryEach } from '@cni-ts/spec/failing';
import { families, forwardChain, hostText, type Plan, rulesAt, rulesOf, sharedMark } from './plan.ts';

const parent = 'FORWARD';
const ownersChain = 'CNI-FORWARD-OWNERS';
const unsigned = { signed: false };

/** What must be there in one family, and what there is of it. */
function workFor(nl: Netlink, family: Family, plan: Plan): Work {
  const addresses = plan.addresses.filter((ip) => ip.family === family);
  const forward = { table: iptablesNftTable(family, 'filter'), name: parent };
  const set = rulesAt({ ...unsigned, forward, published: ownersChain }, { ...plan, addresses });
  const names = [parent, ...set.chains.map(({ name }) => name)];
  const about = addresses.map(({ bytes }) => bytes);
  // A jump that has lost its comment is known by where it leads; rules of a policy only by being read. A chain's own name
  // stands in each of its rules.
  const targets = [forwardChain, plan.adminChain, ownersChain];
  const leading = (chain: string) => targets.filter((one) => one !== chain).map(verdictChain);
  const thorough = plan.isolation ? undefined : (chain: string) => [sharedMark, ...about, ...leading(chain)];
  return {
    family,
    table: 'filter',
    set,
    read: (thoroughly) =>
      readChains(nl, family, 'filter', names, thoroughly ? thorough : [sharedMark, ...about]),
    stale: ({ rules }) => staleEntries(rules, set.own, networkMark(plan.owner.network)),
    about,
  };
}

/** Makes what is missing in each family that the attachment has addresses of: see ensureInIptables. */
export function addByIptables(nl: Netlink, plan: Plan, undo: Undo): void {
  plan.families.forEach(requireIptables);
  for (const family of plan.families) {
    const what = `${programName(family)} rules of ${plan.owner.containerId}`;
    ensureInIptables(nl, what, undo, workFor(nl, family, plan));
  }
}

function programsOf(family: Family): string[] {
  return [programName(family), programName(family, 'restore')];
}

/** The reference's words for a missing program. */
function requireIptables(family: Family): void {
  const what = `could not initialize iptables protocol ${family === 4 ? 0 : 1}`;
  failing(what, () => programsOf(family).forEach(requireProgram));
}

/** Why ADD of such addresses could not work here; undefined if it could. */
export function iptablesProblem(of: readonly Family[]): string | undefined {
  const missing = of.flatMap(programsOf).filter((name) => findProgram(name) === undefined);
  return missing.length ? `${missing.join(', ')}: executable file not found in $PATH` : undefined;
}

/**
 * Takes rules away: those that `owners` are written down for, and those of `addresses` unless others have them by
 * now. Chains and jumps stay. What iptables-nft keeps in nf_tables goes by netlink; a program is started only where
 * the older tables are in use.
 */
export function removeByIptables(nl: Netlink, owners: Owners, addresses: readonly Ip[]): void {
  const mark = new TextEncoder().encode(owners.mark);
  tryEach(families, (family) => {
    const told = addresses.filter((ip) => ip.family === family);
    const about = () => {
      const { rules } = readNftChains(nl, family, 'filter', [ownersChain], [mark]);
      const own = rules.flatMap(({ comment, spec }) => (owners.owns(comment) ? (spec.when.to ?? []) : []));
      return [...told, ...own.map(({ ip }) => ip)].map(({ bytes }) => bytes);
    };
    removeChosen(nl, family, 'filter', [forwardChain, ownersChain], about, (rules) =>
      leavingRules(rules, owners, told),
    );
  });
}

/** What is missing, in the reference's words; its attachments have no owner written down nor what only ours make, and
 *  work as well. Nothing is changed. */
export function differencesInIptables(nl: Netlink, plan: Plan): string[] {
  const { owns } = ownedBy(plan.owner);
  return plan.families.flatMap((family) => {
    requireIptables(family);
    const missing = missingInIptables(workFor(nl, family, plan), ({ ours }, { rules }) => {
      return !ours || rules.some(({ chain, comment }) => chain === ownersChain && owns(comment));
    });
    return missing.map((one) => {
      const words = ruleWords(one);
      const isJump = one.chain === parent || words.includes(plan.adminChain);
      return `expected ${isJump ? `${one.chain} ` : ''}rule [${words.join(' ')}] not found`;
    });
  });
}

/** The entries that must go when an attachment's own rules stand there. An address is one attachment's in its network. */
function staleEntries(rules: readonly ChainRule[], own: readonly RuleSpec[], network: string): ChainRule[] {
  const held = byAddress(rules);
  return own.flatMap((wanted) => {
    const found = wanted.chain === ownersChain ? held.get(addressOf(wanted)) : undefined;
    return (found?.entries ?? []).filter((one) => {
      if (!found?.ruled.length || isOver(one, found.ruled)) return true;
      return one.comment?.startsWith(network) && !isRule(wanted, one.spec);
    });
  });
}

/** The entries of these owners, and all of the addresses that are left without an owner by that, or were `told` and
 *  have none. */
function leavingRules(rules: readonly ChainRule[], { owns }: Owners, told: readonly Ip[]): ChainRule[] {
  const asked = told.map(hostText);
  return [...byAddress(rules)].flatMap(([address, { entries, ruled }]) => {
    const valid = entries.filter((one) => !isOver(one, ruled));
    const own = valid.filter(({ comment }) => owns(comment));
    const isFree = own.length === valid.length && (own.length > 0 || asked.includes(address));
    return isFree ? [...entries, ...ruled] : entries.filter(({ comment }) => owns(comment));
  });
}

/** Whether an entry says nothing of the rules that its address has: they were made later, or its owner got lost. */
function isOver({ comment, handle }: ChainRule, ruled: readonly ChainRule[]): boolean {
  if (!comment) return true;
  if (handle === undefined || !ruled.length) return false;
  return ruled.every((rule) => rule.handle !== undefined && rule.handle > handle);
}

/** What stands of each address, by its text: owner entries, and the rules that let it through. */
function byAddress(rules: readonly ChainRule[]) {
  const found = new Map<string, { entries: ChainRule[]; ruled: ChainRule[] }>();
  for (const rule of rules) {
    const isEntry = rule.chain === ownersChain;
    if (!isEntry && !letsThrough(rule)) continue;
    const address = addressOf(rule.spec);
    const held = found.get(address) ?? { entries: [], ruled: [] };
    found.set(address, held);
    (isEntry ? held.entries : held.ruled).push(rule);
  }
  return found;
}

function letsThrough({ chain, spec }: ChainRule): boolean {
  if (chain !== forwardChain) return false;
  const host = spec.when.to ?? spec.when.from;
  return host !== undefined && rulesOf(unsigned, host.ip).some((one) => isRule(one, spec));
}

/** '' of a rule about none. */
function addressOf({ when }: Pick<RuleSpec, 'when'>): string {
  const host = when?.to ?? when?.from;
  return host ? formatCidr(host) : '';
}
