import type { Ip } from '@cni-ts/address/ip';
import { sameBytes } from '@cni-ts/netlink/bytes';
import { jumpTarget } from '@cni-ts/nftables/action';
import { dataOf, type Expression } from '@cni-ts/nftables/expression';
import type { ListedRule } from '@cni-ts/nftables/rule';
import { protocols } from '@cni-ts/nftables/set';
import { type Protocol, samePort } from './mapping.ts';
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
  const values = one.expressions.flatMap((part) => {
    const value = dataOf(part, 'immediate')?.data?.value ?? dataOf(part, 'cmp')?.data?.value;
    return value ? [value] : [];
  });
  return addresses.some(({ bytes }) => values.some((value) => sameBytes(value, bytes)));
}

/** The ports that rules are about, each once. */
export function portsOf(listed: readonly ListedRule[]): Redirection[] {
  const ports: Redirection[] = [];
  for (const { expressions } of listed) {
    const port = portOf(expressions);
    if (port && !ports.some((one) => samePort(one, port))) ports.push(port);
  }
  return ports;
}

/**
 * Reads a mapping's rule back, ours or the reference's: the values that destination address, protocol and port are
 * compared with. Conditions may compare the same fields, but they come later.
 */
export function portOf(expressions: readonly Expression[]): Redirection | undefined {
  if (jumpTarget(expressions) !== undefined) return undefined;
  let protocol: Protocol | undefined;
  let port: number | undefined;
  let address: Ip | undefined;
  let to: Ip | undefined;
  for (const [i, one] of expressions.entries()) {
    to ??= ipOf(dataOf(one, 'immediate')?.data?.value);
    const comparison = expressions[i + 1] && dataOf(expressions[i + 1]!, 'cmp');
    const value = comparison?.op === '==' ? comparison.data?.value : undefined;
    if (!value) continue;
    const payload = dataOf(one, 'payload');
    if (dataOf(one, 'meta')?.key === 16) protocol ??= protocolOf(value[0]);
    else if (payload?.base === 'transport' && payload.offset === 2 && payload.length === 2) {
      port ??= ((value[0] ?? 0) << 8) | (value[1] ?? 0);
    } else if (i === 0 && payload?.base === 'network' && payload.offset === 16 && value.length === 4) {
      address = { family: 4, bytes: value };
    } else if (i === 0 && payload?.base === 'network' && payload.offset === 24 && value.length === 16) {
      address = { family: 6, bytes: value };
    }
  }
  return protocol && port !== undefined ? { protocol, port, address, to } : undefined;
}

function ipOf(bytes: Uint8Array | undefined): Ip | undefined {
  const family = { 4: 4, 16: 6 }[bytes?.length ?? 0] as 4 | 6 | undefined; // reason: the table's own values
  return bytes && family && { family, bytes };
}

function protocolOf(number: number | undefined): Protocol | undefined {
  return (Object.keys(protocols) as Protocol[]).find((name) => protocols[name] === number); // reason: the table's own keys
}
