import { foretoldLink } from '@cni-ts/resource/foretold';
import { hostLinkName } from '@cni-ts/resource/link-name';
import { recordedInterfaces } from '@cni-ts/resource/recorded-interfaces';
import type { Site } from '@cni-ts/resource/site';
import { findLink, findLinkByIndex, type Link } from '@cni-ts/rtnetlink/link';
import { namesAnother } from '@cni-ts/skeleton/link-owner';
import type { Result } from '@cni-ts/spec/result';
import { compareVersions } from '@cni-ts/spec/spec-version';

/**
 * The host's end of the container's veth pair, where its traffic can be limited. It must also be in the result of the
 * plugins before this one, so that no link is touched that is not theirs; results before 0.3.0 list no links.
 */
export function hostEnd(site: Site, { interfaces: listed = [] }: Result): Link {
  const { ifname, cniVersion } = site.request;
  void site.container; // First of all: whose namespace that is.
  const lists = compareVersions(cniVersion, '0.3.0') >= 0;
  if (lists && listed.length === 0) throw new Error('no interfaces provided');
  const inside = site.find('container', ifname);
  if (!inside) throw noPeer(ifname, `could not look up "${ifname}": Link not found`);
  if (inside.kind !== 'veth') throw noPeer(ifname, `interface "${ifname}" was not a veth interface`);
  if (inside.lower === 0) throw noPeer(ifname, 'the kernel does not tell which link that is');
  const peer = peerOf(inside, site);
  if (!peer) throw new Error(`veth peer with index ${inside.lower} is not in host ns`);
  if (lists && !listed.some(({ name, sandbox }) => name === peer.name && !sandbox)) {
    throw new Error('no veth peer of container interface found in host ns');
  }
  return peer;
}

/** In a chain's dry run neither end need be there yet: the host's is known by its name in the result. Undefined where the
 *  container has its end. */
export function foretoldHostEnd(site: Site, { interfaces = [] }: Result): Link | undefined {
  const { ifname, owner } = site;
  if (!site.isForetold || site.find('container', ifname)) return undefined;
  if (!interfaces.some(({ name, sandbox }) => name === ifname && sandbox !== undefined)) return undefined;
  const onHost = interfaces.filter(({ sandbox }) => !sandbox);
  const own = hostLinkName('veth', owner.network, owner.containerId, ifname);
  const name = (onHost.find((one) => one.name === own) ?? onHost.at(-1))?.name;
  if (name === undefined || findLink(site.host.route, name)) return undefined;
  return foretoldLink(name, 'veth');
}

function noPeer(ifname: string, cause: string): Error {
  return new Error(`container interface ${ifname} has no veth peer: ${cause}`);
}

/** Indexes count per namespace: the link with that index on the host is another one if its peer is not this. */
function peerOf(inside: Link, { host }: Site): Link | undefined {
  const peer = findLinkByIndex(host.route, inside.lower);
  return peer?.kind === 'veth' && peer.lower === inside.index ? peer : undefined;
}

/**
 * The host's end for DEL, by whatever is left to find it: the name our own plugins give to a host's end; else the
 * container's end, unless the path leads to another container by now, which prevResult or the link's alias tell; else
 * the only veth that the result lists on the host. Undefined when there is none, or none for certain. Does not throw.
 */
export function remainingHostEnd(site: Site): Link | undefined {
  const { request, host } = site;
  const { network, containerId, ifname } = request;
  const named = findLink(host.route, hostLinkName('veth', network, containerId, ifname));
  if (named?.kind === 'veth') return named;
  const onHost = recordedInterfaces(request).filter(({ sandbox }) => !sandbox);
  const peer = peerInside(site);
  const isListed = peer && (onHost.length === 0 || onHost.some(({ name }) => name === peer.name));
  if (isListed && !namesAnother(peer.attributes.ifAlias ?? '', request)) return peer;
  const links = onHost.flatMap(({ name }) => findLink(host.route, name) ?? []);
  const veths = links.filter(({ kind }) => kind === 'veth');
  return veths.length === 1 ? veths[0] : undefined;
}

function peerInside(site: Site): Link | undefined {
  if (site.request.netns === '') return undefined;
  try {
    const inside = site.find('container', site.ifname);
    return inside?.kind === 'veth' ? peerOf(inside, site) : undefined;
  } catch {
    return undefined; // reason: the namespace is gone, or the path leads to none (any more)
  }
}
