import { formatMac } from '@cni-ts/address/mac';
import { createLink, deleteLink, findLink, getLink, type Link, setMac } from '@cni-ts/rtnetlink/link';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { containerLinkDrift, type LinkWords, recordedLink, recordedMac, sameMac } from './container-link.ts';
import { refusalOfKind } from './kind-of-link.ts';
import type { Namespace } from './namespace.ts';
import { randomMac } from './random-mac.ts';
import { recordedInterfaces } from './recorded-interfaces.ts';
import type { Drift, Resource } from './resource.ts';
import type { Site } from './site.ts';

export interface InnerLinkWant {
  readonly kind: 'dummy' | 'tun';
  /** As text for people, behind `link eth0, `. */
  readonly description: string;
  /** undefined: one is chosen; by it the link is known again although the kernel's answer was lost. */
  readonly mac: Uint8Array | undefined;
  /** What makes it, with this MAC; throws where the name is taken. */
  readonly create: (inside: Namespace, mac: Uint8Array) => void;
  readonly failure: (why: string, error: unknown) => string;
  /** What `create` throws where the name is taken. */
  readonly taken: () => Error;
  readonly refetch: string;
  readonly words: LinkWords;
  /** How what is there differs otherwise; `fatal` where it has to be exchanged. */
  readonly drift?: (link: Link) => readonly (Drift & { readonly fatal?: boolean })[];
  /** Puts right what is not fatal. */
  readonly mend?: (link: Link) => void;
}

/** A link that stands on no other, in the container and nowhere else: a dummy, a tap. */
export class InnerLink implements Resource {
  readonly #want: InnerLinkWant;

  constructor(want: InnerLinkWant) {
    this.#want = want;
  }

  describe({ ifname }: Site): string {
    return `link ${ifname}, ${this.#want.description}`;
  }

  ensure(site: Site): void {
    const { kind, create, failure, refetch } = this.#want;
    const { container, ifname, request } = site;
    // In REPAIR what the link had; in ADD there is nothing, or nothing that counts.
    const known = recordedInterfaces(request).findLast(({ name, sandbox }) => name === ifname && sandbox);
    const mac = this.#want.mac ?? recordedMac(known) ?? randomMac();
    try {
      request.undo.make(
        `${kind} ${ifname}`,
        () => create(container, mac),
        () => {
          const link = findLink(container.route, ifname);
          if (link?.kind === kind && formatMac(link.mac) === formatMac(mac))
            deleteLink(container.route, link);
        },
      );
    } catch (error) {
      throw new Error(failure(errorText(error), error), { cause: error });
    }
    const made = failing(refetch, () => getLink(container.route, ifname));
    site.look('container', ifname, made);
  }

  foresee(site: Site, note: (text: string) => void): void {
    const { kind, failure, taken } = this.#want;
    // In the kernel's order: it looks for the name before the kind.
    const isTaken = findLink(site.container.route, site.ifname) !== undefined;
    const error = isTaken ? taken() : refusalOfKind(site, kind, note);
    if (error) throw new Error(failure(errorText(error), error), { cause: error });
  }

  differences(site: Site): readonly Drift[] {
    const { kind, words, drift } = this.#want;
    const basic = containerLinkDrift(site, kind, words);
    return basic.length ? basic : (drift?.(site.link('container', site.ifname)) ?? []);
  }

  /** What else has the name is exchanged: by the recorded result this name in this container is the attachment's. */
  mend(site: Site): boolean {
    const { kind, drift, mend } = this.#want;
    const link = site.find('container', site.ifname);
    if (!link) return false;
    if (link.kind !== kind || drift?.(link).some(({ fatal }) => fatal)) {
      deleteLink(site.container.route, link);
      return false;
    }
    const entry = recordedLink(site);
    const mac = recordedMac(entry);
    if (entry && mac && !sameMac(entry, link)) setMac(site.container.route, link, mac);
    mend?.(link);
    return true;
  }
}

/** `create` of a link that rtnetlink makes. */
export function byRtnetlink(name: string, info: Parameters<typeof createLink>[1]['info'], mtu?: number) {
  return ({ route }: Namespace, mac: Uint8Array) => createLink(route, { name, mac, mtu, info });
}
