import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { countFlows, deleteFlows, type Flow, flushFlows } from '@cni-ts/conntrack/conntrack';
import { sleep } from '@cni-ts/libc/process';
import { hasUdpPort } from '@cni-ts/libc/socket-table';
import type { Netlink } from '@cni-ts/netlink/socket';
import { everywhere, listAddresses } from '@cni-ts/rtnetlink/address';
import { lookUpRoute } from '@cni-ts/rtnetlink/route-lookup';
import { failing } from '@cni-ts/spec/failing';
import { type HostPort, hostPortText } from './mapping.ts';

/** A port of the host and the container's address that it led to; unknown where the rule does not tell. */
export interface Redirection extends HostPort {
  readonly to: Ip | undefined;
}

/** What DEL took away, for the connections that have to be forgotten. */
export type Removed = Record<4 | 6, Redirection[]>;

/** What talks to the kernel. */
export interface Host {
  readonly netfilter: Netlink;
  readonly route: Netlink;
}

/** More local addresses than this: one list of all flows is quicker than asking for each address. */
const manyAddresses = 20;
/** In milliseconds: a program that has not answered by then counts as one that does not. */
const answerTime = 30;
/** So many flows can be read in the time that one more walk through the kernel's table takes. */
const flowsPerWalk = 1000;

/**
 * Connections know their translation from their first packet on. When a port gets another owner, those of exactly
 * this protocol, host address and port are forgotten, so that their next packet meets the rules as they are now; a
 * UDP sender that never pauses would otherwise talk to the dead for ever.
 *
 * For ADD: all datagrams to these ports that do not reach the container already. Connections of TCP and SCTP that the
 * host itself has on a port are established and go on: only new ones are for the container. They are forgotten where
 * they led to what this attachment was before. `fresh`: it was nothing, so the kernel need not be asked which.
 */
export function forgetFormerOwners(
  host: Host,
  container: Ip,
  ports: readonly HostPort[],
  fresh: boolean,
): void {
  const datagrams = ports.filter(({ protocol }) => protocol === 'udp');
  const streams = fresh ? [] : ports.filter(({ protocol }) => protocol !== 'udp');
  if (!datagrams.length && !streams.length) return;
  if (countFlows(host.netfilter) === 0) return;
  const elsewhere = (flow: Flow) => !flow.replySource || !equalIp(flow.replySource, container);
  if (!(fresh && container.family === 4 && flushPorts(host, datagrams))) {
    forget(host, container.family, datagrams, elsewhere);
  }
  forget(host, container.family, streams, (flow) => elsewhere(flow) && isRedirected(flow));
  const answered = datagrams.filter(({ port }) => hasUdpPort(port));
  if (!answered.length) return;
  sleep(answerTime * 1000);
  const isLocal = localTest(host.route);
  forgetWhere(host, container.family, answered, (port, flow) =>
    meant(port, flow)
      ? elsewhere(flow) && isLocal(flow.destination)
      : isAnswer(port, flow) && isLocal(flow.source),
  );
}

/**
 * A program of the host's own that has the port may be about to answer what it got before. To the kernel such an
 * answer begins a connection, and the other's next packet is part of that: it would not be redirected.
 */
function isAnswer(port: HostPort, flow: Flow): boolean {
  return (
    flow.protocol === port.protocol &&
    flow.sourcePort === port.port &&
    flow.source !== undefined &&
    (!port.address || equalIp(port.address, flow.source))
  );
}

/** False where the kernel cannot, or would have to be asked too often. */
function flushPorts({ netfilter, route }: Host, ports: readonly HostPort[]): boolean {
  const local = ports.some(({ address }) => !address) ? localAddresses(route) : [];
  if (local.length > manyAddresses) return false;
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
  forget(host, family, rest, isRedirected);
}

/** What answers is not what was asked. */
function isRedirected({ destination, replySource }: Flow): boolean {
  return !destination || !replySource || !equalIp(destination, replySource);
}

/** Of flows to other machines' same port nothing changes. */
function forget(host: Host, family: 4 | 6, ports: readonly HostPort[], which: (flow: Flow) => boolean): void {
  const isLocal = localTest(host.route);
  forgetWhere(
    host,
    family,
    ports,
    (port, flow) => meant(port, flow) && which(flow) && isLocal(flow.destination),
    true,
  );
}

function meant(port: HostPort, flow: Flow): boolean {
  return (
    flow.protocol === port.protocol &&
    flow.port === port.port &&
    flow.destination !== undefined &&
    (!port.address || equalIp(port.address, flow.destination))
  );
}

/**
 * By a list of the flows, where the kernel cannot compare what decides. `toPorts`: only flows to these ports are meant,
 * so that the kernel can leave out others if there are many.
 */
function forgetWhere(
  { netfilter }: Host,
  family: 4 | 6,
  ports: readonly HostPort[],
  which: (port: HostPort, flow: Flow) => boolean,
  toPorts = false,
): void {
  if (!ports.length) return;
  if (toPorts && (ports.length === 1 || countFlows(netfilter) >= flowsPerWalk * (ports.length - 1))) {
    for (const one of ports) {
      const { protocol, port } = one;
      told(one, () => deleteFlows(netfilter, family, { protocol, port, where: (flow) => which(one, flow) }));
    }
    return;
  }
  told(ports[0]!, () =>
    deleteFlows(netfilter, family, { where: (flow) => ports.some((port) => which(port, flow)) }),
  );
}

/** Whether an address is one of the host's own; asked of the kernel once each. */
function localTest(route: Netlink): (ip: Ip | undefined) => boolean {
  const known = new Map<string, boolean>();
  return (ip) => {
    if (!ip) return false;
    const text = formatIp(ip);
    const answer = known.get(text) ?? lookUpRoute(route, ip)?.local ?? false;
    known.set(text, answer);
    return answer;
  };
}

/** 127.0.0.1 stands for all of its network, as nobody binds another one by chance. */
function localAddresses(route: Netlink): Ip[] {
  const found = new Map<string, Ip>();
  for (const { cidr } of listAddresses(route, everywhere, 4)) found.set(formatIp(cidr.ip), cidr.ip);
  return [...found.values()];
}

function told<T>(port: HostPort, work: () => T): T {
  return failing(`could not forget the connections to ${hostPortText(port)}`, work);
}
