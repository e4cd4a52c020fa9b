/**
 * __name__: a veth pair, one end in the container with the addresses of IPAM, the other on the host.
 *
 * (Say here what it is, and why it is made as it is, in terms of what the kernel does.)
 */
import type { LinkWords } from '@cni-ts/resource/container-link';
import { addressing } from '@cni-ts/resource/link-addressing';
import { checkMtu } from '@cni-ts/resource/link-mtu';
import { bareResult, linkResult } from '@cni-ts/resource/link-result';
import { LinkUp } from '@cni-ts/resource/link-up';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import { type HostWords, hostEndName, Veth } from '@cni-ts/resource/veth';
import { VethLasting } from '@cni-ts/resource/veth-lasting';
import { parse, schema } from './config.ts';

/** What CHECK says of the container's link. */
const words: LinkWords = {
  sandbox: (netns) => `prevResult has no interface in ${netns}`,
  missing: (name) => `__name__: the container has no link ${name}`,
  kind: (name) => `__name__: ${name} in the container is no veth`,
  mac: (name, recorded, found) => `__name__: ${name} had the MAC ${recorded} and has ${found}`,
  down: (name) => `__name__: ${name} in the container is down`,
};

/** And of the host's. */
const hostWords: HostWords = {
  missing: (name) => `__name__: the host has no link ${name}`,
  apart: (name, inside) => `__name__: ${name} on the host is not the other end of ${inside}`,
  down: (name) => `__name__: ${name} on the host is down`,
  mtu: (name, found, wanted) => `__name__: ${name} on the host has MTU ${found}, configured is ${wanted}`,
};

export const __plugin__ = mainPlugin({
  type: '__name__',
  config: schema,
  parse,
  ipam: ({ ipam }) => ipam,
  missing: '__name__: CHECK needs prevResult',
  // What keeps ADD from working; STATUS asks too.
  check: ({ mtu }) => checkMtu('__name__', mtu),
  // What must be there. ADD makes it, CHECK compares it, a dry run tells it, REPAIR mends it.
  plan(config, site) {
    const { ifname } = site;
    const hostName = hostEndName(site);
    const pair = new Veth({ plugin: '__name__', hostName, mtu: config.mtu, words, hostWords });
    const interfaces = [
      { at: 'host', name: hostName },
      { at: 'container', name: ifname },
    ] as const;
    if (!config.ipam) {
      const up = new LinkUp('container', ifname, words.down(ifname));
      return { interfaces, before: [pair, up], result: bareResult(config.dns) };
    }
    return {
      interfaces,
      before: [pair],
      after: (given) => ({
        resources: addressing(ifname, given, { down: words.down(ifname) }),
        result: linkResult(given, 1, config.dns),
      }),
    };
  },
  // What DEL and GC take away, known by the attachment's name alone.
  lasting: () => [new VethLasting('__name__', () => false)],
});
