import { formatCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { hostCidr } from '@cni-ts/rules/rule-spec';
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
