import { errnoOf } from '@cni-ts/libc/syscall-error';
import { BridgePort } from '@cni-ts/resource/bridge-port';
import { hostLinkName } from '@cni-ts/resource/link-name';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { createVethPair } from '@cni-ts/resource/veth-pair';
import { findLink, IFF_UP, type Link, setUp } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import { type BridgeLink, isShared } from './bridge-link.ts';
import type { Config } from './config.ts';

/**
 * The host's own leg in a VLAN of the bridge: a veth pair within the host, `<bridge>.<vlan>` to carry the gateway
 * addresses and the other end as an ordinary port in that VLAN. All containers of the VLAN share it, so it stays.
 */
export class VlanGateway implements Resource {
  readonly name: string;
  readonly #port: string;
  readonly #bridge: BridgeLink;
  readonly #asPort: BridgePort;

  constructor({ vlan, preserveDefaultVlan: preserveDefault }: Config, bridge: BridgeLink) {
    this.name = `${bridge.name}.${vlan}`;
    this.#port = hostLinkName('veth', bridge.name, 'vlan-gateway', String(vlan));
    this.#bridge = bridge;
    this.#asPort = new BridgePort({ link: this.#port, bridge, vlans: { vlan, trunk: [], preserveDefault } });
  }

  describe(): string {
    const pair = `link ${this.name} ⇄ ${this.#port}, the host's leg in its VLAN of ${this.#bridge.name}`;
    return `${pair}\nport ${this.#port} of ${this.#bridge.name}`;
  }

  ensure(site: Site): void {
    failing('failed to set vlan interface for bridge with addr', () => {
      const present = failing(`failed to find interface "${this.name}"`, () => site.find('host', this.name));
      const leg = present ?? failing('failed to create vlan interface', () => this.#make(site));
      // Another ADD may be about to do so, or have been killed before it could.
      if (this.#portDrift(site).length > 0) this.#asPort.ensure(site);
      if (leg.flags & IFF_UP) return;
      failing(`failed to up "${this.name}"`, () => setUp(site.host.route, leg));
      site.look('host', this.name);
    });
  }

  #make(site: Site): Link {
    const { host } = site;
    const bridge = site.link('host', this.#bridge.name);
    const pair = {
      containerName: this.name,
      hostName: this.#port,
      mtu: bridge.mtu,
      port: true,
      inUse: () => isShared(site, bridge),
    };
    return failing(`faild to create vlan gateway "${this.name}"`, () => {
      try {
        const made = createVethPair(pair, host, host, site.request.undo);
        site.look('host', this.#port, made.host);
        return made.container;
      } catch (error) {
        // Another container of this VLAN made it meanwhile.
        const isTaken = error instanceof Error && errnoOf(error.cause) === 'EEXIST';
        const there = isTaken && findLink(host.route, this.name);
        if (there) return there;
        throw error;
      }
    });
  }

  /** Where the leg is another's, as the reference's, it has no such port. */
  #portDrift(site: Site): readonly Drift[] {
    return site.find('host', this.#port) ? this.#asPort.differences(site) : [];
  }

  /** Its address is looked at, and that hangs on it. */
  differences(site: Site): readonly Drift[] {
    if (!site.find('host', this.name)) return [{ text: `Interface ${this.name} not found` }];
    return this.#portDrift(site);
  }
}
