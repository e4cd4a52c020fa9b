import type { Netlink } from '@cni-ts/netlink/socket';
import { type Address, listAddresses } from '@cni-ts/rtnetlink/address';
import { findLink, getLink, type Link } from '@cni-ts/rtnetlink/link';
import { listRoutes, type Route } from '@cni-ts/rtnetlink/route';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import type { Request } from '@cni-ts/skeleton/plugin';
import type { Result } from '@cni-ts/spec/result';
import { emptyNamespace, type Namespace, openNamespace, ownNamespace, ownNetfilter } from './namespace.ts';
import type { Place } from './place.ts';

/**
 * Where an attachment is, and what has been seen there. Each namespace is opened, and each link looked at, when it is
 * first asked for and once. Who changes a link says so by `look`.
 */
export class Site {
  readonly request: Request<unknown>;
  #expected: Result | undefined;
  #container: Namespace | undefined;
  #links: Record<Place, Map<string, Link | undefined>> = { host: new Map(), container: new Map() };
  #found = new Map<object | string, unknown>();

  constructor(request: Request<unknown>) {
    this.request = request;
  }

  get owner(): Owner {
    return this.request;
  }

  get ifname(): string {
    return this.request.ifname;
  }

  get host(): Namespace {
    return ownNamespace(this.request);
  }

  /** Throws where there is none. */
  get container(): Namespace {
    // A dry run may be for no container in particular: for one that has nothing yet.
    this.#container ??= this.request.netns ? openNamespace(this.request) : emptyNamespace(this.request);
    return this.#container;
  }

  /** The host's rules. */
  get netfilter(): Netlink {
    return ownNetfilter(this.request);
  }

  /** The result that CHECK holds against what is there. */
  get recorded(): Result | undefined {
    return this.#expected ?? this.request.prevResult;
  }

  /** A dry run: what is there is held against what ADD would answer. */
  expect(result: Result): void {
    this.#expected = result;
  }

  /** Whether it is a dry run: what plugins before this one make may not be there yet. */
  get isForetold(): boolean {
    return this.#expected !== undefined;
  }

  at(place: Place): Namespace {
    return place === 'host' ? this.host : this.container;
  }

  /** The link as it was seen last; looked for where it has not been. */
  find(place: Place, name: string): Link | undefined {
    const seen = this.#links[place];
    if (!seen.has(name)) seen.set(name, findLink(this.at(place).route, name));
    return seen.get(name);
  }

  /** Like `find`, where it must be there: `failed to lookup "<name>": Link not found`. */
  link(place: Place, name: string): Link {
    return this.find(place, name) ?? getLink(this.at(place).route, name);
  }

  /** Notes a link as it is now; without one it is looked at anew when it is asked for. */
  look(place: Place, name: string, link?: Link): void {
    if (link) this.#links[place].set(name, link);
    else this.#links[place].delete(name);
  }

  /** For CHECK: the addresses of a link. */
  addresses(place: Place, link: Link): readonly Address[] {
    return this.once(link, () => listAddresses(this.at(place).route, link));
  }

  /** For CHECK: the routes of a namespace. */
  routes(place: Place, family: 4 | 6): readonly Route[] {
    return this.once(`routes ${place} ${family}`, () => listRoutes(this.at(place).route, family));
  }

  /** What `find` finds for `key`, looked for once. */
  once<T>(key: object | string, find: () => T): T {
    if (!this.#found.has(key)) this.#found.set(key, find());
    return this.#found.get(key) as T; // reason: what was put there under this key
  }

  /** Forgets all that was seen: something has changed it. */
  forget(): void {
    this.#links = { host: new Map(), container: new Map() };
    this.#found = new Map();
  }
}
