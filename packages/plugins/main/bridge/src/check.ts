import { type Cidr, formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, parseIp } from '@cni-ts/address/ip';
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { addressDifferences } from '@cni-ts/resource/attached-link';
import { forwardingDifferences } from '@cni-ts/resource/forwarding';
import type { Namespace } from '@cni-ts/resource/namespace';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import { bridgePortOf } from '@cni-ts/rtnetlink/bridge-port';
import { listPortVlans } from '@cni-ts/rtnetlink/bridge-vlan';
import { findLink, IFF_UP, type Link } from '@cni-ts/rtnetlink/link';
import type { Interface, Result } from '@cni-ts/spec/result';
import type { Config } from './config.ts';
import { expectedPortVlans } from './vlan.ts';

/** What differs from what ADD left, in words, the most basic first: an absent link hides what hangs on it. */
export function differences(
  config: Config,
  request: { readonly ifname: string; readonly netns: string },
  prevResult: Result,
  host: Namespace,
  inside: Namespace,
): string[] {
  const entries = prevResult.interfaces ?? [];
  const bridgeEntry = entries.findLast(({ name }) => name === config.bridge);
  const bridge = bridgeEntry && findLink(host.route, config.bridge);
  const drift = bridgeDifferences(config, bridgeEntry, bridge);
  if (drift.length) return drift;

  const entry = entries.findLast(({ name, sandbox }) => name === request.ifname && sandbox === request.netns);
  const link = entry && findLink(inside.route, request.ifname);
  if (!entry) {
    const other = entries.findLast(({ name }) => name === request.ifname)?.sandbox ?? '';
    return [`Sandbox in prevResult ${other} doesn't match configured netns: ${request.netns}`];
  }
  if (!link) return [`Interface name ${request.ifname} not found`];
  if (link.kind !== 'veth') return [`Error: Container interface ${request.ifname} not of type veth`];
  if (!sameMac(entry, link)) {
    return [
      `Interface ${request.ifname} Mac ${entry.mac} doesn't match container Mac: ${formatMac(link.mac)}`,
    ];
  }
  const others = entries.filter((one) => one !== bridgeEntry && one !== entry && !one.sandbox);
  const port = portDifferences(config, others, host, bridge?.index ?? 0, link);
  if (port.length) return port;
  if (!config.disableContainerInterface && !(link.flags & IFF_UP))
    return [`Interface ${request.ifname} is down`];
  return [
    ...addressDifferences(inside, link, prevResult),
    ...gatewayDifferences(config, request.ifname, prevResult, host),
  ];
}

/** The host as the network's gateway: its addresses on the bridge or in the VLAN, and that it forwards. */
function gatewayDifferences(
  config: Config,
  ifname: string,
  { ips = [], interfaces = [] }: Result,
  host: Namespace,
): string[] {
  if (!config.isGateway) return [];
  const gateways = ips.flatMap((ip): Cidr[] => {
    const owner = ip.interface === undefined ? undefined : interfaces[ip.interface];
    if (owner && owner.name !== ifname) return [];
    const [own, gateway] = [parseCidr(ip.address), parseIp(ip.gateway ?? '')];
    return own && gateway ? [{ ip: gateway, prefix: own.prefix }] : [];
  });
  const drift = forwardingDifferences(gateways.map(({ ip }) => ip.family));
  // With forceAddress the next network on this bridge takes them away, and may.
  if (config.forceAddress || gateways.length === 0) return drift;
  const name = config.vlan ? `${config.bridge}.${config.vlan}` : config.bridge;
  const link = findLink(host.route, name);
  const present = link ? listAddresses(host.route, link).map(({ cidr }) => cidr) : [];
  const missing = gateways.filter(
    (wanted) => !present.some(({ ip, prefix }) => prefix === wanted.prefix && equalIp(ip, wanted.ip)),
  );
  const texts = new Set(missing.map(formatCidr));
  return [...[...texts].map((text) => `Gateway address ${text} is missing on interface ${name}`), ...drift];
}

function bridgeDifferences(config: Config, entry: Interface | undefined, bridge: Link | undefined): string[] {
  if (!entry) return ['Interface name missing '];
  if (!bridge) return [`Interface name ${config.bridge} not found`];
  if (entry.sandbox) return [`Interface ${config.bridge} should not be in sandbox`];
  if (bridge.kind !== 'bridge') return [`Interface ${config.bridge} does not have link type of bridge`];
  // Without a pinned MAC a bridge takes the lowest of its ports': a later port may rightly have changed it.
  const pinned = config.isGateway && config.vlan === 0;
  if (pinned && !sameMac(entry, bridge)) {
    return [`Bridge interface ${config.bridge} Mac doesn't match: ${entry.mac}`];
  }
  // Promiscuous mode is only ever switched on, and someone else may want it as well.
  if (config.promisc && bridge.promiscuity === 0) {
    return [
      `Bridge interface ${config.bridge} configured Promisc Mode true doesn't match current state: false `,
    ];
  }
  if (!(bridge.flags & IFF_UP)) return [`Bridge interface ${config.bridge} is down`];
  return [];
}

/**
 * The name that the host's end has by prevResult: the reference gives it a random one. Undefined where none of the
 * result's links is the other end of the container's.
 */
export function recordedHostEnd(
  { interfaces = [] }: Result,
  host: Namespace,
  inside: Link,
): string | undefined {
  for (const { name, sandbox } of interfaces) {
    const link = sandbox ? undefined : findLink(host.route, name);
    if (link && isPeer(link, inside)) return name;
  }
  return undefined;
}

function isPeer(link: Link, inside: Link): boolean {
  return link.kind === 'veth' && link.lower === inside.index && inside.lower === link.index;
}

/** The host's end: the veth among the result's other links whose peer is the container's link and reverse. */
function portDifferences(
  config: Config,
  others: Interface[],
  host: Namespace,
  bridge: number,
  inside: Link,
): string[] {
  for (const entry of others) {
    const link = findLink(host.route, entry.name);
    if (!link) return [`Interface name ${entry.name} not found`];
    if (!isPeer(link, inside)) continue;
    if (link.master !== bridge) break;
    if (!sameMac(entry, link)) return [`Interface ${entry.name} Mac doesn't match: ${entry.mac} not found`];
    const port = bridgePortOf(link);
    if (!!port?.hairpin !== config.hairpin) {
      return [
        `Interface ${entry.name} has hairpin mode ${port?.hairpin ? 'on' : 'off'}, configured is the opposite`,
      ];
    }
    if (!!port?.isolated !== config.portIsolation) {
      return [
        `Interface ${entry.name} is ${port?.isolated ? '' : 'not '}isolated, configured is the opposite`,
      ];
    }
    if (config.mtu !== undefined && link.mtu !== config.mtu) {
      return [`Interface ${entry.name} has MTU ${link.mtu}, configured is ${config.mtu}`];
    }
    return vlanDifferences(config, host, link);
  }
  return [`CNI veth created for bridge ${config.bridge} was not found`];
}

/** The VLANs the configuration gives the port, as they are. Those it has besides may be anybody's. */
function vlanDifferences({ vlan, trunk }: Config, host: Namespace, port: Link): string[] {
  const expected = expectedPortVlans({ vlan, trunk: trunk ?? [] });
  if (expected.length === 0) return [];
  const present = listPortVlans(host.route, port);
  return expected
    .filter((one) => !present.some(({ id, pvid }) => id === one.id && pvid === one.pvid))
    .map(
      ({ id, pvid }) => `Interface ${port.name} is not in VLAN ${id}${pvid ? ' as its untagged one' : ''}`,
    );
}

/** Hardware addresses are compared by value; one that was not recorded matches. */
function sameMac(entry: Interface, link: Link): boolean {
  if (!entry.mac) return true;
  const recorded = parseMac(entry.mac);
  return recorded !== undefined && formatMac(recorded) === formatMac(link.mac);
}
