import { errnoOf } from '@cni-ts/libc/syscall-error';
import { BridgePort } from '@cni-ts/resource/bridge-port';
import { hostLinkName } from '@cni-ts/resource/link-name';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { createVethPair } from '@cni-ts/resource/veth-pair';
import { findLink, getLink, setUp } from '@cni-ts/rtnetlink/link';
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
      if (!present) failing('failed to create vlan interface', () => this.#make(site));
    });
  }

  #make(site: Site): void {
    const { host } = site;
    const bridge = site.link('host', this.#bridge.name);
    const pair = {
      containerName: this.name,
      hostName: this.#port,
      mtu: bridge.mtu,
      port: true,
      inUse: () => isShared(site, bridge),
    };
    const made = failing(`faild to create vlan gateway "${this.name}"`, () => {
      try {
        return createVethPair(pair, host, host, site.request.undo);
      } catch (error) {
        // Another container of this VLAN made it meanwhile.
        const isTaken = error instanceof Error && errnoOf(error.cause) === 'EEXIST';
        const there = isTaken && findLink(host.route, this.name);
        if (there) return { container: there, host: undefined };
        throw error;
      }
    });
    if (made.host) {
      site.look('host', this.#port, made.host);
      this.#asPort.ensure(site);
    }
    failing(`failed to up "${this.name}"`, () => setUp(host.route, made.container));
    site.look('host', this.name, getLink(host.route, this.name));
  }

  /** Its address is looked at, and that hangs on it. */
  differences(site: Site): Drift[] {
    return site.find('host', this.name) ? [] : [{ text: `Interface ${this.name} not found` }];
  }
}
