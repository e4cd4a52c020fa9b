import { bridgePortOf, setBridgePort } from '@cni-ts/rtnetlink/bridge-port';
import { findLink, findLinkByIndex, getLink, type Link, setMaster } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import { announce } from './announce.ts';
import { hiding } from './drift.ts';
import { eventually } from './eventually.ts';
import { type PortVlans, portVlanDrift, setPortVlans } from './port-vlans.ts';
import type { Drift, Resource } from './resource.ts';
import type { Site } from './site.ts';

export interface PortWant {
  /** Name of the link that is the port. */
  readonly link: string;
  /** Made again where it vanished. */
  readonly bridge: { readonly name: string; ensure(site: Site): void };
  readonly hairpin?: boolean;
  readonly isolated?: boolean;
  readonly vlans: PortVlans;
  /** Whose it is (linkOwner). */
  readonly alias?: string | undefined;
  /** The plugin's words for a link that is no port of the bridge, where operators know others than these. */
  readonly missing?: string;
}

/** That a link of the host is a port of the bridge, and up. */
export class BridgePort implements Resource {
  readonly #want: PortWant;

  constructor(want: PortWant) {
    this.#want = want;
  }

  describe(): string {
    const { link, bridge, hairpin, isolated } = this.#want;
    return `port ${link} of ${bridge.name}${hairpin ? ', hairpin' : ''}${isolated ? ', isolated' : ''}`;
  }

  ensure(site: Site): void {
    const { link: name, bridge, hairpin, isolated, vlans, alias } = this.#want;
    const { route } = site.host;
    const link = site.link('host', name);
    const connect = () =>
      setMaster(route, link, site.link('host', bridge.name).index, { up: true, ifAlias: alias });
    failing(`failed to connect "${name}" to bridge ${bridge.name}`, () => {
      try {
        connect();
      } catch (error) {
        // It vanished meanwhile: an attachment that had created it failed and took it back. Once it is made again.
        if (findLinkByIndex(route, site.link('host', bridge.name).index)) throw error;
        site.look('host', bridge.name);
        bridge.ensure(site);
        connect();
      }
    });
    // A new port has both switched off.
    if (hairpin) {
      failing(`failed to setup hairpin mode for ${name}`, () => setBridgePort(route, link, { hairpin: 1 }));
    }
    if (isolated) {
      failing(`failed to set isolated on for ${name}`, () => setBridgePort(route, link, { isolated: 1 }));
    }
    setPortVlans(site.host, link, vlans);
  }

  differences(site: Site): readonly Drift[] {
    const { link: name, bridge, hairpin = false, isolated = false, vlans, missing } = this.#want;
    const link = site.find('host', name);
    // In a dry run neither need be there yet.
    if (!link || link.master !== site.find('host', bridge.name)?.index)
      return hiding(missing ?? `${name} is no port of ${bridge.name}`);
    const port = bridgePortOf(link);
    if (!!port?.hairpin !== hairpin) {
      const found = hairpin ? 'off' : 'on';
      return hiding(`Interface ${name} has hairpin mode ${found}, configured is the opposite`);
    }
    if (!!port?.isolated !== isolated) {
      return hiding(`Interface ${name} is ${isolated ? 'not ' : ''}isolated, configured is the opposite`);
    }
    return portVlanDrift(vlans, site.host, link).flatMap(hiding);
  }

  mend(site: Site): boolean {
    const { link: name, hairpin, isolated } = this.#want;
    const { route } = site.host;
    this.ensure(site);
    setBridgePort(route, getLink(route, name), { hairpin: hairpin ? 1 : 0, isolated: isolated ? 1 : 0 });
    return true;
  }
}

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
    let link: Link | undefined;
    const look = () => {
      link = findLink(site.host.route, this.#port);
      return link?.operState === 'up';
    };
    if (!(await eventually(look, 2550, 2, 100))) {
      throw new Error(`bridge port in error state: ${link?.operState ?? 'not-present'}`);
    }
    site.look('host', this.#port, link);
    if (this.#announces) announce(site.container, site.link('container', site.ifname));
  }

  /** What it takes is looked at by itself. */
  differences(): Drift[] {
    return [];
  }
}
