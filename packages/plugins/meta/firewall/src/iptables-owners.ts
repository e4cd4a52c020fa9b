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
  const held = byAddress(rules);
  return own.flatMap((wanted) => {
    const found = wanted.chain === ownersChain ? held.get(addressOf(wanted)) : undefined;
    return (found?.entries ?? []).filter((one) => {
      if (!found?.ruled.length || isOver(one, found.ruled)) return true;
      return one.comment?.startsWith(networkMark(network)) && !isRule(wanted, one.spec);
    });
  });
}

/** The entries of these owners, and all of the addresses that are left without an owner by that, or were `told` and
 *  have none. */
export function leavingRules(
  rules: readonly ChainRule[],
  { owns }: Owners,
  told: readonly Ip[],
): ChainRule[] {
  const asked = told.map(hostText);
  return [...byAddress(rules)].flatMap(([address, { entries, ruled }]) => {
    const valid = entries.filter((one) => !isOver(one, ruled));
    const own = valid.filter(({ comment }) => owns(comment));
    const isFree = own.length === valid.length && (own.length > 0 || asked.includes(address));
    return isFree ? [...entries, ...ruled] : [...entries.filter(({ comment }) => owns(comment))];
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
    if (!isEntry && rule.chain !== forwardChain) continue;
    const { to, from = to } = rule.spec.when;
    if (!isEntry && !(from && passing(from.ip).some((one) => isRule(one, rule.spec)))) continue;
    const address = addressOf(rule.spec);
    const held = found.get(address) ?? { entries: [], ruled: [] };
    found.set(address, held);
    (isEntry ? held.entries : held.ruled).push(rule);
  }
  return found;
}

/** '' of a rule about none. */
function addressOf({ when: { to, from = to } = {} }: Pick<RuleSpec, 'when'>): string {
  return from ? formatCidr(from) : '';
}
