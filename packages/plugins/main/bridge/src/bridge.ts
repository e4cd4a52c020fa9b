/**
 * bridge: a veth pair per container, its host end a port of a Linux bridge. All containers of the network share one
 * Ethernet segment; with isGateway the host is on it too and routes for them, with ipMasq under its own address.
 *
 * Without `ipam` the network is an Ethernet segment only ("L2"): the container gets a link and no address.
 */
import { formatMac } from '@cni-ts/address/mac';
import type { Netlink } from '@cni-ts/netlink/socket';
import { announce, tellNeighbours } from '@cni-ts/resource/announce';
import { failOn } from '@cni-ts/resource/attached-link';
import { addressOf, configureLink } from '@cni-ts/resource/configure-link';
import { enableForwarding } from '@cni-ts/resource/forwarding';
import { hostLinkName } from '@cni-ts/resource/link-name';
import { type Namespace, openNamespace, ownNamespace, ownNetfilter } from '@cni-ts/resource/namespace';
import { collectLinks } from '@cni-ts/resource/owned-links';
import { trySysctl } from '@cni-ts/resource/set-sysctl';
import {
  createVethPair,
  deleteVethPair,
  findVethPair,
  type VethEnd,
  vethAddresses,
} from '@cni-ts/resource/veth-pair';
import { findLink, getLink, type Link, setUp } from '@cni-ts/rtnetlink/link';
import {
  addMacSpoofing,
  checkMacSpoofing,
  gcMacSpoofing,
  removeMacSpoofing,
} from '@cni-ts/rules/mac-spoofing';
import { addMasquerade, checkMasquerade, gcMasquerade, removeMasquerade } from '@cni-ts/rules/masquerade';
import { ruleTraces } from '@cni-ts/rules/rule-traces';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { type Delegate, definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText, findCniError } from '@cni-ts/spec/cni-error';
import { failing, tryAll } from '@cni-ts/spec/failing';
import type { Interface, Result } from '@cni-ts/spec/result';
import { resultDns } from '@cni-ts/spec/result-dns';
import { type Bridge, connectToBridge, ensureBridge, isShared, type Port, portUp } from './bridge-link.ts';
import { differences, recordedHostEnd } from './check.ts';
import { type Config, checkForAdd, parse, schema } from './config.ts';
import { ensureGatewayAddress, planAddressing } from './gateway.ts';
import { ensureVlanGateway } from './vlan-gateway.ts';

/** Places in the result's `interfaces`. */
const container = 2;

/** What must exist on the host for this attachment, as far as config and identity decide it. */
interface Plan {
  readonly bridge: Bridge;
  readonly hostName: string;
  readonly port: Port;
}

function plan(config: Config, request: Request<Config>): Plan {
  return {
    bridge: {
      name: config.bridge,
      mtu: config.mtu,
      vlanFiltering: config.vlan !== 0 || config.trunk !== undefined,
      promisc: config.promisc,
      owner: request,
    },
    hostName: hostLinkName('veth', request.network, request.containerId, request.ifname),
    port: {
      hairpin: config.hairpin,
      isolated: config.portIsolation,
      alias: linkOwner(request, 'bridge'),
      vlans: { vlan: config.vlan, trunk: config.trunk ?? [], preserveDefault: config.preserveDefaultVlan },
    },
  };
}

async function add(request: Request<Config>): Promise<Result> {
  const { config, undo } = request;
  checkForAdd(config);
  const planned = plan(config, request);
  const host = ownNamespace(request);
  const inside = openNamespace(request);

  const found = ensureBridge(host, planned.bridge, undo);
  const pair = {
    containerName: request.ifname,
    hostName: planned.hostName,
    mtu: config.mtu,
    mac: config.mac,
    port: true,
  };
  const veth = createVethPair(pair, host, inside, undo);
  const bridge = connectToBridge(host, veth.host, planned.bridge, found, planned.port, undo);
  if (config.macSpoofCheck) {
    failing('failed to setup spoof-check', () =>
      addMacSpoofing(ownNetfilter(request), request, planned.hostName, veth.container.mac, undo),
    );
  }

  const result: Result = {
    interfaces: [
      { name: bridge.name },
      { name: planned.hostName },
      { name: request.ifname, mac: formatMac(veth.container.mac), sandbox: request.netns },
    ],
  };
  let families: readonly (4 | 6)[] = [];
  if (config.ipam) {
    families = await connectIp(
      request,
      request.ipam(config.ipam),
      host,
      inside,
      { bridge, link: veth.container },
      result,
    );
  } else if (!config.disableContainerInterface) {
    failing(`failed to set "${request.ifname}" up`, () => setUp(inside.route, veth.container));
  }

  // The kernel may have given the bridge a new MAC when the port came.
  const port = config.disableContainerInterface ? veth.host : await portUp(host, planned.hostName);
  if (result.ips && !config.disableContainerInterface) announce(inside, veth.container);
  setMacOf(result.interfaces?.[1], port);
  setMacOf(result.interfaces?.[0], getLink(host.route, bridge.name));
  // Last, since everybody on the host shares it: after this nothing can fail and switch it off under others' feet.
  for (const family of families) enableForwarding(family, undo);
  const dns = resultDns(config.dns, result.dns);
  if (dns) result.dns = dns;
  return result;
}

function setMacOf(entry: Interface | undefined, link: Link): void {
  if (entry) entry.mac = formatMac(link.mac);
}

/** The IP side: addresses and routes in the container, gateway addresses and masquerading on the host. Returns the
 *  families that the host is to forward. */
async function connectIp(
  request: Request<Config>,
  ipam: Delegate,
  host: Namespace,
  inside: Namespace,
  { bridge, link }: { bridge: Link; link: Link },
  result: Result,
): Promise<readonly (4 | 6)[]> {
  const { config, undo, ifname } = request;
  const assigned = await ipam.add();
  if (!assigned.ips?.length) throw new Error('IPAM plugin returned missing IP config');
  const { ips, routes, gateways } = planAddressing(config, assigned, container);
  result.ips = ips;
  if (routes.length) result.routes = routes;
  if (assigned.dns) result.dns = assigned.dns;

  await configureLink(inside, ifname, result, undo, {
    link,
    before: (hasIp6) => quickAddresses(ifname, config.dad, hasIp6),
    ignoreRouters: true,
  });

  const vlanLink = () =>
    failing('failed to set vlan interface for bridge with addr', () =>
      ensureVlanGateway(
        host,
        plan(config, request).bridge,
        bridge,
        config.vlan,
        config.preserveDefaultVlan,
        undo,
      ),
    );
  const target = config.vlan && gateways.length ? vlanLink() : bridge;
  const shared = () => isShared(host, bridge, request);
  for (const gateway of gateways) {
    const what = config.vlan
      ? 'failed to set vlan interface for bridge with addr'
      : 'failed to set bridge addr';
    failing(what, () => ensureGatewayAddress(host, target, gateway, config.forceAddress, undo, shared));
  }
  if (target !== bridge) result.interfaces?.push({ name: target.name, mac: formatMac(target.mac) });
  if (config.ipMasq) {
    const addresses = ips.map((ip, i) => addressOf(ip, i).cidr);
    addMasquerade(ownNetfilter(request), request, addresses, config.ipMasqBackend, undo);
  }
  return ([4, 6] as const).filter((family) => gateways.some(({ ip }) => ip.family === family));
}

/**
 * IPAM owns the addresses, so the container need not first ask around whether they are free (a second or two for
 * IPv6) unless `enabledad` wants it to; and its neighbours hear at once who has the address now.
 */
function quickAddresses(ifname: string, dad: boolean, hasIp6: boolean): void {
  if (dad) trySysctl(`net/ipv6/conf/${ifname}/enhanced_dad`, '1');
  trySysctl(`net/ipv6/conf/${ifname}/accept_dad`, dad ? '1' : '0');
  tellNeighbours(ifname, hasIp6);
}

/**
 * Everything that can be named without the container goes also when its namespace is gone or not told. Rules go if they
 * are there: what the configuration says of them may have changed since ADD.
 */
async function del(request: Request<Config>): Promise<void> {
  const { config } = request;
  const host = ownNamespace(request);
  const netfilter = ownNetfilter(request);
  let end: VethEnd | undefined;
  let there = { masquerade: true, spoofCheck: true };
  await tryAll([
    () => {
      const ofNetwork = (port: Link) =>
        port.master !== 0 && port.master === findLink(host.route, config.bridge)?.index;
      end = findVethPair(request, 'bridge', host, ofNetwork);
    },
    async () => {
      const wanted = { masquerade: config.ipam !== '' && config.ipMasq, spoofCheck: config.macSpoofCheck };
      there = ruleTraces(netfilter, request, wanted);
    },
    async () => {
      if (there.masquerade) removeMasquerade(netfilter, request, vethAddresses(request, end));
    },
    () => (there.spoofCheck ? removeSpoofCheck(request, netfilter) : undefined),
    () => deleteVethPair(end),
    () => (config.ipam ? request.ipam(config.ipam).del() : undefined),
  ]);
}

/** The rules name a link that is about to go: they match nothing any more then, so the container may go without. */
async function removeSpoofCheck(request: Request<Config>, netfilter: Netlink): Promise<void> {
  try {
    removeMacSpoofing(netfilter, request);
  } catch (error) {
    request.log(errorText(error));
  }
}

async function check(request: Request<Config>): Promise<void> {
  const { config, prevResult } = request;
  const inside = openNamespace(request);
  if (config.ipam) await request.ipam(config.ipam).check();
  if (!prevResult) throw new Error('Required prevResult missing');
  const host = ownNamespace(request);
  const drift = differences(config, request, prevResult, host, inside);
  const link = config.macSpoofCheck && findLink(inside.route, request.ifname);
  if (link) {
    const hostName = recordedHostEnd(prevResult, host, link) ?? plan(config, request).hostName;
    drift.push(...checkMacSpoofing(ownNetfilter(request), request, hostName, link.mac));
  }
  if (config.ipam && config.ipMasq) {
    const own = (prevResult.ips ?? []).map((ip, i) => ({ ip, cidr: addressOf(ip, i).cidr }));
    const addresses = own
      .filter(
        ({ ip }) =>
          ip.interface === undefined || prevResult.interfaces?.[ip.interface]?.name === request.ifname,
      )
      .map(({ cidr }) => cidr);
    drift.push(...checkMasquerade(ownNetfilter(request), request, addresses, config.ipMasqBackend));
  }
  failOn(drift);
}

/** Links of a container that is gone mostly went with its namespace, unless that is still alive; rules on the host stay
 *  until now. Links first: rules for the spoof check are known to be stale by the links they name. */
async function gc(request: Request<Config>): Promise<void> {
  const { config, network } = request;
  // Asked for first: without the list nothing may be done, by the delegate neither.
  const valid = request.validAttachments;
  const host = ownNamespace(request);
  const netfilter = ownNetfilter(request);
  const linkExists = (name: string) => findLink(host.route, name) !== undefined;
  await tryAll([
    () => collectLinks(host, network, 'bridge', valid),
    () => gcMasquerade(netfilter, network, valid),
    () => gcMacSpoofing(netfilter, network, valid, linkExists),
    () => (config.ipam ? request.ipam(config.ipam).gc() : undefined),
  ]);
}

async function status(request: Request<Config>): Promise<void> {
  try {
    checkForAdd(request.config);
  } catch (error) {
    const known = findCniError(error);
    const text = `bridge cannot serve ADD: ${known?.message ?? errorText(error)}`;
    throw new CniError(ErrorCode.pluginNotAvailable, text, known?.details, { cause: error });
  }
  const { config } = request;
  const link = findLink(ownNamespace(request).route, config.bridge);
  if (link && link.kind !== 'bridge') {
    throw new CniError(
      ErrorCode.pluginNotAvailable,
      `bridge cannot serve ADD: "${config.bridge}" already exists but is not a bridge`,
      'rename or delete that link, or name another bridge in the configuration',
    );
  }
  if (config.ipam) await request.ipam(config.ipam).status();
}

export const bridge = definePlugin({ type: 'bridge', config: schema, parse, add, check, del, gc, status });
