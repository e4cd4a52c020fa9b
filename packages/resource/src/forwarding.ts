import type { Cidr } from '@cni-ts/address/cidr';
import { readSysctl } from '@cni-ts/libc/sysctl';
import { failing } from '@cni-ts/spec/failing';
import type { Drift, Resource } from './resource.ts';
import { setSysctl } from './set-sysctl.ts';
import type { Site } from './site.ts';

const keys = { 4: 'net/ipv4/ip_forward', 6: 'net/ipv6/conf/all/forwarding' } as const;

/** That the plugin's namespace forwards packets of a family. Everybody on the host shares it; it stays. */
export class Forwarding implements Resource {
  readonly #family: 4 | 6;
  readonly #failure: string;
  readonly #drift: string;

  /** `failure`: how the error starts; `drift`: what CHECK's text begins with. */
  constructor(family: 4 | 6, failure = 'failed to enable forwarding', drift = '') {
    this.#family = family;
    this.#failure = failure;
    this.#drift = drift;
  }

  describe(): string {
    return `sysctl ${keys[this.#family].replaceAll('/', '.')} 0 → 1`;
  }

  isThere(): boolean {
    return true;
  }

  ensure({ request }: Site): void {
    failing(this.#failure, () => setSysctl(keys[this.#family], '1', request.undo));
  }

  differences(): Drift[] {
    const key = keys[this.#family];
    if (readSysctl(key) !== '0') return [];
    return [{ text: `${this.#drift}IPv${this.#family} forwarding is off: ${key} is 0` }];
  }

  mend(site: Site): boolean {
    this.ensure(site);
    return true;
  }
}

/** For the families of these addresses. To be last: everybody on the host shares it, so nothing that comes after may fail and
 *  switch it off under others' feet. The texts as in Forwarding. */
export function forwardings(addresses: readonly Cidr[], failure?: string, drift?: string): Forwarding[] {
  const all: Forwarding[] = [];
  for (const family of [4, 6] as const) {
    if (addresses.some(({ ip }) => ip.family === family)) all.push(new Forwarding(family, failure, drift));
  }
  return all;
}
