import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { deleteFlows, type Flow } from '@cni-ts/netfilter/conntrack';
import type { Netlink } from '@cni-ts/netlink/socket';
import { type HostPort, hostPortText } from './mapping.ts';
import { lookUpRoute } from './route-lookup.ts';

/**
 * Connections know their translation from their first packet on. When a port gets another owner, those of exactly
 * this protocol, host address and port are forgotten, so that their next packet meets the rules as they are now; a
 * UDP sender that never pauses would otherwise talk to the dead for ever.
 */
export function forgetFlows(
  netfilter: Netlink,
  route: Netlink,
  family: 4 | 6,
  ports: readonly HostPort[],
  which: (flow: Flow) => boolean,
): void {
  const known = new Map<string, boolean>();
  const isLocal = (ip: Ip) => {
    const text = formatIp(ip);
    const answer = known.get(text) ?? lookUpRoute(route, ip)?.local ?? false;
    known.set(text, answer);
    return answer;
  };
  for (const port of ports) {
    try {
      deleteFlows(netfilter, family, {
        protocol: port.protocol,
        port: port.port,
        ...(port.address ? { destination: port.address } : {}),
        // Of flows to other machines' same port nothing changes.
        where: (flow) => which(flow) && flow.destination !== undefined && isLocal(flow.destination),
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`could not forget the connections to ${hostPortText(port)}: ${why}`, { cause: error });
    }
  }
}

/** For ADD: everything but what reaches the container already. */
export function notTo(container: Ip): (flow: Flow) => boolean {
  return (flow) => !flow.replySource || !equalIp(flow.replySource, container);
}

/** For DEL: what was redirected. Flows to the host's own programs go on. */
export function wasRedirected({ destination, replySource }: Flow): boolean {
  return !destination || !replySource || !equalIp(destination, replySource);
}
