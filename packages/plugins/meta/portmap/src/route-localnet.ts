import type { Ip } from '@cni-ts/address/ip';
import { readSysctl, readSysctlIfAny } from '@cni-ts/libc/sysctl';
import type { Netlink } from '@cni-ts/netlink/socket';
import { setSysctl } from '@cni-ts/resource/set-sysctl';
import { findLink, findLinkByIndex } from '@cni-ts/rtnetlink/link';
import { lookUpRoute } from '@cni-ts/rtnetlink/route-lookup';
import type { Change } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';

/**
 * The setting of the link to a container that lets connections to 127.0.0.1 be redirected there: without it the
 * kernel drops packets with a loopback address on any other link. Undefined where no route leads to the container.
 */
function keyFor(route: Netlink, container: Ip): string | undefined {
  const found = lookUpRoute(route, container);
  const link = found && findLinkByIndex(route, found.link);
  return link && keyOf(link.name);
}

function keyOf(link: string): string {
  return `net/ipv4/conf/${link}/route_localnet`;
}

/** Other containers behind the same link need it as well, so it stays when this one goes. */
export function allowLoopback(route: Netlink, container: Ip, undo: Undo): void {
  const key = keyFor(route, container);
  if (key) failing('unable to enable route_localnet', () => setSysctl(key, '1', undo));
}

/** For a dry run, in which the link may not be there yet: `link` is the host's first in the result, which traffic for the
 *  container leaves by. */
export function loopbackChange(route: Netlink, container: Ip, link: string | undefined): Change[] {
  if (link === undefined) return [];
  const isThere = findLink(route, link) !== undefined;
  const key = isThere ? (keyFor(route, container) ?? keyOf(link)) : keyOf(link);
  const known = readSysctlIfAny(key) ?? readSysctlIfAny(keyOf('default')) ?? '0';
  return known === '1' ? [] : [{ sign: '~', text: `sysctl ${key.replaceAll('/', '.')} ${known} → 1` }];
}

export function loopbackDifferences(route: Netlink, container: Ip): string[] {
  const key = keyFor(route, container);
  if (!key || readSysctl(key) === '1' || readSysctl('net/ipv4/conf/all/route_localnet') === '1') return [];
  return [`${key} is 0: connections to 127.0.0.1 do not reach the container`];
}
