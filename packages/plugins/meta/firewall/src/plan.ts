import { formatCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { accept, hostCidr, jump, type RuleSpec } from '@cni-ts/rules/rule-spec';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import type { Isolation } from './ingress-policy.ts';

/** What must be there for one attachment, in no backend's language. */
export interface Plan {
  readonly owner: Owner;
  /** May send wherever they like, and get answers. */
  readonly addresses: readonly Ip[];
  /** Chain of the administrator, which is asked before any container's rules. */
  readonly adminChain: string;
  readonly isolation: Isolation | undefined;
}

export const families = [4, 6] as const;

/** The families of which the attachment has addresses. */
export function familiesOf({ addresses }: Pick<Plan, 'addresses'>): (4 | 6)[] {
  return families.filter((family) => addresses.some((ip) => ip.family === family));
}

/** Names and comments are the reference's. */
export const forwardChain = 'CNI-FORWARD';
/** What the comments of all shared rules have. */
export const sharedMark = new TextEncoder().encode('CNI firewall plugin');
export const forwardComment = 'CNI firewall plugin rules';
export const adminComment = 'CNI firewall plugin admin overrides';
export const publishedComment = 'CNI firewall plugin published ports';

/** `10.0.0.2/32`, `2001:db8::2/128`: one address and no network. */
export function hostText(ip: Ip): string {
  return formatCidr(hostCidr(ip));
}

/** What the chain of all attachments asks first: the administrator. */
export function adminJump(adminChain: string): RuleSpec {
  return { chain: forwardChain, place: 'first', action: jump(adminChain), comment: adminComment };
}

/** Connections whose destination was translated go to a chain of their own. Neither made by the reference nor missed. */
export function publishedJump(to: string): RuleSpec {
  const when = { state: ['dnat'] } as const;
  return { chain: forwardChain, when, action: jump(to), comment: publishedComment, ours: true };
}

/** What answers an address passes, and what comes from it. */
export function passing(ip: Ip, comment?: string): RuleSpec[] {
  const host = hostCidr(ip);
  const answering = { to: host, state: ['established', 'related'] } as const;
  return [
    { chain: forwardChain, when: answering, action: accept, comment },
    { chain: forwardChain, when: { from: host }, action: accept, comment },
  ];
}

/** What goes to an address passes, of what comes through a chain for published ports. */
export function reaching(chain: string, ip: Ip, comment: string): RuleSpec {
  return { chain, when: { to: hostCidr(ip) }, action: accept, comment, ours: true };
}
