/**
 * ptp: a veth pair per container and no bridge. The host's end carries the gateway's address, and the container
 * reaches even its own subnet only through it: every packet is routed by the host, which can filter and count it, and
 * no container hears another's broadcasts.
 *
 * All containers of the network may share one gateway address: it lies as a /32 (/128) on each host end, and a route
 * to each container's address tells the host which end leads there.
 */
import { type Cidr, formatCidr, networkOf } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { formatMac } from '@cni-ts/address/mac';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { addressOf, configureLink } from '@cni-ts/resource/configure-link';
import { failOn } from '@cni-ts/resource/drift';
import { enableForwarding, forwardingDifferences } from '@cni-ts/resource/forwarding';
import { checkMtu } from '@cni-ts/resource/link-mtu';
import { hostLinkName } from '@cni-ts/resource/link-name';
import { type Namespace, openNamespace, ownNamespace, ownNetfilter } from '@cni-ts/resource/namespace';
import { collectLinks } from '@cni-ts/resource/owned-links';
import {
  createVethPair,
  deleteVethPair,
  findVethPair,
  type VethEnd,
  vethAddresses,
} from '@cni-ts/resource/veth-pair';
import { addAddress, addressFlags } from '@cni-ts/rtnetlink/address';
import type { Link } from '@cni-ts/rtnetlink/link';
import { addRoute, deleteRoute, routeScopes, sameDestination } from '@cni-ts/rtnetlink/route';
import { addMasquerade, checkMasquerade, gcMasquerade, removeMasquerade } from '@cni-ts/rules/masquerade';
import { checkBackend } from '@cni-ts/rules/masquerade-backend';
import { ruleTraces } from '@cni-ts/rules/rule-traces';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText, findCniError } from '@cni-ts/spec/cni-error';
import { failing, tryAll } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import { resultDns } from '@cni-ts/spec/result-dns';
import { differences } from './check.ts';
import { type Config, parse, schema } from './config.ts';

/** Places in the result's `interfaces`. */
const atContainer = 1;

/** One address of the container and where its packets go. */
export interface Wire {
  readonly address: Cidr;
  readonly gateway: Ip;
}

/** What IPAM's result means for the pair, before that is given anything. */
interface Plan {
  readonly wires: readonly Wire[];
  /** The same, each gateway and each network once: addresses may share them. */
  readonly gateways: readonly Wire[];
  readonly networks: readonly Wire[];
}

function plan(ipam: Result): Plan {
  if (!ipam.ips?.length) throw new Error('IPAM plugin returned missing IP config');
  const wires = wiresOf(ipam);
  return {
    wires,
    gateways: firstOf(wires, (a, b) => equalIp(a.gateway, b.gateway)),
    networks: firstOf(
      // A host prefix has no network around it, and one that IPAM routes itself is routed already.
      wires.filter(({ address }) => !isHost(address) && !hasRoute(ipam, address)),
      (a, b) => sameDestination(a.address, b.address),
    ),
  };
}

function hostNameOf(request: { network: string; containerId: string; ifname: string }): string {
  return hostLinkName('veth', request.network, request.containerId, request.ifname);
}

/** The reference gives the host's end a random name, which only its result tells. */
function recordedHostName(request: Request<Config>, { interfaces = [] }: Result): string {
  const own = hostNameOf(request);
  const onHost = interfaces.filter(({ sandbox }) => !sandbox).map(({ name }) => name);
  return onHost.includes(own) ? own : (onHost[0] ?? own);
}

function wiresOf(ipam: Result): Wire[] {
  return (ipam.ips ?? []).map((ip, i) => {
    const { cidr: address, gateway } = addressOf(ip, i);
    const what = `failed to add IP addr of ips[${i}] (${formatCidr(address)}) to veth`;
    if (!gateway)
      throw new Error(`${what}: it has no gateway, which ptp needs as the address of the host's end`);
    if (gateway.family !== address.ip.family) {
      throw new Error(`${what}: its gateway ${formatIp(gateway)} is of another IP family`);
    }
    if (equalIp(gateway, address.ip)) throw new Error(`${what}: its gateway is that very address`);
    return { address, gateway };
  });
}

function firstOf(wires: readonly Wire[], same: (a: Wire, b: Wire) => boolean): Wire[] {
  return wires.filter((wire, i) => wires.findIndex((other) => same(other, wire)) === i);
}

function isHost({ ip, prefix }: Cidr): boolean {
  return prefix === ip.bytes.length * 8;
}

function hasRoute(ipam: Result, address: Cidr): boolean {
  const text = formatCidr(networkOf(address));
  return (ipam.routes ?? []).some(({ dst, table, priority }) => dst === text && !table && !priority);
}

async function add(request: Request<Config>): Promise<Result> {
  const { config, undo, ifname } = request;
  if (config.ipMasq) checkBackend(config.ipMasqBackend);
  checkMtu('failed to make veth pair', config.mtu);
  const delegate = request.ipam(config.ipam);
  const inside = openNamespace(request);
  const host = ownNamespace(request);
  // Before IPAM is asked: where the attachment is there already, nothing of it must be touched.
  const hostName = hostNameOf(request);
  const pair = {
    containerName: ifname,
    hostName,
    mtu: config.mtu,
    alone: true,
    alias: linkOwner(request, 'ptp'),
  };
  const veth = createVethPair(pair, host, inside, undo);
  const ipam = await delegate.add();
  const planned = plan(ipam);
  const result: Result = {
    interfaces: [
      { name: hostName, mac: formatMac(veth.host.mac) },
      { name: ifname, mac: formatMac(veth.container.mac), sandbox: request.netns },
    ],
    ips: (ipam.ips ?? []).map((ip) => ({ ...ip, interface: atContainer })),
  };
  if (ipam.routes?.length) result.routes = ipam.routes;

  await configureLink(inside, ifname, result, undo, {
    link: veth.container,
    // Only the host is at the other end of the wire: there is nobody to ask whether an address is free.
    noDad: true,
    ignoreRouters: true,
    beforeRoutes: (link) => reachGateways(inside, link, planned),
  });
  routeThroughGateways(inside, veth.container, planned);
  connectHost(request, host, veth.host, planned);
  if (config.ipMasq) {
    const addresses = planned.wires.map(({ address }) => address);
    addMasquerade(ownNetfilter(request), request, addresses, config.ipMasqBackend, undo);
  }
  // Last, since everybody on the host shares it: after this nothing can fail and switch it off under others' feet.
  for (const family of [4, 6] as const) {
    if (planned.wires.some(({ address }) => address.ip.family === family)) {
      enableForwarding(family, undo, 'Could not enable IP forwarding');
    }
  }

  const dns = resultDns(config.dns, ipam.dns);
  if (dns) result.dns = dns;
  return result;
}

/** The gateways alone are on the link, wherever their addresses lie. */
function reachGateways(inside: Namespace, link: Link, { gateways }: Plan): void {
  for (const { address, gateway } of gateways) {
    failing(`failed to add route '${formatIp(gateway)} dev ${link.name} src ${formatIp(address.ip)}'`, () =>
      addRoute(inside.route, { dst: host(gateway), link, source: address.ip, scope: routeScopes.link }, true),
    );
  }
}

/**
 * The route to the subnet that came with the address says that the subnet's hosts are on this link. They are not: on
 * the other side there is only the host, so it is exchanged for one through the gateway. This comes after the routes
 * of IPAM, which may name a gateway of the subnet that the kernel takes only while the subnet is on the link.
 */
function routeThroughGateways(inside: Namespace, link: Link, { wires, networks }: Plan): void {
  for (const { address } of wires) {
    if (isHost(address)) continue;
    const dst = networkOf(address);
    // IPv4 routes through a gateway have scope universe, so this one cannot be mistaken for them; IPv6 has no scopes.
    const scope = address.ip.family === 4 ? routeScopes.link : undefined;
    failing(`failed to delete route '${formatCidr(dst)} dev ${link.name}'`, () =>
      deleteRoute(inside.route, { dst, link, scope }),
    );
  }
  for (const { address, gateway } of networks) {
    const dst = networkOf(address);
    const what = `${formatCidr(dst)} via ${formatIp(gateway)} dev ${link.name} src ${formatIp(address.ip)}`;
    failing(`failed to add route '${what}'`, () =>
      addRoute(inside.route, { dst, gateway, link, source: address.ip }, true),
    );
  }
}

/** The host's end: the gateways' addresses, and a route to each address of the container. */
function connectHost(request: Request<Config>, own: Namespace, link: Link, { wires, gateways }: Plan): void {
  for (const { gateway } of gateways) {
    const nodad = gateway.family === 6 ? addressFlags.nodad : 0;
    failing(`failed to add IP addr (${formatCidr(host(gateway))}) to veth`, () =>
      addAddress(own.route, link, host(gateway), nodad),
    );
  }
  for (const { address } of wires) {
    try {
      addRoute(own.route, { dst: host(address.ip), link, scope: routeScopes.host }, true);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') {
        throw new Error(`failed to add route on host: ${errorText(error)}`, { cause: error });
      }
      // The first one wins, as operators know it from the reference, but not in silence.
      request.log(
        `ptp: the host has a route to ${formatIp(address.ip)} already, which is kept: ` +
          `${request.containerId} may not be reached through ${link.name}; see "ip route get ${formatIp(address.ip)}"`,
      );
    }
  }
}

function host(ip: Ip): Cidr {
  return { ip, prefix: ip.bytes.length * 8 };
}

/**
 * Link and rules first: an address is given back when nobody uses it any more. All parts are tried. Rules go if they are
 * there: what the configuration says of them may have changed since ADD.
 */
async function del(request: Request<Config>): Promise<void> {
  const { config } = request;
  const host = ownNamespace(request);
  let end: VethEnd | undefined;
  await tryAll([
    () => {
      end = findVethPair(request, 'ptp', host, ({ master }) => master === 0);
    },
    async () => {
      const netfilter = ownNetfilter(request);
      const wanted = { masquerade: config.ipMasq, spoofCheck: true }; // there is no spoof check to look for
      if (!ruleTraces(netfilter, request, wanted).masquerade) return;
      removeMasquerade(netfilter, request, vethAddresses(request, end));
    },
    () => deleteVethPair(end),
    () => request.ipam(config.ipam).del(),
  ]);
}

async function check(request: Request<Config>): Promise<void> {
  const { config, prevResult } = request;
  const inside = openNamespace(request);
  if (!prevResult) throw new Error('ptp: Required prevResult missing');
  await request.ipam(config.ipam).check();
  const own = (prevResult.ips ?? []).filter(
    (ip) => ip.interface === undefined || prevResult.interfaces?.[ip.interface]?.name === request.ifname,
  );
  const wires = own.map((ip, i) => addressOf(ip, i));
  const { ifname, netns } = request;
  const expected = { ifname, netns, hostName: recordedHostName(request, prevResult), mtu: config.mtu, wires };
  const drift = differences(expected, prevResult, ownNamespace(request), inside);
  if (config.ipMasq) {
    const addresses = wires.map(({ cidr }) => cidr);
    drift.push(...checkMasquerade(ownNetfilter(request), request, addresses, config.ipMasqBackend));
  }
  drift.push(...forwardingDifferences(wires.map(({ cidr }) => cidr.ip.family)).map((one) => `ptp: ${one}`));
  failOn(drift);
}

/** Links, addresses and routes of a container that is gone mostly went with its namespace, unless that is still alive;
 *  rules stay until now. */
async function gc(request: Request<Config>): Promise<void> {
  const { ipam } = request.config;
  // Asked for first: without the list nothing may be done, by the delegate neither.
  const valid = request.validAttachments;
  await tryAll([
    () => collectLinks(ownNamespace(request), request.network, 'ptp', valid),
    async () => gcMasquerade(ownNetfilter(request), request.network, valid),
    () => (ipam ? request.ipam(ipam).gc() : undefined),
  ]);
}

async function status(request: Request<Config>): Promise<void> {
  const { config } = request;
  try {
    if (config.ipMasq) checkBackend(config.ipMasqBackend);
  } catch (error) {
    const known = findCniError(error);
    const text = `ptp cannot serve ADD: ${known?.message ?? errorText(error)}`;
    throw new CniError(ErrorCode.pluginNotAvailable, text, known?.details, { cause: error });
  }
  await request.ipam(config.ipam).status();
}

export const ptp = definePlugin({ type: 'ptp', config: schema, parse, add, check, del, gc, status });
