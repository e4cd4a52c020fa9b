/**
 * Owner entries of the iptables backend, which say whose an address is: the rules that let it through must name nobody.
 * See iptables-rules.ts.
 */
import { formatCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import type { ChainRule } from '@cni-ts/rules/chain-rules';
import { isRule } from '@cni-ts/rules/read-rule';
import type { Owners } from '@cni-ts/rules/rule-set';
import type { RuleSpec } from '@cni-ts/rules/rule-spec';
import { networkMark, type Owner } from '@cni-ts/skeleton/owner-comment';
import { forwardChain, hostText, passing } from './plan.ts';

export const ownersChain = 'CNI-FORWARD-OWNERS';

/** The entries that must go when these rules stand there. An address is one attachment's in its network. */
export function staleEntries(
  rules: readonly ChainRule[],
  own: readonly RuleSpec[],
  { network }: Pick<Owner, 'network'>,
): ChainRule[] {
  const wanted = new Map(own.flatMap((one) => (one.chain === ownersChain ? [[addressOf(one), one]] : [])));
  const ruled = rulesByAddress(rules);
  return rules.filter((rule) => {
    const entry = rule.chain === ownersChain ? wanted.get(addressOf(rule.spec)) : undefined;
    if (!entry) return false;
    const its = ruled.get(addressOf(rule.spec)) ?? [];
    if (!its.length || isOver(rule, its)) return true;
    return (rule.comment?.startsWith(networkMark(network)) ?? false) && !isRule(entry, rule.spec);
  });
}

/** Whether an entry says nothing of the rules that its address has: they were made later, or its owner got lost. */
function isOver({ comment, handle }: ChainRule, ruled: readonly ChainRule[]): boolean {
  if (!comment) return true;
  if (handle === undefined || !ruled.length) return false;
  return ruled.every((rule) => rule.handle !== undefined && rule.handle > handle);
}

/** An owner entry's address; '' of one that has none. */
function addressOf({ when }: Pick<RuleSpec, 'when'>): string {
  return when?.to ? formatCidr(when.to) : '';
}

/** The entries of these owners, and all of the addresses that are left without an owner by that, or were `told` and
 *  have none. */
export function leavingRules(
  rules: readonly ChainRule[],
  { owns }: Owners,
  told: readonly Ip[],
): ChainRule[] {
  const ruled = rulesByAddress(rules);
  const entries = rules.filter(({ chain }) => chain === ownersChain);
  const over = new Set(entries.filter((one) => isOver(one, ruled.get(addressOf(one.spec)) ?? [])));
  const valid = entries.filter((one) => !over.has(one));
  const own = valid.filter(({ comment }) => owns(comment));
  const kept = new Set(valid.flatMap(({ comment, spec }) => (owns(comment) ? [] : addressOf(spec))));
  const gone = new Set([...own.map(({ spec }) => addressOf(spec)), ...told.map(hostText)]);
  for (const address of kept) gone.delete(address);
  return [
    ...own,
    ...[...over].filter(({ comment, spec }) => owns(comment) || gone.has(addressOf(spec))),
    ...[...gone].flatMap((address) => ruled.get(address) ?? []),
  ];
}

/** The rules of each address, by its text. */
function rulesByAddress(rules: readonly ChainRule[]): Map<string, ChainRule[]> {
  const found = new Map<string, ChainRule[]>();
  for (const rule of rules) {
    const host = rule.chain === forwardChain ? (rule.spec.when.to ?? rule.spec.when.from) : undefined;
    if (!host || !passing(host.ip).some((one) => isRule(one, rule.spec))) continue;
    const address = formatCidr(host);
    found.set(address, [...(found.get(address) ?? []), rule]);
  }
  return found;
}
