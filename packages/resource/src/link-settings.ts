import type { Link } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import type { Drift, Resource } from './resource.ts';
import { setSysctl, trySysctl } from './set-sysctl.ts';
import type { Site } from './site.ts';

export interface LinkSettingsWant {
  readonly link: string;
  /** IPAM gives it an IPv6 address. */
  readonly hasIp6: boolean;
  /** Router advertisements count for nothing also without: who else is on the wire could send them, and would get the
   *  container's traffic. With an IPv6 address of IPAM's they never count. */
  readonly ignoreRouters?: boolean | undefined;
  /** Writes others. */
  readonly more?: ((hasIp6: boolean) => void) | undefined;
}

/** RFC 8200, section 5. Below it the kernel has no IPv6 on the link, and calls an address an invalid argument. */
const leastMtuForIp6 = 1280;

/**
 * Settings of the container's link that must be there before it is up and has addresses, in one visit of the namespace:
 * IPAM alone decides addresses and routes, no neighbour's router advertisement (CVE-2020-10749), and IPv6 is on where an
 * IPv6 address was asked for in a namespace that has it switched off.
 */
export class LinkSettings implements Resource {
  readonly #want: LinkSettingsWant;

  constructor(want: LinkSettingsWant) {
    this.#want = want;
  }

  describe(): string {
    return `settings of ${this.#want.link}`;
  }

  ensure(site: Site): void {
    const { link, hasIp6, ignoreRouters, more } = this.#want;
    if (hasIp6) checkMtu(site.link('container', link));
    if (!hasIp6 && !ignoreRouters && !more) return;
    site.container.netns.run(() => {
      more?.(hasIp6);
      if (hasIp6 || ignoreRouters) keepToIpam(link);
      if (hasIp6) this.#enableIp6(site);
    });
  }

  #enableIp6({ request: { undo } }: Site): void {
    const { link } = this.#want;
    for (const name of ['lo', link]) {
      const key = `net/ipv6/conf/${name}/disable_ipv6`;
      failing(`failed to enable IPv6 for interface "${name}" (${key}=1)`, () =>
        setSysctl(key, '0', name === 'lo' ? undo : undefined),
      );
    }
    // Otherwise the kernel forgets IPv6 addresses whenever the link goes down.
    failing(`failed to enable keep_addr_on_down for interface "${link}"`, () =>
      setSysctl(`net/ipv6/conf/${link}/keep_addr_on_down`, '1'),
    );
  }

  /** What they are for is looked at instead: later plugins, tuning among them, may set them otherwise. */
  differences(): Drift[] {
    return [];
  }
}

function checkMtu({ name, mtu }: Link): void {
  if (mtu >= leastMtuForIp6) return;
  throw new Error(
    `"${name}" has mtu ${mtu}, and IPAM gave it an IPv6 address: IPv6 needs an mtu of at least ${leastMtuForIp6}`,
  );
}

/** To be said before the link is up, for it asks for an advertisement at once. */
function keepToIpam(ifname: string): void {
  trySysctl(`net/ipv6/conf/${ifname}/accept_ra`, '0');
  trySysctl(`net/ipv6/conf/${ifname}/autoconf`, '0');
}
