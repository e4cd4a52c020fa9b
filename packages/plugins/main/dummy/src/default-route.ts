import { type Cidr, formatCidr, parseCidr } from '@cni-ts/address/cidr';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';
import type { Result } from '@cni-ts/spec/result';

/** What the kernel takes for 0 in an IPv6 route: IP6_RT_PRIO_USER, include/net/ip6_route.h. */
const usualIp6Priority = 1024;

/** That a default route to a dummy does not come before one that leads somewhere: all the container sends would be lost. */
class NoOtherDefault implements Resource {
  readonly implied = true;
  readonly #dst: Cidr;
  readonly #priority: number;

  constructor(dst: Cidr, priority: number) {
    this.#dst = dst;
    this.#priority = priority || (dst.ip.family === 6 ? usualIp6Priority : 0);
  }

  describe(): string {
    return `no other route ${formatCidr(this.#dst)}`;
  }

  ensure(site: Site): void {
    const own = site.link('container', site.ifname).index;
    const other = site
      .routes('container', this.#dst.ip.family)
      .find(
        ({ dst, table, priority, hops }) =>
          dst.prefix === 0 &&
          table === RT_TABLE_MAIN &&
          priority >= this.#priority &&
          hops.some(({ index }) => index !== own),
      );
    if (!other) return;
    throw new Error(
      `the default route ${formatCidr(this.#dst)} of IPAM leads to a dummy, which drops what is sent to it, and the container ` +
        'has a default route already: take it out of ipam.routes, or give it a "priority" above that of the other',
    );
  }

  differences(): Drift[] {
    return [];
  }
}

/** For each default route of the result; none costs nothing. */
export function noOtherDefaults({ routes = [] }: Result): Resource[] {
  const all: Resource[] = [];
  for (const { dst, table, priority } of routes) {
    const cidr = dst.endsWith('/0') ? parseCidr(dst) : undefined;
    if (cidr && (table ?? RT_TABLE_MAIN) === RT_TABLE_MAIN) all.push(new NoOtherDefault(cidr, priority ?? 0));
  }
  return all;
}
