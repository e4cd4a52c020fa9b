import type { Cidr } from '@cni-ts/address/cidr';
import { addMasquerade, checkMasquerade, gcMasquerade, removeMasquerade } from '@cni-ts/rules/masquerade';
import { type RuleTraces, ruleTraces } from '@cni-ts/rules/rule-traces';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Drift, Lasting, Resource } from './resource.ts';
import type { Site } from './site.ts';

/** That what the container sends beyond its network leaves the host under the host's own address. */
export class Masqueraded implements Resource {
  readonly #addresses: readonly Cidr[];
  readonly #backend: string | undefined;

  /** `backend`: as the configuration has it. */
  constructor(addresses: readonly Cidr[], backend: string | undefined) {
    this.#addresses = addresses;
    this.#backend = backend;
  }

  describe({ request: { containerId } }: Site): string {
    return `masquerading of ${containerId}`;
  }

  ensure({ netfilter, request }: Site): void {
    addMasquerade(netfilter, request, this.#addresses, this.#backend, request.undo);
  }

  differences({ netfilter, owner }: Site): Drift[] {
    return checkMasquerade(netfilter, owner, this.#addresses, this.#backend).map((text) => ({ text }));
  }
}

/** Which rules of the attachment there may be: those that the configuration wants, and others, for it may have changed
 *  since ADD. */
export function tracesAt(site: Site, wanted: RuleTraces): RuleTraces {
  return site.once(ruleTraces, () => ruleTraces(site.netfilter, site.owner, wanted));
}

/** The rules of Masqueraded. */
export class MasqueradeLasting implements Lasting {
  readonly name = 'masquerading';
  readonly #wanted: RuleTraces;
  readonly #addresses: (site: Site) => readonly Cidr[] | undefined;

  /** `wanted`: what the configuration asks for now. `addresses`: those of this attachment, where they are known: they
   *  spare the rules of another interface that the container has on the network. */
  constructor(wanted: RuleTraces, addresses: (site: Site) => readonly Cidr[] | undefined) {
    this.#wanted = wanted;
    this.#addresses = addresses;
  }

  remove(site: Site): void {
    if (!tracesAt(site, this.#wanted).masquerade) return;
    removeMasquerade(site.netfilter, site.owner, this.#addresses(site));
  }

  collect(site: Site, valid: readonly Attachment[]): void {
    gcMasquerade(site.netfilter, site.request.network, valid);
  }
}
