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
import { type ChainRules, readChains, readNftChains } from '@cni-ts/rules/chain-rules';
import { ensureInIptables, removeChosen, thereIn } from '@cni-ts/rules/iptables-engine';
import { type Owners, ownedBy, ownedByNoneOf, type RuleSet, stands } from '@cni-ts/rules/rule-set';
import { jump, type RuleSpec } from '@cni-ts/rules/rule-spec';
import { ruleWords } from '@cni-ts/rules/words-language';
import { ownerComment } from '@cni-ts/skeleton/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { errorText } from '@cni-ts/spec/cni-error';
import { tryEach } from '@cni-ts/spec/failing';
import { isolationChains, isolationRules } from './ingress-policy.ts';
import { leavingRules, ownersChain, staleBeside } from './iptables-owners.ts';
import {
  adminJump,
  families,
  familiesOf,
  forwardChain,
  forwardComment,
  type Plan,
  passing,
  publishedJump,
  reaching,
  sharedMark,
} from './plan.ts';

const parent = 'FORWARD';
/** `addresses`: those that these rules are to let through. */
function setOf(family: Family, plan: Plan, addresses: readonly Ip[]): RuleSet {
  const { owner, adminChain, isolation } = plan;
  const table = iptablesNftTable(family, 'filter');
  const names = [
    ...(addresses.length ? [forwardChain, adminChain, ownersChain] : []),
    ...(isolation ? isolationChains : []),
  ];
  const asking: RuleSpec[] = [
    { chain: parent, place: 'first', action: jump(forwardChain), comment: forwardComment },
    adminJump(adminChain),
    publishedJump(ownersChain),
  ];
  return {
    table,
    chains: names.map((name) => ({ table, name })),
    shared: [...(addresses.length ? asking : []), ...(isolation ? isolationRules(isolation, parent) : [])],
    own: addresses.flatMap((ip) => [...passing(ip), reaching(ownersChain, ip, ownerComment(owner))]),
  };
}

/** `isolationOnly`: another backend has the addresses. */
interface Part {
  readonly isolationOnly?: boolean;
}

function setFor(family: Family, plan: Plan, { isolationOnly = false }: Part): RuleSet {
  return setOf(family, plan, isolationOnly ? [] : plan.addresses.filter((ip) => ip.family === family));
}

/** What there is of what is wanted. Shared rules may have lost the comments by which they are picked from hundreds:
 *  `thoroughly` leaves nothing out. */
function look(nl: Netlink, family: Family, plan: Plan, { chains }: RuleSet, thoroughly: boolean): ChainRules {
  const names = [parent, ...chains.map(({ name }) => name)];
  const about = [sharedMark, ...addressBytes(plan, family)];
  return readChains(nl, family, 'filter', names, thoroughly ? undefined : about);
}

function addressBytes({ addresses }: Pick<Plan, 'addresses'>, of: Family): Uint8Array[] {
  return addresses.flatMap(({ family, bytes }) => (family === of ? [bytes] : []));
}

/** Makes what is missing in each family that the attachment has addresses of: see ensureInIptables. */
export function addByIptables(nl: Netlink, plan: Plan, undo: Undo, part: Part = {}): void {
  const used = familiesOf(plan);
  used.forEach(requireIptables);
  for (const family of used) {
    const set = setFor(family, plan, part);
    ensureInIptables(nl, `${programName(family)} rules of ${plan.owner.containerId}`, undo, {
      family,
      table: 'filter',
      set,
      read: (thoroughly) => look(nl, family, plan, set, thoroughly),
      stale: ({ rules }) => set.own.flatMap((one) => staleBeside(one, rules, plan.owner)),
      about: addressBytes(plan, family),
    });
  }
}

/** The reference's words for a missing program. */
function requireIptables(family: Family): void {
  try {
    requireProgram(programName(family));
    requireProgram(programName(family, 'restore'));
  } catch (error) {
    const protocol = family === 4 ? 0 : 1;
    throw new Error(`could not initialize iptables protocol ${protocol}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** Why ADD of such addresses could not work here; undefined if it could. */
export function iptablesProblem(of: readonly Family[] = families): string | undefined {
  const missing = of
    .flatMap((family) => [programName(family), programName(family, 'restore')])
    .filter((name) => findProgram(name) === undefined);
  return missing.length ? `${missing.join(', ')}: executable file not found in $PATH` : undefined;
}

/**
 * Takes the rules of one attachment away: those it is written down as the owner of, and those of `addresses` unless
 * another attachment has them by now. Chains and jumps stay. What iptables-nft keeps in nf_tables goes by netlink;
 * a program is started only where the older tables are in use.
 */
export function removeByIptables(nl: Netlink, plan: Pick<Plan, 'owner' | 'addresses'>): void {
  tryEach(families, (family) => removeFrom(nl, family, ownedBy(plan.owner), plan.addresses));
}

/** Removes the rules of every attachment of `network` that is not among `valid`. */
export function gcByIptables(nl: Netlink, network: string, valid: readonly Attachment[]): void {
  tryEach(families, (family) => removeFrom(nl, family, ownedByNoneOf(network, valid), []));
}

function removeFrom(nl: Netlink, family: Family, owners: Owners, addresses: readonly Ip[]): void {
  const told = addresses.filter((ip) => ip.family === family);
  const mark = new TextEncoder().encode(owners.mark);
  const about = () => {
    const { rules } = readNftChains(nl, family, 'filter', [ownersChain], [mark]);
    const own = rules.flatMap(({ comment, spec }) => (owners.owns(comment) ? (spec.when.to ?? []) : []));
    return [...told, ...own.map(({ ip }) => ip)].map(({ bytes }) => bytes);
  };
  removeChosen(nl, family, 'filter', [forwardChain, ownersChain], about, (rules) =>
    leavingRules(rules, owners, told),
  );
}

/** What is missing, in the reference's words. Nothing is changed. */
export function differencesInIptables(nl: Netlink, plan: Plan, part: Part = {}): string[] {
  return familiesOf(plan).flatMap((family) => {
    requireIptables(family);
    const set = setFor(family, plan, part);
    const missing = (thoroughly: boolean) => missingOf(look(nl, family, plan, set, thoroughly), plan, set);
    return (missing(false).length ? missing(true) : []).map((one) => {
      const words = ruleWords(one);
      const isJump = one.chain === parent || words.includes(plan.adminChain);
      return `expected ${isJump ? `${one.chain} ` : ''}rule [${words.join(' ')}] not found`;
    });
  });
}

/** The reference's attachments have no owner written down nor what only ours make, and work as well. */
function missingOf(there: ChainRules, { owner }: Plan, { shared, own }: RuleSet): RuleSpec[] {
  const { owns } = ownedBy(owner);
  const isOurs = there.rules.some(({ chain, comment }) => chain === ownersChain && owns(comment));
  const now = thereIn(there);
  return [...shared, ...own].filter((one) => (isOurs || !one.ours) && !stands(now, one, true));
}
