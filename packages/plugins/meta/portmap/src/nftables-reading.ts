import type { Cidr } from '@cni-ts/address/cidr';
import { equalIp, type Ip } from '@cni-ts/address/ip';
import { comparisonAt } from '@cni-ts/nftables/comparison';
import type { ListedRule } from '@cni-ts/nftables/rule';
import { readRule } from '@cni-ts/rules/read-rule';
import { targetChain } from '@cni-ts/rules/rule-spec';
import { samePort } from './mapping.ts';
import { type Owner, ownerTag } from './owner.ts';
import type { Redirection } from './stale-flows.ts';

/** Rules of the nftables backend read back from the kernel. */

/** Whether a rule is this attachment's. */
export function tagged(owner: Owner): (one: ListedRule) => boolean {
  const tag = ownerTag(owner);
  return ({ comment: text }) => text?.startsWith(tag) ?? false;
}

/**
 * A rule of the reference's for this container. It names neither network nor interface, so the container's address
 * has to tell, where it is known.
 */
export function isReferences(
  one: ListedRule,
  containerId: string,
  addresses: readonly Ip[] | undefined,
): boolean {
  if (one.comment !== containerId) return false;
  if (!addresses?.length || one.chain === 'hostip_hostports') return true;
  const { when, action } = readRule(4, one);
  const named = [hostIn(when.from), hostIn(when.to), action?.kind === 'dnat' ? action.address : undefined];
  return addresses.some((address) => named.some((other) => other && equalIp(address, other)));
}

/** The address that a comparison is about, if it is no network. */
function hostIn(cidr: Cidr | undefined): Ip | undefined {
  return cidr?.prefix === (cidr?.ip.bytes.length ?? 0) * 8 ? cidr?.ip : undefined;
}

/** The ports that rules are about, each once. */
export function portsOf(listed: readonly ListedRule[]): Redirection[] {
  const ports: Redirection[] = [];
  for (const one of listed) {
    const port = portOf(one);
    if (port && !ports.some((known) => samePort(known, port))) ports.push(port);
  }
  return ports;
}

/**
 * Reads a mapping's rule back, ours or the reference's: the values that destination address, protocol and port are
 * compared with. Conditions may compare the same fields, but they come later; an address is a mapping's if it comes first.
 */
export function portOf(listed: ListedRule): Redirection | undefined {
  const { when, action } = readRule(4, listed);
  const { protocol, port } = when;
  if (!protocol || port === undefined || targetChain(action)) return undefined;
  const isFirst = listed.expressions[0] && comparisonAt(listed.expressions, 0)?.field === 'daddr';
  const address = isFirst ? hostIn(when.to) : undefined;
  return { protocol, port, address, to: action?.kind === 'dnat' ? action.address : undefined };
}
