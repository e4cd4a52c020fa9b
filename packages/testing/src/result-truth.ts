/** A result held against what is there. */
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { Container, Host, Place } from './namespaces.ts';

/** The members all spec versions since 0.3.0 share, as they are printed. */
interface Printed {
  readonly interfaces?: readonly { name: string; mac?: string; mtu?: number; sandbox?: string }[];
  readonly ips?: readonly { address: string; interface?: number }[];
}

/** What `ip -j address` tells of a link. */
interface Seen {
  readonly ifname: string;
  readonly address?: string;
  readonly mtu: number;
  readonly addr_info: readonly { local: string; prefixlen: number }[];
}

/**
 * Expects that each interface the plugin reports is where the result says, with that MAC and MTU, and has the
 * addresses that point to it. What earlier plugins of the chain said, and this one passes on, is theirs.
 */
export function expectTrue(
  result: Printed,
  prevResult: Printed | undefined,
  host: Host,
  container: Container,
): void {
  const { interfaces = [], ips = [] } = result;
  const isOlder = (one: unknown, older: readonly unknown[] = []) =>
    older.some((other) => isDeepStrictEqual(other, one));
  const linkOf = ({ name, sandbox }: { name: string; sandbox?: string }) => {
    if (sandbox) expect(sandbox, `sandbox of ${name}`).toBe(container.path);
    const found = linksOf(sandbox ? container : host).find(({ ifname }) => ifname === name);
    if (!found)
      throw new Error(`the result tells of ${name}, which is not ${sandbox ? 'inside' : 'on the host'}`);
    return found;
  };
  for (const one of interfaces) {
    if (isOlder(one, prevResult?.interfaces)) continue;
    const { address, mtu } = linkOf(one);
    if (one.mac) expect(one.mac.toLowerCase(), `MAC of ${one.name}`).toBe(address);
    if (one.mtu) expect(one.mtu, `MTU of ${one.name}`).toBe(mtu);
  }
  for (const ip of ips) {
    if (ip.interface === undefined || isOlder(ip, prevResult?.ips)) continue;
    const owner = interfaces[ip.interface];
    if (!owner) throw new Error(`${ip.address} is of interface ${ip.interface}, of ${interfaces.length}`);
    const own = linkOf(owner).addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    expect(own, `addresses of ${owner.name}`).toContain(ip.address);
  }
}

function linksOf(place: Place): Seen[] {
  return JSON.parse(place.sh('ip -j address'));
}
