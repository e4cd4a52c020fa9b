/**
 * macvlan: gives the container a link with a MAC address of its own on top of one of the host's links, the master.
 * The container is a station on the master's network like any other: no bridge, no routing and no address
 * translation by the host. In turn the host itself does not hear its own macvlan links, nor they it.
 *
 * Without `ipam` the container gets a link and no address ("L2").
 */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { tellNeighbours } from '@cni-ts/resource/announce';
import { addressDifferences } from '@cni-ts/resource/attached-link';
import { configureLink } from '@cni-ts/resource/configure-link';
import { failOn } from '@cni-ts/resource/drift';
import { hostLinkName } from '@cni-ts/resource/link-name';
import { findNamespace, type Namespace, openNamespace, ownNamespace } from '@cni-ts/resource/namespace';
import { isAnothers } from '@cni-ts/resource/owned-links';
import { recordedInterfaces } from '@cni-ts/resource/recorded-interfaces';
import {
  createLink,
  deleteLink,
  findLink,
  getLink,
  IFF_UP,
  type Link,
  type NewLink,
  renameLink,
  setUp,
} from '@cni-ts/rtnetlink/link';
import { isOwnedBy, linkOwner } from '@cni-ts/skeleton/link-owner';
import { definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { failing, tryAll } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import { resultDns } from '@cni-ts/spec/result-dns';
import { type Config, type LinkSettings, linkSettings, modeOf, parse, schema } from './config.ts';
import { checkMtu, findMaster } from './master.ts';

async function add(request: Request<Config>): Promise<Result> {
  const { config, ifname, netns, undo } = request;
  const settings = linkSettings(config, request.args);
  const inside = openNamespace(request);
  const outside = config.linkInContainer ? inside : ownNamespace(request);
  const master = findMaster(outside, config.master);
  checkMtu(config.mtu, master);

  const link = createMacvlan(request, settings, master, outside, inside);
  const alias = linkOwner(request, 'macvlan');
  const result: Result = { interfaces: [{ name: ifname, mac: formatMac(link.mac), sandbox: netns }] };
  if (!config.ipam) {
    if (config.dns) result.dns = config.dns;
    failing(`failed to set "${ifname}" UP`, () => setUp(inside.route, link, alias));
    return result;
  }
  const ipam = await request.ipam(config.ipam).add();
  if (!ipam.ips?.length) throw new Error('IPAM plugin returned missing IP config');
  result.ips = ipam.ips.map((ip) => ({ ...ip, interface: 0 }));
  if (ipam.routes?.length) result.routes = ipam.routes;
  const dns = resultDns(config.dns, ipam.dns);
  if (dns) result.dns = dns;
  // The network is shared with others, so IPv6 addresses do go through duplicate address detection here.
  await configureLink(inside, ifname, result, undo, { link, alias, before: () => tellNeighbours(ifname) });
  return result;
}

/**
 * Creates the link straight in the container, which costs a twentieth of moving it there. It is still down.
 *
 * Its MAC is chosen here where the configuration leaves it open: so the link is known again although the kernel's answer
 * was lost, and told from another's of the same name.
 */
function createMacvlan(
  request: Request<Config>,
  { mode, mac }: LinkSettings,
  master: Link,
  outside: Namespace,
  inside: Namespace,
): Link {
  const { config, ifname, undo } = request;
  const wanted: NewLink = {
    name: ifname,
    lower: master.index,
    mac: mac ?? (mode === 'passthru' ? undefined : randomMac()),
    mtu: config.mtu || undefined,
    netnsFd: outside === inside ? undefined : inside.netns.fd,
    info: { kind: 'macvlan', data: { mode, broadcastQueueLength: config.broadcastQueueLength || undefined } },
  };
  try {
    undo.make(
      `macvlan ${ifname}`,
      () => createLink(outside.route, wanted),
      () => takeBack(inside, ifname, wanted),
    );
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw refused(error, master);
    if (findLink(inside.route, ifname)) {
      const text = `failed to rename macvlan to "${ifname}": file exists: the container has a link of that name`;
      throw new Error(text, { cause: error });
    }
    createAndRename(request, wanted, master, outside, inside);
  }
  return failing(`failed to refetch macvlan "${ifname}"`, () => getLink(inside.route, ifname));
}

/**
 * Kernels before 6.14 look for the new link's name in the master's namespace as well, where an `eth0` is the rule:
 * there the link starts under a name that nobody has.
 */
function createAndRename(
  request: Request<Config>,
  wanted: NewLink,
  master: Link,
  outside: Namespace,
  inside: Namespace,
): void {
  const { ifname, undo } = request;
  const name = hostLinkName('macv', request.network, request.containerId, ifname);
  try {
    undo.make(
      `macvlan ${ifname}`,
      () => createLink(outside.route, { ...wanted, name }),
      () => {
        for (const one of [name, ifname]) takeBack(inside, one, wanted);
      },
    );
  } catch (error) {
    throw refused(error, master);
  }
  failing(`failed to rename macvlan to "${ifname}"`, () =>
    renameLink(inside.route, getLink(inside.route, name), ifname),
  );
}

/** Deletes the link of that name if it is the one that was asked for: of this kind, on this master, with this MAC. */
function takeBack(inside: Namespace, name: string, { lower, mac }: NewLink): void {
  const link = findLink(inside.route, name);
  if (link?.kind !== 'macvlan' || link.lower !== lower) return;
  if (!mac || formatMac(mac) === formatMac(link.mac)) deleteLink(inside.route, link);
}

/** As the kernel makes one: any but for the bits that say unicast and locally administered. */
function randomMac(): Uint8Array {
  const high = Math.random() * 0x1000000;
  const low = Math.random() * 0x1000000;
  return Uint8Array.of(((high >> 16) & 0xfc) | 2, high >> 8, high, low >> 16, low >> 8, low);
}

function refused(error: unknown, master: Link): Error {
  const why = errorText(error);
  const advice =
    errnoOf(error) === 'EBUSY'
      ? `: "${master.name}" is a port of a bridge or bond, or has links of another kind on it`
      : '';
  return new Error(`failed to create macvlan: ${why}${advice}`, { cause: error });
}

/** The link first, for an address is given back when nobody uses it any more. Both are tried. */
async function del(request: Request<Config>): Promise<void> {
  const { config, ifname } = request;
  await tryAll([
    () => {
      // Without the namespace there is nothing to delete: the link went with it.
      const inside = findNamespace(request);
      const link = inside && findLink(inside.route, ifname);
      if (!link || !isOwn(request, link, inside)) return;
      failing(`failed to delete "${ifname}"`, () => deleteLink(inside.route, link));
    },
    () => (config.ipam ? request.ipam(config.ipam).del() : undefined),
  ]);
}

/**
 * Whether the container's link is this attachment's, and not another container's, whose namespace has got the process ID
 * in the path, or another network's. By its alias; where it has none (the reference gives none, nor has a link that was
 * not finished) by the MAC that prevResult tells; without prevResult by its mode and master.
 */
function isOwn(request: Request<Config>, link: Link, inside: Namespace): boolean {
  if (link.kind !== 'macvlan') return false;
  const { config, ifname } = request;
  if (link.attributes.ifAlias) {
    if (isOwnedBy(link.attributes.ifAlias, request, 'macvlan')) return true;
    if (isAnothers(link, request, 'macvlan')) return false;
  }
  const entry = recordedInterfaces(request).findLast(({ name, sandbox }) => name === ifname && sandbox);
  if (entry) {
    const mac = parseMac(entry.mac ?? '');
    return mac !== undefined && formatMac(mac) === formatMac(link.mac);
  }
  try {
    // reason: of a link of this kind the table in rtnetlink read the data
    const { mode } = (link.attributes.linkInfo?.data ?? {}) as { mode?: string };
    const at = config.linkInContainer ? inside : ownNamespace(request);
    return mode === modeOf(config) && link.lower === findMaster(at, config.master).index;
  } catch (error) {
    request.log(`macvlan: cannot tell whose "${ifname}" is, it is left: ${errorText(error)}`);
    return false;
  }
}

async function check(request: Request<Config>): Promise<void> {
  const { config } = request;
  const settings = linkSettings(config, request.args);
  const inside = openNamespace(request);
  const master = findMaster(config.linkInContainer ? inside : ownNamespace(request), config.master);
  if (config.ipam) await request.ipam(config.ipam).check();
  const { prevResult } = request;
  if (!prevResult) throw new Error('required prevResult missing');
  failOn(differences(request, settings, master, prevResult, inside));
}

/** What differs from what ADD left, in words, the most basic first. The MTU may rightly be changed by later plugins. */
function differences(
  { config, ifname, netns }: { config: Config; ifname: string; netns: string },
  settings: LinkSettings,
  master: Link,
  prevResult: Result,
  inside: Namespace,
): string[] {
  const entry = prevResult.interfaces?.findLast(({ name, sandbox }) => name === ifname && sandbox === netns);
  if (!entry) return [`sandbox in prevResult  doesn't match configured netns: ${netns}`];
  const link = findLink(inside.route, ifname);
  if (!link) return [`container Interface name in prevResult: ${ifname} not found`];
  const info = link.attributes.linkInfo;
  if (info?.kind !== 'macvlan') return [`error: Container interface ${ifname} not of type macvlan`];
  // reason: of a link of this kind the table in rtnetlink read the data
  const data = info.data as { mode?: string; broadcastQueueLength?: number } | undefined;
  const drift: string[] = [];
  if (data?.mode !== settings.mode) {
    drift.push(`container macvlan mode ${data?.mode} does not match expected value: ${settings.mode}`);
  }
  const recorded = entry.mac ? parseMac(entry.mac) : link.mac;
  if (!recorded || formatMac(recorded) !== formatMac(link.mac)) {
    drift.push(`interface ${ifname} Mac ${entry.mac} doesn't match container Mac: ${formatMac(link.mac)}`);
  }
  if (link.lower !== master.index) {
    drift.push(`container interface ${ifname} is on link ${link.lower}, not on its master "${master.name}"`);
  }
  const queue = config.broadcastQueueLength;
  if (queue && data?.broadcastQueueLength !== queue) {
    drift.push(`container interface ${ifname} has bcqueuelen ${data?.broadcastQueueLength}, not ${queue}`);
  }
  if (!(link.flags & IFF_UP)) drift.push(`container interface ${ifname} is down`);
  return [...drift, ...addressDifferences(inside, link, prevResult)];
}

/** The link is in the container's namespace and goes with it, so only addresses can be left over. */
async function gc(request: Request<Config>): Promise<void> {
  const { ipam } = request.config;
  if (ipam) await request.ipam(ipam).gc();
}

async function status(request: Request<Config>): Promise<void> {
  const { config } = request;
  try {
    modeOf(config);
    // A master inside the container is known once there is a container.
    if (!config.linkInContainer) checkMtu(config.mtu, findMaster(ownNamespace(request), config.master));
  } catch (error) {
    const text = `macvlan cannot serve ADD: ${errorText(error)}`;
    throw new CniError(ErrorCode.pluginNotAvailable, text, '', { cause: error });
  }
  if (config.ipam) await request.ipam(config.ipam).status();
}

export const macvlan = definePlugin({ type: 'macvlan', config: schema, parse, add, check, del, gc, status });
