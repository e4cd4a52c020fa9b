import { announce } from '@cni-ts/resource/announce';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { bridgePortOf, setBridgePort } from '@cni-ts/rtnetlink/bridge-port';
import { findLink, findLinkByIndex, getLink, setMaster } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import type { BridgeLink } from './bridge-link.ts';
import { type PortVlans, portVlanDrift, setPortVlans } from './vlan.ts';

export interface PortWant {
  /** Name of the link that is the port. */
  readonly link: string;
  readonly bridge: string;
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly vlans: PortVlans;
  /** Whose it is (linkOwner). */
  readonly alias?: string | undefined;
}

/** That a link of the host is a port of the bridge, and up. */
export class BridgePort implements Resource {
  readonly #want: PortWant;
  readonly #bridge: BridgeLink;

  constructor(want: PortWant, bridge: BridgeLink) {
    this.#want = want;
    this.#bridge = bridge;
  }

  describe(): string {
    const { link, bridge, hairpin, isolated } = this.#want;
    return `port ${link} of ${bridge}${hairpin ? ', hairpin' : ''}${isolated ? ', isolated' : ''}`;
  }

  ensure(site: Site): void {
    const { link: name, bridge, hairpin, isolated, vlans, alias } = this.#want;
    const { host } = site;
    const link = site.link('host', name);
    const connect = () =>
      setMaster(host.route, link, site.link('host', bridge).index, { up: true, ifAlias: alias });
    failing(`failed to connect "${name}" to bridge ${bridge}`, () => {
      try {
        connect();
      } catch (error) {
        // It vanished meanwhile: an attachment that had created it failed and took it back. Once it is made again.
        if (findLinkByIndex(host.route, site.link('host', bridge).index)) throw error;
        site.look('host', bridge);
        this.#bridge.ensure(site);
        connect();
      }
    });
    // A new port has both switched off.
    if (hairpin) {
      failing(`failed to setup hairpin mode for ${name}`, () =>
        setBridgePort(host.route, link, { hairpin: 1 }),
      );
    }
    if (isolated) {
      failing(`failed to set isolated on for ${name}`, () =>
        setBridgePort(host.route, link, { isolated: 1 }),
      );
    }
    setPortVlans(host, link, vlans);
  }

  differences(site: Site): Drift[] {
    const { link: name, bridge, hairpin, isolated, vlans } = this.#want;
    const drift = (text: string): Drift[] => [{ text, hides: true }];
    const link = site.find('host', name);
    if (link?.master !== site.find('host', bridge)?.index) {
      return drift(`CNI veth created for bridge ${bridge} was not found`);
    }
    const port = link && bridgePortOf(link);
    if (!!port?.hairpin !== hairpin) {
      return drift(
        `Interface ${name} has hairpin mode ${port?.hairpin ? 'on' : 'off'}, configured is the opposite`,
      );
    }
    if (!!port?.isolated !== isolated) {
      return drift(
        `Interface ${name} is ${port?.isolated ? '' : 'not '}isolated, configured is the opposite`,
      );
    }
    return link ? portVlanDrift(vlans, site.host, link).map((text) => ({ text, hides: true })) : [];
  }

  mend(site: Site): boolean {
    const { link: name, hairpin, isolated } = this.#want;
    const { route } = site.host;
    this.ensure(site);
    setBridgePort(route, getLink(route, name), { hairpin: hairpin ? 1 : 0, isolated: isolated ? 1 : 0 });
    return true;
  }
}

const portPatience = 2550;

/** That the port forwards, for which the container's end has to be up. */
export class PortForwards implements Resource {
  readonly #port: string;
  readonly #announces: boolean;

  /** `announces`: neighbours are told then who has the container's addresses. */
  constructor(port: string, announces: boolean) {
    this.#port = port;
    this.#announces = announces;
  }

  describe(): string {
    return `port ${this.#port} forwards`;
  }

  /** Waits; gives up after two and a half seconds. */
  async ensure(site: Site): Promise<void> {
    const until = performance.now() + portPatience;
    for (let pause = 2; ; pause = Math.min(100, pause * 2)) {
      const link = findLink(site.host.route, this.#port);
      if (link?.operState === 'up') {
        site.look('host', this.#port, link);
        if (this.#announces) announce(site.container, site.link('container', site.ifname));
        return;
      }
      if (performance.now() > until) {
        throw new Error(`bridge port in error state: ${link?.operState ?? 'not-present'}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** What it takes is looked at by itself. */
  differences(): Drift[] {
    return [];
  }
}
