import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { countFlows, deleteFlows, type Flow, flushFlows } from '@cni-ts/netfilter/conntrack';
import type { Netlink } from '@cni-ts/netlink/socket';
import { everywhere, listAddresses } from '@cni-ts/rtnetlink/address';
import { type HostPort, hostPortText } from './mapping.ts';
import { lookUpRoute } from './route-lookup.ts';

/** A port of the host and the container's address that it led to; unknown where the rule does not tell. */
export interface Redirection extends HostPort {
  readonly to: Ip | undefined;
}

/** What DEL took away, for the connections that have to be forgotten. */
export type Removed = Record<4 | 6, Redirection[]>;

/** What talks to the kernel. */
interface Host {
  readonly netfilter: Netlink;
  readonly route: Netlink;
}

/** More local addresses than this: one list of all flows is quicker than asking for each address. */
const manyAddresses = 20;
/** So many flows can be read in the time that one more walk through the kernel's table takes. */
const flowsPerWalk = 1000;

/**
 * Connections know their translation from their first packet on. When a port gets another owner, those of exactly
 * this protocol, host address and port are forgotten, so that their next packet meets the rules as they are now; a
 * UDP sender that never pauses would otherwise talk to the dead for ever.
 *
 * For ADD: everything to these ports that does not reach the container already. `fresh`: nothing can, so the kernel
 * need not be asked which.
 */
export function forgetFormerOwners(
  host: Host,
  container: Ip,
  ports: readonly HostPort[],
  fresh: boolean,
): void {
  if (!ports.length || countFlows(host.netfilter) === 0) return;
  if (fresh && container.family === 4) {
    const local = ports.some(({ address }) => !address) ? localAddresses(host.route) : [];
    if (local.length <= manyAddresses && flushPorts(host, ports, local)) return;
  }
  const elsewhere = (flow: Flow) => !flow.replySource || !equalIp(flow.replySource, container);
  forget(host, container.family, ports, elsewhere);
}

function flushPorts({ netfilter }: Host, ports: readonly HostPort[], local: readonly Ip[]): boolean {
  return ports.every((port) =>
    (port.address ? [port.address] : local).every((destination) =>
      told(port, () => flushFlows(netfilter, { protocol: port.protocol, port: port.port, destination })),
    ),
  );
}

/** For DEL: what was redirected. Flows to the host's own programs go on. */
export function forgetRedirected(host: Host, family: 4 | 6, gone: readonly Redirection[]): void {
  if (!gone.length || countFlows(host.netfilter) === 0) return;
  const flushed = ({ protocol, port, address, to }: Redirection) =>
    family === 4 &&
    to !== undefined &&
    flushFlows(host.netfilter, {
      protocol,
      port,
      replySource: to,
      ...(address ? { destination: address } : {}),
    });
  const rest = gone.filter((one) => !told(one, () => flushed(one)));
  forget(
    host,
    family,
    rest,
    ({ destination, replySource }) => !destination || !replySource || !equalIp(destination, replySource),
  );
}

/** By a list of the flows: where the kernel cannot compare what decides. */
function forget(
  { netfilter, route }: Host,
  family: 4 | 6,
  ports: readonly HostPort[],
  which: (flow: Flow) => boolean,
): void {
  if (!ports.length) return;
  const known = new Map<string, boolean>();
  const isLocal = (ip: Ip) => {
    const text = formatIp(ip);
    const answer = known.get(text) ?? lookUpRoute(route, ip)?.local ?? false;
    known.set(text, answer);
    return answer;
  };
  const meant = (port: HostPort, flow: Flow) =>
    flow.protocol === port.protocol &&
    flow.port === port.port &&
    flow.destination !== undefined &&
    (!port.address || equalIp(port.address, flow.destination)) &&
    which(flow) &&
    // Of flows to other machines' same port nothing changes.
    isLocal(flow.destination);
  const together = ports.length > 1 && countFlows(netfilter) < flowsPerWalk * (ports.length - 1);
  if (together) {
    told(ports[0]!, () =>
      deleteFlows(netfilter, family, { where: (flow) => ports.some((port) => meant(port, flow)) }),
    );
    return;
  }
  for (const port of ports) {
    told(port, () =>
      deleteFlows(netfilter, family, {
        protocol: port.protocol,
        port: port.port,
        where: (flow) => meant(port, flow),
      }),
    );
  }
}

/** 127.0.0.1 stands for all of its network, as nobody binds another one by chance. */
function localAddresses(route: Netlink): Ip[] {
  const found = new Map<string, Ip>();
  for (const { cidr } of listAddresses(route, everywhere, 4)) found.set(formatIp(cidr.ip), cidr.ip);
  return [...found.values()];
}

function told<T>(port: HostPort, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`could not forget the connections to ${hostPortText(port)}: ${why}`, { cause: error });
  }
}
