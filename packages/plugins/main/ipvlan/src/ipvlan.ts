/**
 * ipvlan: gives the container a link on top of one of the host's links, the master, with the master's MAC address: who is
 * meant is told by the IP address. So it works where a network lets one MAC address in, which macvlan does not. In mode l2
 * the container is on the master's network; in l3 and l3s the host's stack routes, and there is no broadcast. The host
 * itself does not reach its own ipvlan links through the master, nor they it.
 *
 * Addresses are IPAM's, or those that a plugin before this one in the chain gave.
 */
import { tellNeighbours } from '@cni-ts/resource/announce';
import type { LinkWords } from '@cni-ts/resource/container-link';
import { addressing } from '@cni-ts/resource/link-addressing';
import { linkResult } from '@cni-ts/resource/link-result';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import type { Site } from '@cni-ts/resource/site';
import { UpperLink, UpperLinkLasting } from '@cni-ts/resource/upper-link';
import { checkLeastMtu, findMaster } from '@cni-ts/resource/upper-master';
import { type Link, linkData } from '@cni-ts/rtnetlink/link';
import { knowsUpperKind } from '@cni-ts/rtnetlink/upper-kind';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { chainedMaster } from './chained-master.ts';
import { type Config, modeOf, parse, schema } from './config.ts';
import { warnOfSharedSubnet } from './shared-subnet.ts';

const placeOf = ({ linkInContainer }: Config) => (linkInContainer ? 'container' : 'host');

function masterOf(config: Config, site: Site): Link {
  const name = config.master || chainedMaster(config, site);
  return findMaster(site, placeOf(config), name, `failed to lookup master "${name}": `);
}

const words: LinkWords = {
  sandbox: (netns) => `Sandbox in prevResult  doesn't match configured netns: ${netns}`,
  missing: (name) => `Container Interface name in prevResult: ${name} not found`,
  kind: (name) => `Error: Container interface ${name} not of type ipvlan`,
  mac: (name, recorded, found) => `Interface ${name} Mac ${recorded} doesn't match container Mac: ${found}`,
  down: (name) => `container interface ${name} is down`,
};

export const ipvlan = mainPlugin({
  type: 'ipvlan',
  config: schema,
  parse,
  refuse: (config) => void modeOf(config),
  ipam: ({ ipam }) => ipam,
  chained({ ipam }, { prevResult }) {
    if (ipam || !prevResult?.ips?.length) return undefined;
    const { ips, routes, dns } = prevResult;
    // They are this link's from now on, whichever link they were meant for.
    return { ips: ips.map(({ interface: _, ...ip }) => ip), ...(routes && { routes }), ...(dns && { dns }) };
  },
  missing: 'Required prevResult missing',
  check(config, site) {
    const mode = modeOf(config);
    if (config.ipam === 'dhcp' && mode !== 'l2') {
      throw new Error(
        `ipam.type is dhcp, which needs broadcasts; in mode ${mode} there are none, in l2 there are`,
      );
    }
    checkLeastMtu('ipvlan', config.mtu);
    // Without a name it may be another plugin of the chain that names it, and a master in the container is known once
    // there is one.
    if (config.master && (!config.linkInContainer || site.request.netns)) masterOf(config, site);
  },
  status(config, site) {
    if (!knowsUpperKind(site.host.route, 'ipvlan')) {
      throw new Error('this kernel has no ipvlan links; its module is "ipvlan"');
    }
    if (modeOf(config) !== 'l2' && config.master && !config.linkInContainer) {
      warnOfSharedSubnet(site, masterOf(config, site));
    }
  },
  plan(config, site) {
    const { ifname } = site;
    const mode = modeOf(config);
    const alias = linkOwner(site.owner, 'ipvlan');
    const link = new UpperLink({
      plugin: 'ipvlan',
      info: { kind: 'ipvlan', data: { mode, flags: 0 } },
      master: () => masterOf(config, site),
      outside: placeOf(config),
      anyMaster: config.master === '',
      mtu: config.mtu > 0 ? config.mtu : undefined,
      mac: undefined,
      sharesMac: true,
      words,
      dataDrift(found) {
        const now = linkData(found, 'ipvlan')?.mode;
        return now === mode ? [] : [`Container IPVlan mode ${now} does not match expected value: ${mode}`];
      },
    });
    return {
      interfaces: [{ at: 'container', name: ifname }],
      before: [link],
      after(given) {
        const result = linkResult(given, 0, config.dns);
        // The network is shared with others, so IPv6 addresses do go through duplicate address detection here.
        const settings = () => tellNeighbours(ifname);
        const options = { down: words.down(ifname), alias, settings, yieldDefault: true };
        return { resources: addressing(ifname, given, options), result };
      },
    };
  },
  lasting: (config) => [
    new UpperLinkLasting(
      'ipvlan',
      'ipvlan',
      (link, site) => {
        if (!config || linkData(link, 'ipvlan')?.mode !== modeOf(config)) return false;
        return link.lower === masterOf(config, site).index;
      },
      true,
    ),
  ],
});
