import { formatCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import type { Family } from '@cni-ts/iptables/program';
import type { Chain } from '@cni-ts/nftables/chain';
import type { RuleSet } from '@cni-ts/rules/rule-set';
import { accept, hostCidr, jump, type RuleSpec } from '@cni-ts/rules/rule-spec';
import { type Owner, ownerComment } from '@cni-ts/skeleton/owner-comment';
import { type Isolation, isolationChains, isolationRules } from './ingress-policy.ts';

/** What must be there for one attachment, in no backend's language. */
export interface Plan {
  readonly owner: Owner;
  /** Those of the attachment's addresses. */
  readonly families: readonly Family[];
  /** May send wherever they like, and get answers. None where firewalld sees to it. */
  readonly addresses: readonly Ip[];
  /** Chain of the administrator, which is asked before any container's rules. */
  readonly adminChain: string;
  readonly isolation: Isolation | undefined;
}

export const families = [4, 6] as const;

/** Names and comments are the reference's. */
export const forwardChain = 'CNI-FORWARD';
/** What the comments of all shared rules have. */
export const sharedMark = new TextEncoder().encode('CNI firewall plugin');

/** A table where the rules stand, and what is different there. */
export interface Where {
  /** Of its table; all forwarded traffic passes it. One with a base is made, and leads to nothing but what is ours. */
  readonly forward: Chain;
  /** A chain for connections whose destination was translated, where something could drop them. */
  readonly published?: string;
  /** Whether the two rules of an address name their owner. */
  readonly signed: boolean;
  /** Another firewall's: neither the administrator's chain nor a policy is in it. */
  readonly foreign?: boolean;
}

/** What must stand in one table. Where both are, the policy's rules come before the containers', as these accept. */
export function rulesAt(where: Where, { owner, addresses, adminChain, isolation }: Plan): RuleSet {
  const { forward, published, foreign } = where;
  const { table, base, name } = forward;
  const names: string[] = [];
  const shared: RuleSpec[] = [];
  const lead = (from: string, to: string, what: string, more: Partial<RuleSpec>) => {
    names.push(to);
    shared.push({ chain: from, action: jump(to), comment: `CNI firewall plugin ${what}`, ...more });
  };
  if (addresses.length) {
    lead(name, forwardChain, 'rules', base ? {} : { place: 'first' });
    if (!foreign) lead(forwardChain, adminChain, 'admin overrides', { place: 'first' });
    // Neither made by the reference nor missed.
    const translated = { when: { state: ['dnat'] }, ours: true } as const;
    if (published) lead(forwardChain, published, 'published ports', translated);
  }
  if (isolation && !foreign) {
    names.push(...isolationChains);
    shared.push(...isolationRules(isolation, name));
  }
  const comment = addresses.length ? ownerComment(owner) : '';
  return {
    table,
    chains: [...(base ? [forward] : []), ...names.map((one) => ({ table, name: one }))],
    shared,
    own: addresses.flatMap((ip) => rulesOf(where, ip, comment)),
  };
}

/** What answers an address passes, and what comes from it; and what goes to it, of what comes through the chain for
 *  published ports. */
export function rulesOf(
  { published, signed }: Pick<Where, 'published' | 'signed'>,
  ip: Ip,
  owner = '',
): RuleSpec[] {
  const host = hostCidr(ip);
  const comment = signed ? owner : undefined;
  const answering = { to: host, state: ['established', 'related'] } as const;
  const rules: RuleSpec[] = [
    { chain: forwardChain, when: answering, action: accept, comment },
    { chain: forwardChain, when: { from: host }, action: accept, comment },
  ];
  if (!published) return rules;
  return [...rules, { chain: published, when: { to: host }, action: accept, comment: owner, ours: true }];
}

/** `10.0.0.2/32`, `2001:db8::2/128`: one address and no network. */
export function hostText(ip: Ip): string {
  return formatCidr(hostCidr(ip));
}
