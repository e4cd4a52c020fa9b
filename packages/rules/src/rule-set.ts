import type { Chain } from '@cni-ts/nftables/chain';
import type { Table } from '@cni-ts/nftables/table';
import { networkMark, type Owner, ownerMark } from '@cni-ts/skeleton/owner-comment';
import { type RuleSpec, targetChain } from './rule-spec.ts';

/** What must stand in one table for an attachment; a table of iptables is named as iptables-nft names it. */
export interface RuleSet {
  readonly table: Table;
  /** Those that the rules need, in the order in which they are made. */
  readonly chains: readonly Chain[];
  /** Chains that must hold their shared rules in order, and no others. */
  readonly exact?: readonly Chain[];
  /** Rules of all attachments. */
  readonly shared: readonly RuleSpec[];
  /** Those of this one. */
  readonly own: readonly RuleSpec[];
}

/** What stands in the chains of a set, in the form that one language reads. */
export interface There<S> {
  has(chain: string): boolean;
  rules(chain: string): readonly S[];
  /** Whether a rule that stands there is this one. `orLost`: one that lost its comment will do. */
  is(wanted: RuleSpec, one: S, orLost: boolean): boolean;
}

/** What an ADD has to make, and what must go for it. */
export interface Lacking<S> {
  readonly chains: readonly Chain[];
  /** Exact ones that are not as they should be. */
  readonly emptied: readonly Chain[];
  readonly shared: readonly RuleSpec[];
  readonly own: readonly RuleSpec[];
  readonly stale: readonly S[];
}

/** `stale`: rules that must go, which therefore are as good as gone. */
export function lacking<S>(set: RuleSet, there: There<S>, stale: readonly S[] = []): Lacking<S> {
  const emptied = (set.exact ?? []).filter(({ name }) => !holdsExactly(there, name, set.shared));
  const missing = set.shared.map(
    (one) => emptied.some(({ name }) => name === one.chain) || !stands(there, one, true),
  );
  return {
    chains: set.chains.filter(({ name }) => !there.has(name)),
    emptied,
    shared: set.shared.filter(({ place }, i) => missing[i] || (place === 'above' && missing[i - 1])),
    own: set.own.filter(
      (one) => !there.rules(one.chain).some((rule) => !stale.includes(rule) && there.is(one, rule, false)),
    ),
    stale,
  };
}

/** Something is missing that others need too. */
export function needsShared({ chains, shared }: Pick<Lacking<unknown>, 'chains' | 'shared'>): boolean {
  return chains.length + shared.length > 0;
}

/** Whether a rule stands in its chain. */
export function stands<S>(there: There<S>, wanted: RuleSpec, orLost: boolean): boolean {
  return there.rules(wanted.chain).some((one) => there.is(wanted, one, orLost));
}

/** What of a set does not stand, also not without its comment. */
export function missingIn<S>(there: There<S>, { shared, own }: RuleSet): RuleSpec[] {
  return [...shared, ...own].filter((one) => !stands(there, one, true));
}

/** Whether a chain holds its rules of these, in order, and no others: one before or between could let all pass. */
export function holdsExactly<S>(
  there: Pick<There<S>, 'rules' | 'is'>,
  chain: string,
  rules: readonly RuleSpec[],
): boolean {
  const wanted = rules.filter((one) => one.chain === chain);
  const listed = there.rules(chain);
  return listed.length === wanted.length && wanted.every((one, i) => there.is(one, listed[i]!, false));
}

/** How often a chain of a complete table is used, by its own rules and by those that lead there: the kernel's count. */
export function useOf(
  chain: string,
  rules: readonly RuleSpec[],
): { rules: number; leading: number; use: number } {
  let [own, leading] = [0, 0];
  for (const one of rules) {
    if (one.chain === chain) own++;
    if (targetChain(one.action) === chain) leading++;
  }
  return { rules: own, leading, use: own + leading };
}

/** Whose rules are meant, by their comments. */
export interface Owners {
  /** What all of these comments begin with: a quick way past others'. */
  readonly mark: string;
  owns(comment: string | undefined): boolean;
}

/** The rules of one attachment. */
export function ownedBy(owner: Owner): Owners {
  const mark = ownerMark(owner);
  return { mark, owns: (comment) => comment?.startsWith(mark) ?? false };
}

/** Those of every attachment of a network that is not among `valid`. */
export function ownedByNoneOf(network: string, valid: readonly Omit<Owner, 'network'>[]): Owners {
  const keep = new Set(valid.map(({ containerId, ifname }) => ownerMark({ network, containerId, ifname })));
  const mark = networkMark(network);
  return {
    mark,
    owns: (comment) => (comment?.startsWith(mark) ?? false) && !keep.has(comment!.slice(0, 33)),
  };
}
