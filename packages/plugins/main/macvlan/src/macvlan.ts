/**
 * macvlan: gives the container a link with a MAC address of its own on top of one of the host's links, the master.
 * The container is a station on the master's network like any other: no bridge, no routing and no address
 * translation by the host. In turn the host itself does not hear its own macvlan links, nor they it.
 *
 * Without `ipam` the container gets a link and no address ("L2").
 */
import { tellNeighbours } from '@cni-ts/resource/announce';
import type { LinkWords } from '@cni-ts/resource/container-link';
import { addressing } from '@cni-ts/resource/link-addressing';
import { bareResult, linkResult } from '@cni-ts/resource/link-result';
import { LinkUp } from '@cni-ts/resource/link-up';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import type { Site } from '@cni-ts/resource/site';
import { UpperLink, UpperLinkLasting } from '@cni-ts/resource/upper-link';
import { checkLeastMtu, checkMtuOn, findMaster } from '@cni-ts/resource/upper-master';
import { type Link, linkData } from '@cni-ts/rtnetlink/link';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { type Config, linkSettings, modeOf, parse, schema } from './config.ts';

function masterOf({ linkInContainer, master }: Config, site: Site): Link {
  return findMaster(site, linkInContainer ? 'container' : 'host', master);
}

const words: LinkWords = {
  sandbox: (netns) => `sandbox in prevResult  doesn't match configured netns: ${netns}`,
  missing: (name) => `container Interface name in prevResult: ${name} not found`,
  kind: (name) => `error: Container interface ${name} not of type macvlan`,
  mac: (name, recorded, found) => `interface ${name} Mac ${recorded} doesn't match container Mac: ${found}`,
  down: (name) => `container interface ${name} is down`,
};

export const macvlan = mainPlugin({
  type: 'macvlan',
  config: schema,
  parse,
  ipam: ({ ipam }) => ipam,
  missing: 'required prevResult missing',
  refuse: (config) => void linkSettings(config, ''),
  check(config, site) {
    modeOf(config);
    // A master inside the container is known once there is a container.
    if (!config.linkInContainer || site.request.netns) checkMtuOn(masterOf(config, site), config.mtu);
    checkLeastMtu('macvlan', config.mtu);
  },
  plan(config, site) {
    const { ifname } = site;
    const { mode, mac } = linkSettings(config, site.request.args);
    const alias = linkOwner(site.owner, 'macvlan');
    const queue = config.broadcastQueueLength || undefined;
    const link = new UpperLink({
      plugin: 'macvlan',
      info: { kind: 'macvlan', data: { mode, broadcastQueueLength: queue } },
      master: () => masterOf(config, site),
      outside: config.linkInContainer ? 'container' : 'host',
      mtu: config.mtu || undefined,
      mac,
      sharesMac: mode === 'passthru',
      words,
      dataDrift(found) {
        const data = linkData(found, 'macvlan') ?? {};
        const drift: string[] = [];
        if (data.mode !== mode) {
          drift.push(`container macvlan mode ${data.mode} does not match expected value: ${mode}`);
        }
        if (queue && data.broadcastQueueLength !== queue) {
          drift.push(
            `container interface ${ifname} has bcqueuelen ${data.broadcastQueueLength}, not ${queue}`,
          );
        }
        return drift;
      },
    });
    const interfaces = [{ at: 'container', name: ifname }] as const;
    if (!config.ipam) {
      const up = new LinkUp('container', ifname, words.down(ifname), alias);
      return { interfaces, before: [link, up], result: bareResult(config.dns) };
    }
    return {
      interfaces,
      before: [link],
      after(given) {
        // The network is shared with others, so IPv6 addresses do go through duplicate address detection here.
        const settings = () => tellNeighbours(ifname);
        const options = { down: words.down(ifname), alias, settings };
        return {
          resources: addressing(ifname, given, options),
          result: linkResult(given, 0, config.dns),
        };
      },
    };
  },
  lasting: (config) => [
    new UpperLinkLasting('macvlan', 'macvlan', (link, site) => {
      if (!config) return false;
      return (
        linkData(link, 'macvlan')?.mode === modeOf(config) && link.lower === masterOf(config, site).index
      );
    }),
  ],
});
