import type { Family, Variant } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { targetChain } from '@cni-ts/rules/rule-spec';
import type { Holder } from './holder.ts';
import { entries, natTable, portsIn } from './iptables-chains.ts';
import { type HostPort, overlaps } from './mapping.ts';
import { iptablesComment, type Owner, readIptablesComment } from './owner.ts';

/**
 * Who else has one of these ports, by the entry rules and the chains they lead to. Only reads the kernel's own
 * tables, unless the older tables are what this host uses.
 */
export function iptablesHolder(
  nl: Netlink,
  owner: Owner,
  family: Family,
  ports: readonly HostPort[],
  variant: Variant,
): Holder | undefined {
  const nat = natTable(nl, family, variant);
  for (const entry of nat.rules(entries, ports.flatMap(portBytes))) {
    const theirs = readIptablesComment(entry.comment);
    if (entry.comment === iptablesComment(owner)) continue;
    const chain = targetChain(entry.action);
    if (theirs?.containerId === owner.containerId || !chain?.startsWith('CNI-DN-')) continue;
    if (!ports.some((one) => portsIn(entry).some((other) => overlaps(one, other)))) continue;
    for (const rule of nat.rules(chain)) {
      const port = ports.find((one) => portsIn(rule).some((other) => overlaps(one, other)));
      if (port && rule.action?.kind === 'dnat') {
        return {
          port,
          containerId: theirs?.containerId ?? 'unknown',
          more: `net: ${theirs?.network ?? 'unknown'}, chain ${chain}`,
        };
      }
    }
  }
  return undefined;
}

/** As extensions of iptables have a port in their structures, and as nftables compares it with the packet's. */
function portBytes({ port }: HostPort): Uint8Array[] {
  const [high, low] = [port >> 8, port & 0xff];
  return [Uint8Array.of(low, high), Uint8Array.of(high, low)];
}
