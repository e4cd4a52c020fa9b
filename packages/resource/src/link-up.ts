import type { SyscallError } from '@cni-ts/libc/syscall-error';
import { anyOf, type NetlinkRequest } from '@cni-ts/netlink/socket';
import { IFF_UP, linkUp } from '@cni-ts/rtnetlink/link';
import type { Drift, Place, Resource } from './resource.ts';
import type { Site } from './site.ts';

/** That a link is up. */
export class LinkUp implements Resource {
  readonly at: Place;
  readonly #link: string;
  readonly #down: string;
  readonly #alias: string | undefined;
  readonly #advice: ((refusal: SyscallError) => string) | undefined;

  /** `down`: the plugin's words for a link that is not. `alias`: what the link gets as such in the same request.
   *  `advice`: what the kernel may have meant by its refusal. */
  constructor(
    at: Place,
    link: string,
    down: string,
    alias?: string,
    advice?: (refusal: SyscallError) => string,
  ) {
    this.at = at;
    this.#link = link;
    this.#down = down;
    this.#alias = alias;
    this.#advice = advice;
  }

  describe(): string {
    return `link ${this.#link} up`;
  }

  request(site: Site): NetlinkRequest<never> {
    return anyOf(linkUp(site.link(this.at, this.#link), this.#alias));
  }

  failure(): string {
    return `failed to set "${this.#link}" UP`;
  }

  advice(refusal: SyscallError): string {
    return this.#advice?.(refusal) ?? '';
  }

  differences(site: Site): Drift[] {
    const link = site.find(this.at, this.#link);
    return link && link.flags & IFF_UP ? [] : [{ text: this.#down, hides: true }];
  }
}
