/**
 * loopback: brings up the container's `lo`, so that programs inside reach each other by 127.0.0.1 and ::1. A new
 * network namespace has `lo` down and without addresses; the kernel adds both addresses by itself when it comes up.
 *
 * CNI_IFNAME is not looked at: the link is always `lo`. Nothing is made on the host.
 */
import { formatCidr } from '@cni-ts/address/cidr';
import { formatIp, isLoopback } from '@cni-ts/address/ip';
import { Netlink } from '@cni-ts/netlink/socket';
import { emptyNamespace } from '@cni-ts/resource/namespace';
import { type Address, listAddresses } from '@cni-ts/rtnetlink/address';
import { getLink, IFF_UP, setDown, setUp } from '@cni-ts/rtnetlink/link';
import { networkConfig } from '@cni-ts/skeleton/config';
import { openContainerNetns } from '@cni-ts/skeleton/own-netns';
import { type DryRun, definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { CniError, errorText, toCniError } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

const config = () => z.object(networkConfig);
type Config = z.output<ReturnType<typeof config>>;

const name = 'lo';

function add(request: Request<Config>): Result {
  const passedOn = previous(request);
  const route = enter(request);
  const link = getLink(route, name);
  // Looked at before anything is changed; going up only adds loopback addresses.
  refuseForeign(listAddresses(route, link));
  if (!(link.flags & IFF_UP)) {
    request.undo.make(
      `${name} up`,
      () => setUp(route, link),
      () => setDown(route, link),
    );
  }
  return passedOn ?? result(request.netns, listAddresses(route, link));
}

/** A socket in the namespace; the plugin itself stays outside. */
function enter(request: Request<Config>): Netlink {
  const netns = openContainerNetns(request);
  request.onEnd(() => netns.close());
  const route = Netlink.open('route', netns);
  request.onEnd(() => route.close());
  return route;
}

/** Anything wrong with the configuration is said here, while `lo` is still as it was. */
function previous(request: Request<Config>): Result | undefined {
  void request.config;
  try {
    return request.prevResult;
  } catch (thrown) {
    const { code, message, details } = toCniError(thrown);
    throw new CniError(code, `failed to parse prevResult: ${message}`, details, { cause: thrown });
  }
}

function refuseForeign(addresses: readonly Address[]): void {
  const foreign = addresses.find(({ cidr }) => !isLoopback(cidr.ip));
  if (foreign) {
    throw new Error(`loopback interface found with non-loopback address "${formatIp(foreign.cidr.ip)}"`);
  }
}

/** At most one address of each family, the kernel's first. */
function result(sandbox: string, addresses: readonly Address[]): Result {
  const first = ([4, 6] as const).flatMap(
    (family) => addresses.find(({ cidr }) => cidr.ip.family === family) ?? [],
  );
  return {
    interfaces: [{ name, mac: '00:00:00:00:00:00', sandbox }],
    ips: first.map(({ cidr }) => ({ address: formatCidr(cidr), interface: 0 })),
  };
}

/** Up, and with the address every program takes for granted. What later plugins add to `lo` is their business. */
function check(request: Request<Config>): void {
  const route = enter(request);
  const link = getLink(route, name);
  if (!(link.flags & IFF_UP)) throw new Error('loopback interface is down');
  if (!listAddresses(route, link, 4).some(({ cidr }) => isLoopback(cidr.ip))) {
    throw new Error('loopback interface has no address of 127.0.0.0/8');
  }
}

/** `lo` has its addresses when it is up: those that every program takes for granted are told before. */
function plan(request: Request<Config>): DryRun {
  const passedOn = previous(request);
  // For no container in particular: one that is new.
  const route = request.netns ? enter(request) : emptyNamespace(request).route;
  const isUp = (getLink(route, name).flags & IFF_UP) !== 0;
  const present = listAddresses(route, getLink(route, name));
  refuseForeign(present);
  const usual = ['127.0.0.1/8', '::1/128'].map((address) => ({ address, interface: 0 }));
  const foretold = isUp ? result(request.netns, present) : { ...result(request.netns, []), ips: usual };
  return { changes: isUp ? [] : [{ sign: '~', text: 'link lo up' }], result: passedOn ?? foretold };
}

/** The kernel adds its addresses when it comes up. */
function repair(request: Request<Config>): string[] {
  try {
    check(request);
    return [];
  } catch (error) {
    const route = enter(request);
    const link = getLink(route, name);
    setDown(route, link);
    setUp(route, link);
    return [errorText(error)];
  }
}

export const loopback = definePlugin({
  type: 'loopback',
  config,
  configError: 'failed to parse network config',
  add,
  check,
  // `lo` is the kernel's own, and goes with the namespace. A namespace that goes on living (a pod's, whose network is
  // made anew; a path that leads to another container by now) has programs in it that need `lo` up.
  del: () => {},
  // Nothing outlives the namespace, and the kernel always has `lo`.
  gc: () => {},
  status: () => {},
  plan,
  repair,
});
