import type { Netlink } from '@cni-ts/netlink/socket';
import { hostLinkName } from '@cni-ts/resource/link-name';
import { openNamespace } from '@cni-ts/resource/namespace';
import { findLink, findLinkByIndex, type Link } from '@cni-ts/rtnetlink/link';
import { namesAnother } from '@cni-ts/skeleton/link-owner';
import type { Request } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import { compareVersions } from '@cni-ts/spec/spec-version';

/**
 * The host's end of the container's veth pair, where its traffic can be limited. It must also be in the result of the
 * plugins before this one, so that no link is touched that is not theirs; results before 0.3.0 list no links.
 */
export function hostEnd(request: Request<unknown>, prevResult: Result, host: Netlink): Link {
  const { ifname, cniVersion } = request;
  const container = openNamespace(request);
  const listed = prevResult.interfaces ?? [];
  const lists = compareVersions(cniVersion, '0.3.0') >= 0;
  if (lists && listed.length === 0) throw new Error('no interfaces provided');
  const inside = findLink(container.route, ifname);
  if (!inside) throw noPeer(ifname, `could not look up "${ifname}": Link not found`);
  if (inside.kind !== 'veth') throw noPeer(ifname, `interface "${ifname}" was not a veth interface`);
  if (inside.lower === 0) throw noPeer(ifname, 'the kernel does not tell which link that is');
  const peer = peerOf(inside, host);
  if (!peer) throw new Error(`veth peer with index ${inside.lower} is not in host ns`);
  if (lists && !listed.some(({ name, sandbox }) => name === peer.name && !sandbox)) {
    throw new Error('no veth peer of container interface found in host ns');
  }
  return peer;
}

function noPeer(ifname: string, cause: string): Error {
  return new Error(`container interface ${ifname} has no veth peer: ${cause}`);
}

/** Indexes count per namespace: the link with that index on the host is another one if its peer is not this. */
function peerOf(inside: Link, host: Netlink): Link | undefined {
  const peer = findLinkByIndex(host, inside.lower);
  return peer?.kind === 'veth' && peer.lower === inside.index ? peer : undefined;
}

/**
 * The host's end for DEL, by whatever is left to find it: the name our own plugins give to a host's end; else the
 * container's end, unless the path leads to another container by now, which prevResult or the link's alias tell; else
 * the only veth that the result lists on the host. Undefined when there is none, or none for certain. Does not throw.
 */
export function remainingHostEnd(request: Request<unknown>, host: Netlink): Link | undefined {
  const { network, containerId, ifname } = request;
  const named = findLink(host, hostLinkName('veth', network, containerId, ifname));
  if (named?.kind === 'veth') return named;
  const listed = listedOnHost(request);
  const peer = peerInside(request, host);
  const isListed = peer && (listed.length === 0 || listed.includes(peer.name));
  if (isListed && !namesAnother(peer.attributes.ifAlias ?? '', request)) return peer;
  const veths = listed.flatMap((name) => findLink(host, name) ?? []).filter(({ kind }) => kind === 'veth');
  return veths.length === 1 ? veths[0] : undefined;
}

function peerInside(request: Request<unknown>, host: Netlink): Link | undefined {
  if (request.netns === '') return undefined;
  try {
    const inside = findLink(openNamespace(request).route, request.ifname);
    return inside?.kind === 'veth' ? peerOf(inside, host) : undefined;
  } catch {
    return undefined; // reason: the namespace is gone, or the path leads to none (any more)
  }
}

function listedOnHost(request: Request<unknown>): string[] {
  try {
    const listed = request.prevResult?.interfaces ?? [];
    return listed.filter(({ sandbox }) => !sandbox).map(({ name }) => name);
  } catch (error) {
    request.log(`bandwidth: prevResult cannot be read and is not used: ${errorText(error)}`);
    return [];
  }
}
