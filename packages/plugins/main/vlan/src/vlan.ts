/**
 * vlan: gives the container a tagged sub-interface of one of the host's links, the master: what the container sends leaves
 * the master with the VLAN's tag, and what comes with that tag is the container's. The link has the master's MAC address.
 * A VLAN of a master exists once, so a network serves one container of a host.
 */
import type { SyscallError } from '@cni-ts/libc/syscall-error';
import { tellNeighbours } from '@cni-ts/resource/announce';
import type { LinkWords } from '@cni-ts/resource/container-link';
import { addressing } from '@cni-ts/resource/link-addressing';
import { linkResult } from '@cni-ts/resource/link-result';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import { UpperLink, UpperLinkLasting } from '@cni-ts/resource/upper-link';
import { checkMtuOn, findMaster } from '@cni-ts/resource/upper-master';
import { linkData } from '@cni-ts/rtnetlink/link';
import { knowsUpperKind } from '@cni-ts/rtnetlink/upper-kind';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { type Config, parse, schema, tagOf } from './config.ts';

const placeOf = ({ linkInContainer }: Config) => (linkInContainer ? 'container' : 'host');

const words: LinkWords = {
  sandbox: (netns) => `Sandbox in prevResult  doesn't match configured netns: ${netns}`,
  missing: (name) => `vlan: Container Interface name in prevResult: ${name} not found`,
  kind: (name) => `Error: Container interface ${name} not of type vlan`,
  mac: (name, recorded, found) =>
    `vlan: Interface ${name} Mac ${recorded} doesn't match container Mac: ${found}`,
  down: (name) => `container interface ${name} is down`,
};

export const vlan = mainPlugin({
  type: 'vlan',
  config: schema,
  parse,
  refuse: (config) => void tagOf(config),
  ipam: ({ ipam }) => ipam,
  needsIpam: true,
  ipamFailed: 'failed to execute IPAM delegate',
  missing: 'vlan: Required prevResult missing',
  check(config, site) {
    tagOf(config);
    // A master inside the container is known once there is a container.
    if (config.linkInContainer && !site.request.netns) return;
    checkMtuOn(findMaster(site, placeOf(config), config.master), config.mtu);
  },
  status(_, site) {
    if (!knowsUpperKind(site.host.route, 'vlan')) {
      throw new Error('this kernel has no vlan links; its module is "8021q"');
    }
  },
  plan(config, site) {
    const { ifname } = site;
    const { id, protocol } = tagOf(config);
    const { master, mtu } = config;
    const alias = linkOwner(site.owner, 'vlan');
    const link = new UpperLink({
      plugin: 'vlan',
      info: { kind: 'vlan', data: { id, protocol } },
      master: () => findMaster(site, placeOf(config), master, `failed to lookup master "${master}": `),
      outside: placeOf(config),
      mtu: mtu || undefined,
      mac: undefined,
      sharesMac: true,
      words,
      dataDrift(found) {
        const data = linkData(found, 'vlan') ?? {};
        const drift: string[] = [];
        if (data.id !== id) {
          // The reference's words, which operators search for, speak of something else.
          const text = `Error: Tuning link ${ifname} configured promisc is ${id}, current value is ${data.id}`;
          drift.push(`${text}: the VLAN ID`);
        }
        if (data.protocol !== protocol) {
          drift.push(`container interface ${ifname} has VLAN protocol ${data.protocol}, not ${protocol}`);
        }
        if (mtu && found.mtu !== mtu) {
          drift.push(`Error: Tuning configured MTU of ${ifname} is ${mtu}, current value is ${found.mtu}`);
        }
        return drift;
      },
    });
    const upAdvice = ({ code }: SyscallError) =>
      code === 'ENETDOWN' ? `: its master "${master}" is down, and has to be up first` : '';
    return {
      interfaces: [{ at: 'container', name: ifname }],
      before: [link],
      after(given) {
        const result = linkResult(given, 0, config.dns);
        // The network is shared with others, so IPv6 addresses do go through duplicate address detection here.
        const settings = () => tellNeighbours(ifname);
        const down = words.down(ifname);
        const options = { down, alias, settings, upAdvice, yieldDefault: true };
        return { resources: addressing(ifname, given, options), result };
      },
    };
  },
  lasting: (config) => [
    new UpperLinkLasting(
      'vlan',
      'vlan',
      (link, site) => {
        if (!config || linkData(link, 'vlan')?.id !== config.vlanId) return false;
        return link.lower === findMaster(site, placeOf(config), config.master).index;
      },
      true,
    ),
  ],
});
