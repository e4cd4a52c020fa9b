import { findLink } from '@cni-ts/rtnetlink/link';
import {
  addMacSpoofing,
  checkMacSpoofing,
  gcMacSpoofing,
  removeMacSpoofing,
} from '@cni-ts/rules/mac-spoofing';
import type { RuleTraces } from '@cni-ts/rules/rule-traces';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { tracesAt } from './masqueraded.ts';
import type { Drift, Lasting, Resource } from './resource.ts';
import type { Site } from './site.ts';

/** That the container sends under its own hardware address only. */
export class SpoofChecked implements Resource {
  readonly #hostLink: string;

  constructor(hostLink: string) {
    this.#hostLink = hostLink;
  }

  describe(): string {
    return `spoof check of ${this.#hostLink}`;
  }

  ensure(site: Site): void {
    const { netfilter, owner, ifname } = site;
    const { mac } = site.link('container', ifname);
    failing('failed to setup spoof-check', () =>
      addMacSpoofing(netfilter, owner, this.#hostLink, mac, site.request.undo),
    );
  }

  differences(site: Site): Drift[] {
    const link = site.find('container', site.ifname);
    if (!link) return [{ text: `${site.ifname} is gone, nothing is checked` }];
    const found = checkMacSpoofing(site.netfilter, site.owner, this.#hostLink, link.mac);
    return found.map((text) => ({ text }));
  }
}

/** The rules of SpoofChecked. */
export class SpoofCheckLasting implements Lasting {
  readonly name = 'the spoof check';
  readonly #wanted: RuleTraces;

  /** `wanted`: what the configuration asks for now. */
  constructor(wanted: RuleTraces) {
    this.#wanted = wanted;
  }

  /** The rules name a link that is about to go: they match nothing any more then, so the container may go without. */
  remove(site: Site): void {
    try {
      if (tracesAt(site, this.#wanted).spoofCheck) removeMacSpoofing(site.netfilter, site.owner);
    } catch (error) {
      site.request.log(errorText(error));
    }
  }

  collect(site: Site, valid: readonly Attachment[]): void {
    const linkExists = (name: string) => findLink(site.host.route, name) !== undefined;
    gcMacSpoofing(site.netfilter, site.request.network, valid, linkExists);
  }
}
