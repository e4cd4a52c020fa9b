/**
 * Owner entries of the iptables backend, which say whose an address is: the rules that let it through must name nobody.
 * See iptables-rules.ts.
 */
import { type Cidr, formatCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import type { ChainRule } from '@cni-ts/rules/chain-rules';
import { isRule } from '@cni-ts/rules/read-rule';
import type { Owners } from '@cni-ts/rules/rule-set';
import type { RuleSpec } from '@cni-ts/rules/rule-spec';
import { networkMark, type Owner } from '@cni-ts/skeleton/owner-comment';
import { forwardChain, hostText, passing } from './plan.ts';

export const ownersChain = 'CNI-FORWARD-OWNERS';

/** The entries of an address that must go when this one stands there. An address is one attachment's in its network. */
export function staleBeside(
  entry: RuleSpec,
  rules: readonly ChainRule[],
  { network }: Pick<Owner, 'network'>,
): ChainRule[] {
  const host = entry.when?.to;
  if (entry.chain !== ownersChain || !host) return [];
  const address = formatCidr(host);
  const ruled = rulesOf(rules, host);
  return rules.filter((rule) => {
    if (rule.chain !== ownersChain || addressOf(rule) !== address) return false;
    if (!ruled.length || isOver(rule, ruled)) return true;
    return (rule.comment?.startsWith(networkMark(network)) ?? false) && !isRule(entry, rule.spec);
  });
}

/** Whether an entry says nothing of the rules that its address has: they were made later, or its owner got lost. */
function isOver({ comment, handle }: ChainRule, ruled: readonly ChainRule[]): boolean {
  if (!comment) return true;
  if (handle === undefined || !ruled.length) return false;
  return ruled.every((rule) => rule.handle !== undefined && rule.handle > handle);
}

function rulesOf(rules: readonly ChainRule[], host: Cidr): ChainRule[] {
  const wanted = passing(host.ip);
  return rules.filter(({ chain, spec }) => chain === forwardChain && wanted.some((one) => isRule(one, spec)));
}

/** An owner entry's address; '' of one that has none. */
function addressOf({ spec }: ChainRule): string {
  return spec.when.to ? formatCidr(spec.when.to) : '';
}

/** The entries of these owners, and all of the addresses that are left without an owner by that, or were `told` and
 *  have none. */
export function leavingRules(
  rules: readonly ChainRule[],
  { owns }: Owners,
  told: readonly Ip[],
): ChainRule[] {
  const ruled = rulesByAddress(rules);
  const [own, others, over]: [ChainRule[], ChainRule[], ChainRule[]] = [[], [], []];
  for (const entry of rules) {
    if (entry.chain !== ownersChain) continue;
    if (isOver(entry, ruled.get(addressOf(entry)) ?? [])) over.push(entry);
    else (owns(entry.comment) ? own : others).push(entry);
  }
  const kept = new Set(others.map(addressOf));
  const gone = new Set(
    [...own.map(addressOf), ...told.map(hostText)].filter((address) => !kept.has(address)),
  );
  return [
    ...own,
    ...over.filter((entry) => owns(entry.comment) || gone.has(addressOf(entry))),
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
