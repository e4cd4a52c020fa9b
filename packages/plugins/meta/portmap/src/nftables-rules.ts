import { type Cidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Chain } from '@cni-ts/nftables/chain';
import { comparisonAt } from '@cni-ts/nftables/comparison';
import { ask } from '@cni-ts/nftables/question';
import type { ListedRule, Statement } from '@cni-ts/nftables/rule';
import { readRule } from '@cni-ts/rules/read-rule';
import { hostCidr, masquerade, type RuleSpec, targetChain } from '@cni-ts/rules/rule-spec';
import { type HostPort, type Mapping, samePort } from './mapping.ts';
import { containerKey, type Key, keyQuestion, objects, type Plumbing, portKey } from './nftables-table.ts';
import { nftChains, nftComment, type Owner } from './owner.ts';
import type { Plan } from './plan.ts';
import type { Redirection } from './stale-flows.ts';

/** The rules of an attachment in the nftables backend, stated and read back. */

/** What one attachment needs in one family: nothing where the container has no address or no mapping. */
export interface Wanted extends Plumbing {
  readonly family: 4 | 6;
  readonly ports: readonly HostPort[];
  /** The container's own, with the attachment's rules: that which redirects, and if there is any that which masquerades. */
  readonly parts: readonly Chain[];
  /** What leads there: to the first, in the order of the ports. */
  readonly keys: readonly Key[];
}

const loopback = parseCidr('127.0.0.0/8');

export function wantedOf({ owner, config, targets, nftConditions }: Plan): Wanted[] {
  const { snat, masqAll } = config;
  const { dnat, masquerade: masq, comment: containerId } = nftChains(owner.containerId);
  const comment = nftComment(owner);
  return ([4, 6] as const).map((family) => {
    const { table, plumbing } = objects[family];
    const nothing = { ...plumbing(snat), family, ports: [], parts: [], keys: [] };
    const target = targets.find(({ address }) => address.ip.family === family);
    if (!target) return nothing;
    const { address, mappings } = target;
    const { ip } = address;
    const redirecting = mappings.flatMap((mapping) =>
      nftConditions[family].map((statements) => redirection(dnat, mapping, ip, comment, statements)),
    );
    // Only of what was redirected from these very ports: connections that others redirect here keep their source.
    const masquerading = mappings.flatMap(({ address: host, protocol, port }) =>
      sources(address, masqAll, loopback).map((from): RuleSpec => {
        const when = { protocol, original: { port, address: host }, from, to: hostCidr(ip) };
        return { chain: masq, when, action: masquerade, comment };
      }),
    );
    const names = snat ? [dnat, masq] : [dnat];
    const ports = mappings.map((mapping) => portKey(family, mapping, dnat));
    return {
      ...nothing,
      ports: mappings,
      parts: names.map((name) => ({ table, name, comment: containerId })),
      own: [...redirecting, ...(snat ? masquerading : [])],
      keys: [...ports, ...(snat ? [containerKey(ip, masq)] : [])],
    };
  });
}

/** The reference's have this form, too. */
export function redirection(
  chain: string,
  { address: host, protocol, port, containerPort }: Mapping,
  address: Ip,
  comment: string,
  statements?: readonly Statement[],
): RuleSpec {
  const when = { to: host && hostCidr(host), protocol, port };
  const action = { kind: 'dnat', address, port: containerPort } as const;
  return { chain, when, ...(statements && { statements }), action, comment };
}

/**
 * Who has to be masqueraded to get its answers back: the container itself and its neighbours, whose answers would go
 * to them directly, and the host talking to 127.0.0.1, an address that means nothing in the container. Undefined: everybody.
 */
export function sources(address: Cidr, all: boolean, loopback: Cidr | undefined) {
  if (all) return [undefined];
  const own = networkOf(address);
  return address.ip.family === 4 ? [own, loopback] : [own];
}

/** Whether a container's chain redirects; the other masquerades. */
export function isRedirecting(chain: string): boolean {
  return chain.startsWith('dnat-');
}

/** The keys by which these redirections, or the masquerading that goes with them, are found. */
export function keysTo(family: 4 | 6, chain: string, redirections: readonly Redirection[]): Key[] {
  if (isRedirecting(chain)) return redirections.map((port) => portKey(family, port, chain));
  const addresses = new Map(redirections.flatMap(({ to }) => (to ? [[formatIp(to), to] as const] : [])));
  return [...addresses.values()].map((address) => containerKey(address, chain));
}

/** Those keys that really lead where they say: somebody may have given them to another by hand. */
export function leadingThere(nl: Netlink, keys: readonly Key[]): Key[] {
  const found = ask(nl, keys.map(keyQuestion));
  return keys.filter(({ to }, i) => found[i]?.jump === to);
}

/**
 * A rule of the reference's for this container. It names neither network nor interface, so the container's address
 * has to tell, where it is known.
 */
export function isReferences(
  one: ListedRule,
  { containerId }: Owner,
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
