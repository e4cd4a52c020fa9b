/**
 * bridge: a veth pair per container, its host end a port of a Linux bridge. All containers of the network share one
 * Ethernet segment; with isGateway the host is on it too and routes for them, with ipMasq under its own address.
 *
 * Without `ipam` the network is an Ethernet segment only ("L2"): the container gets a link and no address.
 */

import type { Cidr } from '@cni-ts/address/cidr';
import { tellNeighbours } from '@cni-ts/resource/announce';
import { BridgePort, PortForwards } from '@cni-ts/resource/bridge-port';
import type { LinkWords } from '@cni-ts/resource/container-link';
import { forwardings } from '@cni-ts/resource/forwarding';
import { addressing, assignedTo, entriesOf } from '@cni-ts/resource/link-addressing';
import { bareResult, linkResult } from '@cni-ts/resource/link-result';
import { LinkUp } from '@cni-ts/resource/link-up';
import { mainPlugin, type Plan, type PlannedLink } from '@cni-ts/resource/main-plugin';
import { Masqueraded, MasqueradeLasting } from '@cni-ts/resource/masqueraded';
import type { Resource } from '@cni-ts/resource/resource';
import { trySysctl } from '@cni-ts/resource/set-sysctl';
import type { Site } from '@cni-ts/resource/site';
import { SpoofChecked, SpoofCheckLasting } from '@cni-ts/resource/spoof-checked';
import { type HostWords, hostEndName, Veth } from '@cni-ts/resource/veth';
import { VethLasting } from '@cni-ts/resource/veth-lasting';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { cannotServe } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import { BridgeLink } from './bridge-link.ts';
import { type Config, checkForAdd, parse, schema } from './config.ts';
import { GatewayAddress, planAddressing } from './gateway.ts';
import { VlanGateway } from './vlan-gateway.ts';

/** Place of the container's link in the result's `interfaces`. */
const container = 2;

const notOn = (bridge: string) => `CNI veth created for bridge ${bridge} was not found`;

const hostWords = (bridge: string): HostWords => ({
  missing: (name) => `Interface name ${name} not found`,
  apart: () => notOn(bridge),
  mac: (name, recorded) => `Interface ${name} Mac doesn't match: ${recorded} not found`,
  mtu: (name, found, wanted) => `Interface ${name} has MTU ${found}, configured is ${wanted}`,
});

const words: LinkWords = {
  sandbox: (netns, recorded) => `Sandbox in prevResult ${recorded} doesn't match configured netns: ${netns}`,
  missing: (name) => `Interface name ${name} not found`,
  kind: (name) => `Error: Container interface ${name} not of type veth`,
  mac: (name, recorded, found) => `Interface ${name} Mac ${recorded} doesn't match container Mac: ${found}`,
  down: (name) => `Interface ${name} is down`,
};

function plan(config: Config, site: Site): Plan {
  const { ifname } = site;
  const { bridge: name, mtu, mac, vlan, trunk = [], hairpin, portIsolation: isolated } = config;
  const hostName = hostEndName(site, [name, `${name}.${vlan}`]);
  const bridge = new BridgeLink(config);
  const vlans = { vlan, trunk, preserveDefault: config.preserveDefaultVlan };
  const alias = linkOwner(site.owner, 'bridge');
  const missing = notOn(name);
  const before: Resource[] = [
    bridge,
    new Veth({ plugin: 'bridge', hostName, mtu, mac, port: true, words, hostWords: hostWords(name) }),
    new BridgePort({ link: hostName, bridge, hairpin, isolated, vlans, alias, missing }),
  ];
  if (config.macSpoofCheck) before.push(new SpoofChecked(hostName));
  const interfaces: PlannedLink[] = [
    // The kernel may give the bridge a new MAC when the port comes.
    { at: 'host', name, changes: true },
    { at: 'host', name: hostName },
    { at: 'container', name: ifname },
  ];
  if (config.ipam) {
    return {
      interfaces,
      before,
      after(given) {
        const { ips, routes, gateways } = planAddressing(
          config,
          { ...given, ips: entriesOf(ifname, given) },
          container,
        );
        const result = linkResult({ ...given, ips, routes }, container, config.dns);
        const leg = vlan && gateways.length ? new VlanGateway(config, bridge) : undefined;
        if (leg) interfaces.push({ at: 'host', name: leg.name });
        return { resources: withAddresses(config, ifname, hostName, result, gateways, leg), result };
      },
    };
  }
  if (!config.disableContainerInterface) {
    before.push(new LinkUp('container', ifname, words.down(ifname)), new PortForwards(hostName, false));
  }
  return { interfaces, before, result: bareResult(config.dns) };
}
/** The IP side: addresses and routes in the container, gateway addresses, forwarding and masquerading on the host. */
function withAddresses(
  config: Config,
  ifname: string,
  hostName: string,
  result: Result,
  gateways: readonly Cidr[],
  leg: VlanGateway | undefined,
): Resource[] {
  const settings = (hasIp6: boolean) => quickAddresses(ifname, config.dad, hasIp6);
  const all: Resource[] = addressing(ifname, result, {
    down: words.down(ifname),
    settings,
    ignoreRouters: true,
  });
  if (leg) all.push(leg);
  for (const address of gateways) {
    all.push(new GatewayAddress(leg?.name ?? config.bridge, address, config));
  }
  if (config.ipMasq) {
    const addresses = assignedTo(ifname, { ips: result.ips ?? [] }).map(({ cidr }) => cidr);
    all.push(new Masqueraded(addresses, config.ipMasqBackend));
  }
  all.push(new PortForwards(hostName, true), ...forwardings(gateways));
  return all;
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

export const bridge = mainPlugin({
  type: 'bridge',
  config: schema,
  parse,
  ipam: ({ ipam }) => ipam,
  missing: 'Required prevResult missing',
  refuse: checkForAdd,
  check: checkForAdd,
  status(config, site) {
    const link = site.find('host', config.bridge);
    if (link && link.kind !== 'bridge') {
      throw cannotServe(
        'bridge',
        `"${config.bridge}" already exists but is not a bridge`,
        'rename or delete that link, or name another bridge in the configuration',
      );
    }
  },
  plan,
  lasting(config) {
    const masquerade = !config || (config.ipam !== '' && config.ipMasq);
    const wanted = { masquerade, spoofCheck: config?.macSpoofCheck ?? true };
    const pair = new VethLasting('bridge', (port, site) => {
      return (
        config !== undefined && port.master !== 0 && port.master === site.find('host', config.bridge)?.index
      );
    });
    const rules = [
      new MasqueradeLasting(wanted, (site) => pair.addresses(site)),
      new SpoofCheckLasting(wanted),
    ];
    return [...rules, pair];
  },
});
