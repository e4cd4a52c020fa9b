import type { Netlink } from '@cni-ts/netlink/socket';
import { findChain } from '@cni-ts/nftables/chain';
import { listRules } from '@cni-ts/nftables/rule';
import { listElements } from '@cni-ts/nftables/set';
import type { Table } from '@cni-ts/nftables/table';
import type { Holder } from './holder.ts';
import { type HostPort, overlaps } from './mapping.ts';
import { portOf } from './nftables-reading.ts';
import type { Sight } from './nftables-rules.ts';
import { objects, uses } from './nftables-table.ts';
import { nftChains, type Owner, readNftComment } from './owner.ts';

/**
 * Who else has one of these ports: another container's mapping in the maps, or one that the reference made. Only
 * ports for all addresses are also compared with the list of those for single addresses.
 */
export function nftablesHolder(nl: Netlink, owner: Owner, sight: Sight): Holder | undefined {
  const { family, ports } = sight.wanted;
  const { table, dnat: to, hostports, hostipHostports } = objects(family);
  const own = nftChains(owner.containerId).dnat;
  const use = uses(family);
  const single = sight.maps && ports.some(({ address }) => !address) ? listElements(nl, to.byAddress) : [];
  for (const [i, port] of ports.entries()) {
    const candidates = [
      sight.anywhere[i],
      sight.keys[0]?.[i],
      ...(port.address
        ? []
        : single.filter(
            ({ key: [, protocol, number] }) => protocol === port.protocol && number === port.port,
          )),
    ];
    const taken = candidates.find((one) => one?.jump !== undefined && one.jump !== own);
    if (taken?.jump) return holderOf(nl, table, taken.jump, port);
  }
  const strangers = [
    ...((sight.use.hostports?.use ?? 0) > (sight.maps ? use.hostports.use : use.hostports.leading)
      ? [hostports]
      : []),
    ...((sight.use.hostipHostports?.use ?? 0) > use.hostipHostports.use ? [hostipHostports] : []),
  ];
  for (const chain of strangers) {
    for (const listed of listRules(nl, table, chain.name)) {
      const theirs = portOf(listed);
      const port = theirs && ports.find((one) => overlaps(one, theirs));
      if (port && listed.comment !== undefined && listed.comment !== owner.containerId) {
        return { port, containerId: listed.comment, more: 'by another version of portmap' };
      }
    }
  }
  return undefined;
}

function holderOf(nl: Netlink, table: Table, chain: string, port: HostPort): Holder {
  const containerId = findChain(nl, { table, name: chain })?.comment ?? 'unknown';
  const rules = listRules(nl, table, chain);
  const own = rules.find((one) => {
    const theirs = portOf(one);
    return theirs && overlaps(theirs, port);
  });
  return { port, containerId, more: readNftComment(own?.comment) };
}
