/** A namespace as it is looked at hop by hop: its links, addresses and settings. */
import type { Ip } from '@cni-ts/address/ip';
import type { Netns } from '@cni-ts/libc/netns';
import { readSysctl } from '@cni-ts/libc/sysctl';
import { Netlink } from '@cni-ts/netlink/socket';
import { type Address, everywhere, listAddresses } from '@cni-ts/rtnetlink/address';
import { findLink, findLinkByIndex, IFF_UP, type Link } from '@cni-ts/rtnetlink/link';
import { lookUpPath } from '@cni-ts/rtnetlink/route-lookup';

export class Place {
  readonly route: Netlink;
  readonly #netns: Netns | undefined;

  /** Without `netns`: the host, which is where the tool runs. */
  constructor(netns?: Netns) {
    this.#netns = netns;
    this.route = Netlink.open('route', netns);
  }

  close(): void {
    this.route.close();
    this.#netns?.close();
  }

  run<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
    return this.#netns ? this.#netns.run(work) : work();
  }

  link(index: number): Link | undefined {
    return index === 0 ? undefined : findLinkByIndex(this.route, index);
  }

  named(name: string): Link | undefined {
    return findLink(this.route, name);
  }

  addresses(link?: Link): Address[] {
    return listAddresses(this.route, link ?? everywhere);
  }

  /** Whether the address is one of the namespace's own. */
  isLocal(address: Ip): boolean {
    const path = lookUpPath(this.route, address);
    return typeof path !== 'string' && path.type === 'local';
  }

  /** Undefined where the kernel has no such setting. */
  setting(key: string): string | undefined {
    return this.run(() => {
      try {
        return readSysctl(key);
      } catch {
        return undefined; // a kernel without it: what it would say counts for nothing
      }
    });
  }
}

/** What keeps packets off a link; undefined where nothing does. */
export function whyDown({ name, flags, operState }: Link): string | undefined {
  if ((flags & IFF_UP) === 0) return `link ${name} is down`;
  if (operState === 'lower-layer-down' || operState === 'down') {
    return `link ${name} is up and has no carrier: what it is connected to is down`;
  }
  return operState === 'dormant' ? `link ${name} is dormant` : undefined;
}
