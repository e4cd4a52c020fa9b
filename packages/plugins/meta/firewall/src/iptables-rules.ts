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
import type { Ip } from '@cni-ts/address/ip';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, findProgram, programName, requireProgram } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { readChains, readNftChains } from '@cni-ts/rules/chain-rules';
import { ensureInIptables, removeChosen, thereIn, type Work } from '@cni-ts/rules/iptables-engine';
import { missingIn, type Owners, ownedBy } from '@cni-ts/rules/rule-set';
import { ruleWords } from '@cni-ts/rules/words-language';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing, tryEach } from '@cni-ts/spec/failing';
import { leavingRules, ownersChain, staleEntries } from './iptables-owners.ts';
import { families, forwardChain, type Plan, rulesAt, sharedMark } from './plan.ts';

const parent = 'FORWARD';

/** What must be there in one family, and what there is of it. */
function workFor(nl: Netlink, family: Family, plan: Plan): Work {
  const addresses = plan.addresses.filter((ip) => ip.family === family);
  const forward = { table: iptablesNftTable(family, 'filter'), name: parent };
  const set = rulesAt({ forward, published: ownersChain, signed: false }, { ...plan, addresses });
  const names = [parent, ...set.chains.map(({ name }) => name)];
  const about = addresses.map(({ bytes }) => bytes);
  return {
    family,
    table: 'filter',
    set,
    read: (thoroughly) =>
      readChains(nl, family, 'filter', names, thoroughly ? undefined : [sharedMark, ...about]),
    stale: ({ rules }) => staleEntries(rules, set.own, plan.owner),
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
    const { set, read } = workFor(nl, family, plan);
    const missing = (thoroughly: boolean) => {
      const there = read(thoroughly);
      const isOurs = there.rules.some(({ chain, comment }) => chain === ownersChain && owns(comment));
      return missingIn(thereIn(there), set).filter((one) => isOurs || !one.ours);
    };
    return (missing(false).length ? missing(true) : []).map((one) => {
      const words = ruleWords(one);
      const isJump = one.chain === parent || words.includes(plan.adminChain);
      return `expected ${isJump ? `${one.chain} ` : ''}rule [${words.join(' ')}] not found`;
    });
  });
}
