/**
 * tap: gives the container a link whose other end is a program, as virtual machines have it: what the container sends
 * comes out of /dev/net/tun, and the reverse. It stays when no program has it open. It may be a port of a bridge of the
 * container's.
 *
 * Without `ipam` the link gets no address.
 */
import { tellNeighbours } from '@cni-ts/resource/announce';
import type { LinkWords } from '@cni-ts/resource/container-link';
import { InnerLink } from '@cni-ts/resource/inner-link';
import { addressing } from '@cni-ts/resource/link-addressing';
import { bareResult, linkResult } from '@cni-ts/resource/link-result';
import { LinkUp } from '@cni-ts/resource/link-up';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { UpperLinkLasting } from '@cni-ts/resource/upper-link';
import { findLink, type Link, linkData, setMaster, setMtu } from '@cni-ts/rtnetlink/link';
import { nameAdvice } from '@cni-ts/rtnetlink/link-name';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { messageOf } from '@cni-ts/spec/cni-error';
import { type Config, linkMac, parse, schema } from './config.ts';
import { makeTap, nameTaken } from './create.ts';

const words: LinkWords = {
  sandbox: (netns) => `Sandbox in prevResult  doesn't match configured netns: ${netns}`,
  missing: (name) => `Cannot find container link ${name}`,
  kind: (name) => `Error: Container interface ${name} not of type tap`,
  mac: (name, recorded, found) => `Interface ${name} Mac ${recorded} doesn't match container Mac: ${found}`,
  down: (name) => `Interface ${name} is down`,
};

/** How what cannot be changed, and the MTU, differ from what was asked for. */
function drift({ multiQueue, owner, group, mtu }: Config, link: Link): (Drift & { fatal?: boolean })[] {
  const data = linkData(link, 'tun') ?? {};
  const all: (Drift & { fatal?: boolean })[] = [];
  const compare = (what: string, found: unknown, wanted: unknown) => {
    if (found === wanted) return;
    all.push({
      text: `tap ${link.name} has ${what} ${found ?? 'none'}, not ${wanted ?? 'none'}`,
      fatal: true,
    });
  };
  if (data.type !== 'tap') all.push({ text: words.kind(link.name), fatal: true, hides: true });
  compare('multiQueue', data.multiQueue === 1, multiQueue);
  compare('owner', data.owner, owner);
  compare('group', data.group, group);
  if (mtu && link.mtu !== mtu) all.push({ text: `tap ${link.name} has mtu ${link.mtu}, not ${mtu}` });
  return all;
}

/** The tap as a port of a bridge that the container has. */
class Port implements Resource {
  readonly #bridge: string;

  constructor(bridge: string) {
    this.#bridge = bridge;
  }

  describe({ ifname }: Site): string {
    return `${ifname} a port of ${this.#bridge}, the container's`;
  }

  ensure(site: Site): void {
    const { container, ifname } = site;
    const bridge = this.#find(site);
    try {
      setMaster(container.route, site.link('container', ifname), bridge.index);
    } catch (error) {
      // Other kinds have ports as well, so it is the kernel that refuses.
      const kind = bridge.kind === '' ? 'a link of no kind' : `a link of kind ${bridge.kind}`;
      const advice =
        bridge.kind === 'bridge' ? '' : `: "${bridge.name}" is no bridge but ${kind}, name one that is`;
      throw new Error(
        `failed to set tap ${ifname} as a port of bridge ${this.#bridge}: ${messageOf(error)}${advice}`,
        { cause: error },
      );
    }
  }

  #find({ container }: Site): Link {
    const bridge = findLink(container.route, this.#bridge);
    if (bridge) return bridge;
    throw new Error(
      `failed to get bridge ${this.#bridge}: Link not found: it must be in the container, as a plugin before left it${nameAdvice(this.#bridge)}`,
    );
  }

  /** A plugin before it in the chain may be about to make it. */
  foresee(site: Site): void {
    if (!site.request.prevResult) this.#find(site);
  }

  differences(site: Site): Drift[] {
    const link = site.find('container', site.ifname);
    const bridge = site.find('container', this.#bridge);
    if (link && bridge && link.master === bridge.index) return [];
    return [{ text: `tap ${site.ifname} is not a port of bridge ${this.#bridge}` }];
  }
}

/** Addresses and routes are told too where it is down: nobody need be at the other end. */
class TapUp extends LinkUp {
  override differences(site: Site): Drift[] {
    return super.differences(site).map(({ text }) => ({ text }));
  }
}

export const tap = mainPlugin({
  type: 'tap',
  config: schema,
  parse,
  refuse: (config) => void linkMac(config, ''),
  ipam: ({ ipam }) => ipam,
  missing: 'Required prevResult missing',
  // There are no CNI_ARGS to look at.
  status: (config) => void linkMac(config, ''),
  plan(config, site) {
    const { ifname } = site;
    const alias = linkOwner(site.owner, 'tap');
    const { multiQueue, owner, group, mtu, selinuxContext } = config;
    const link = new InnerLink({
      kind: 'tun',
      description: `a tap${multiQueue ? ', multi-queue' : ''}${mtu ? `, mtu ${mtu}` : ''}`,
      mac: linkMac(config, site.request.args),
      create: (inside, mac) =>
        makeTap({ name: ifname, multiQueue, owner, group, mtu, alias, selinuxContext }, inside, mac),
      failure: (why) => why,
      taken: () => nameTaken(ifname),
      refetch: `failed to refetch tap "${ifname}"`,
      words,
      drift: (found) => drift(config, found),
      mend: (found) => {
        if (mtu && found.mtu !== mtu) setMtu(site.container.route, found, mtu);
      },
    });
    const up = new TapUp('container', ifname, words.down(ifname));
    const before: Resource[] = config.bridge ? [link, new Port(config.bridge)] : [link];
    const interfaces = [{ at: 'container', name: ifname }] as const;
    if (!config.ipam) {
      const result = bareResult(config.dns);
      return { interfaces, before: [...before, up], result };
    }
    return {
      interfaces,
      before,
      after(given) {
        const result = linkResult(given, 0, config.dns);
        const settings = () => tellNeighbours(ifname, false);
        const options = { down: words.down(ifname), settings, up, noCarrier: true, yieldDefault: true };
        return { resources: addressing(ifname, given, options), result };
      },
    };
  },
  lasting: (config) => [
    new UpperLinkLasting('tap', 'tun', (link) => {
      return (
        config !== undefined &&
        linkData(link, 'tun')?.type === 'tap' &&
        linkData(link, 'tun')?.multiQueue === (config.multiQueue ? 1 : 0)
      );
    }),
  ],
});
