/**
 * ptp: a veth pair per container and no bridge. The host's end carries the gateway's address, and the container
 * reaches even its own subnet only through it: every packet is routed by the host, which can filter and count it, and
 * no container hears another's broadcasts.
 *
 * All containers of the network may share one gateway address: it lies as a /32 (/128) on each host end, and a route
 * to each container's address tells the host which end leads there.
 */
import { type Cidr, formatCidr, hostCidr, isHost, networkOf } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { Address } from '@cni-ts/resource/address';
import type { LinkWords } from '@cni-ts/resource/container-link';
import { forwardings } from '@cni-ts/resource/forwarding';
import { type Assigned, addressing, assignedTo } from '@cni-ts/resource/link-addressing';
import { checkMtu } from '@cni-ts/resource/link-mtu';
import { linkResult } from '@cni-ts/resource/link-result';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import { Masqueraded, MasqueradeLasting } from '@cni-ts/resource/masqueraded';
import type { Resource } from '@cni-ts/resource/resource';
import { NoSubnetRoute, Route } from '@cni-ts/resource/route';
import type { Site } from '@cni-ts/resource/site';
import { type HostWords, hostEndName, Veth } from '@cni-ts/resource/veth';
import { VethLasting } from '@cni-ts/resource/veth-lasting';
import { routeScopes, sameDestination } from '@cni-ts/rtnetlink/route';
import { checkBackend } from '@cni-ts/rules/masquerade-backend';
import type { Result } from '@cni-ts/spec/result';
import { parse, schema } from './config.ts';

/** One address of the container and where its packets go. */
interface Wire {
  readonly address: Cidr;
  readonly gateway: Ip;
}

function wiresOf(assigned: readonly Assigned[]): Wire[] {
  return assigned.map(({ cidr: address, gateway }, i) => {
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

/** Addresses may share gateways and networks: each once. */
function firstOf(wires: readonly Wire[], same: (a: Wire, b: Wire) => boolean): Wire[] {
  return wires.filter((wire, i) => wires.findIndex((other) => same(other, wire)) === i);
}

function hasRoute({ routes = [] }: Result, address: Cidr): boolean {
  const text = formatCidr(networkOf(address));
  return routes.some(({ dst, table, priority }) => dst === text && !table && !priority);
}

/** The container's side: the gateways alone are on the link, wherever their addresses lie; all else goes through them. */
function inside(link: string, given: Result, wires: readonly Wire[], gateways: readonly Wire[]): Resource[] {
  const at = 'container';
  // Of IPAM's routes some may name a gateway of the subnet, which the kernel takes only while the subnet is on the link.
  // So the route to it that came with the address is exchanged after them.
  const exchanged = wires
    .filter(({ address }) => !isHost(address))
    .map(
      ({ address }) =>
        new NoSubnetRoute(link, networkOf(address), address.ip.family === 4 ? routeScopes.link : undefined),
    );
  // One that IPAM routes itself is routed already.
  const networks = firstOf(
    wires.filter(({ address }) => !isHost(address) && !hasRoute(given, address)),
    (a, b) => sameDestination(a.address, b.address),
  );
  return [
    ...addressing(link, given, {
      down: words.down(link),
      // Only the host is at the other end of the wire: there is nobody to ask whether an address is free, and no router.
      noDad: true,
      ignoreRouters: true,
      noSubnets: true,
      beforeRoutes: gateways.map(
        ({ address, gateway }) =>
          new Route({
            at,
            link,
            dst: hostCidr(gateway),
            source: address.ip,
            scope: routeScopes.link,
            exclusive: true,
          }),
      ),
    }),
    ...exchanged,
    ...networks.map(({ address, gateway }) => {
      const dst = networkOf(address);
      const missing = `Failed to find Gateway ${formatIp(gateway)} for interface ${link}: no route to ${formatCidr(dst)}`;
      return new Route({ at, link, dst, gateway, source: address.ip, exclusive: true, missing });
    }),
  ];
}

/** The host's side: the gateways' addresses on its end, and a route to each address of the container. */
function outside(site: Site, link: string, wires: readonly Wire[], gateways: readonly Wire[]): Resource[] {
  const at = 'host';
  const { containerId, log } = site.request;
  return [
    ...gateways.map(
      ({ gateway }) =>
        new Address({
          at,
          link,
          cidr: hostCidr(gateway),
          noDad: true,
          failure: `failed to add IP addr (${formatCidr(hostCidr(gateway))}) to veth`,
          missing: `ptp: Gateway address ${formatIp(gateway)} is missing on host interface ${link}`,
        }),
    ),
    ...wires.map(({ address: { ip } }) => {
      const [dst, text] = [hostCidr(ip), formatIp(ip)];
      return new Route({
        at,
        link,
        dst,
        scope: routeScopes.host,
        exclusive: true,
        failure: 'failed to add route on host',
        missing: `ptp: Host route to ${formatCidr(dst)} through ${link} not found`,
        // The first one wins, as operators know it from the reference, but not in silence.
        kept: () =>
          log(
            `ptp: the host has a route to ${text} already, which is kept: ` +
              `${containerId} may not be reached through ${link}; see "ip route get ${text}"`,
          ),
      });
    }),
  ];
}

const hostWords: HostWords = {
  missing: (name) => `ptp: Host interface ${name} not found`,
  apart: (name, inside) => `ptp: Host interface ${name} is not the other end of ${inside}`,
  down: (name) => `ptp: Host interface ${name} is down`,
  mtu: (name, found, wanted) => `ptp: Host interface ${name} has MTU ${found}, configured is ${wanted}`,
};

const words: LinkWords = {
  sandbox: (netns) => `Sandbox in prevResult  doesn't match configured netns: ${netns}`,
  missing: (name) => `ptp: Container Interface name in prevResult: ${name} not found`,
  kind: (name) => `Error: Container interface ${name} not of type veth/p2p`,
  mac: (name, recorded, found) =>
    `ptp: Interface ${name} Mac ${recorded} doesn't match container Mac: ${found}`,
  down: (name) => `ptp: Container interface ${name} is down`,
};

const pair = new VethLasting('ptp', ({ master }) => master === 0);

/** What cannot work, said before anything is changed. */
function checkForAdd({ ipMasq, ipMasqBackend, mtu }: ReturnType<typeof parse>): void {
  if (ipMasq) checkBackend(ipMasqBackend);
  checkMtu('failed to make veth pair', mtu);
}

export const ptp = mainPlugin({
  type: 'ptp',
  config: schema,
  parse,
  ipam: ({ ipam }) => ipam,
  needsIpam: true,
  missing: 'ptp: Required prevResult missing',
  refuse: checkForAdd,
  check(config) {
    checkForAdd(config);
  },
  plan(config, site) {
    const { ifname } = site;
    const hostName = hostEndName(site);
    const { mtu, ipMasq, ipMasqBackend } = config;
    return {
      interfaces: [
        { at: 'host', name: hostName },
        { at: 'container', name: ifname },
      ],
      // Before IPAM is asked: where the attachment is there already, nothing of it must be touched.
      before: [new Veth({ plugin: 'ptp', hostName, mtu, alone: true, words, hostWords })],
      after(given) {
        const wires = wiresOf(assignedTo(ifname, given));
        const gateways = firstOf(wires, (a, b) => equalIp(a.gateway, b.gateway));
        const resources = [
          ...inside(ifname, given, wires, gateways),
          ...outside(site, hostName, wires, gateways),
        ];
        const addresses = wires.map(({ address }) => address);
        if (ipMasq) resources.push(new Masqueraded(addresses, ipMasqBackend));
        resources.push(...forwardings(addresses, 'Could not enable IP forwarding', 'ptp: '));
        return { resources, result: linkResult(given, 1, config.dns) };
      },
    };
  },
  lasting: (config) => {
    // There is no spoof check to look for.
    const wanted = { masquerade: config?.ipMasq ?? true, spoofCheck: true };
    return [new MasqueradeLasting(wanted, (site) => pair.addresses(site)), pair];
  },
});
