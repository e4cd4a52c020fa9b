import { hashedName } from '@cni-ts/libc/name-hash';
import type { Netlink } from '@cni-ts/netlink/socket';
import { ingressRedirects } from '@cni-ts/rtnetlink/filter';
import {
  createLinkWithAlias,
  deleteLink,
  findLink,
  findLinkByIndex,
  type Link,
  listLinks,
} from '@cni-ts/rtnetlink/link';
import { linksWithIngress } from '@cni-ts/rtnetlink/qdisc';
import { isOwnedBy, isStale, linkOwner, readLinkOwner } from '@cni-ts/skeleton/link-owner';
import { networkMark, type Owner, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';

/**
 * The ifb through which what an attachment sends goes. The reference leaves the interface out of the name, so that
 * two interfaces of a container collide; ours does so for eth0 only. Thus either cleans up after the other.
 */
export function ifbName({ network, containerId, ifname }: Owner): string {
  return named(network + containerId + (ifname === usualInterface ? '' : `:${ifname}`));
}

/** The name runtimes give to a container's first interface. */
const usualInterface = 'eth0';

/** Where another attachment has that name: network and container run together in it (`net1` and `1abc` are `net11` and
 *  `abc`). In this one they cannot. */
export function otherIfbName({ network, containerId, ifname }: Owner): string {
  return named(`${network}\0${containerId}\0${ifname}`);
}

function named(key: string): string {
  return hashedName(15, 'bwp', key);
}

/**
 * The name for a new ifb. Throws where the attachment has one already, and for a link of that name that is no ifb at
 * all. `veth`: the host's end, whose redirection tells whose an ifb without a mark is.
 */
export function freeName(host: Netlink, owner: Owner, veth: Link): string {
  const name = ifbName(owner);
  const first = findLink(host, name);
  if (!first) return name;
  if (first.kind !== 'ifb' || isMarked(first, owner)) throw taken(first);
  if (aliasOf(first) === '' && ingressRedirects(host, veth).includes(first.index)) throw taken(first);
  const other = otherIfbName(owner);
  const second = findLink(host, other);
  if (second) throw taken(second);
  return other;
}

function taken(link: Link): CniError {
  const whose = aliasOf(link) === '' ? 'without a mark' : `marked "${aliasOf(link)}"`;
  return new CniError(
    ErrorCode.internal,
    'adding link: file exists',
    `the host has the link ${link.name}, of kind "${link.kind}" and ${whose}; if it is left of an earlier ADD, run DEL`,
  );
}

/** Makes it, up and without a queue of its own before the bucket's. Whose it is, which its name does not tell, stands
 *  on it from its first moment: GC and DEL read that. Nobody may have the name. */
export function createIfb(host: Netlink, name: string, mtu: number, owner: Owner): void {
  const link = { name, mtu, txQueueLength: 0, up: true, info: { kind: 'ifb' } } as const;
  createLinkWithAlias(host, link, linkOwner(owner, 'bandwidth'));
}

/** Deletes the ifb of that name if it is marked as the attachment's. */
export function deleteMarkedIfb(host: Netlink, name: string, owner: Owner): void {
  const link = findLink(host, name);
  if (link?.kind === 'ifb' && isMarked(link, owner)) deleteLink(host, link);
}

function aliasOf(link: Link): string {
  return link.attributes.ifAlias ?? '';
}

/** By what is written on it now, or was by earlier releases. */
function isMarked(link: Link, owner: Owner): boolean {
  const alias = aliasOf(link);
  return isOwnedBy(alias, owner, 'bandwidth') || alias.startsWith(ownerMark(owner));
}

/**
 * The attachment's ifbs: its own, and one that the reference made under its name. That has no mark, and may be of
 * another interface of the container, or of an attachment whose names run together to the same. `veth` is the
 * attachment's link on the host, where it is known.
 */
export function ifbsOf(host: Netlink, owner: Owner, veth: Link | undefined): Link[] {
  const { network, containerId } = owner;
  const theirs = ifbName({ network, containerId, ifname: usualInterface });
  const names = [...new Set([ifbName(owner), theirs, otherIfbName(owner)])];
  return names
    .flatMap((name) => findLink(host, name) ?? [])
    .filter(
      (link) =>
        link.kind === 'ifb' &&
        (aliasOf(link) === '' ? isUnmarkedOurs(host, link, owner, veth) : isMarked(link, owner)),
    );
}

/** It is if the attachment's link is redirected to it, or nobody's. Where the attachment's link cannot be told, the name
 *  decides, unless who uses it is marked as another attachment's. */
function isUnmarkedOurs(host: Netlink, ifb: Link, owner: Owner, veth: Link | undefined): boolean {
  if (veth && ingressRedirects(host, veth).includes(ifb.index)) return true;
  const users = redirectedTo(host, ifb);
  if (users.length === 0) return true;
  if (veth || ifb.name !== ifbName(owner)) return false;
  return users.every((index) => {
    const alias = aliasOf(findLinkByIndex(host, index) ?? ifb);
    const user = readLinkOwner(alias);
    return user === undefined || alias === linkOwner(owner, user.plugin);
  });
}

/** Marked ifbs of the network's attachments that are not in the list. */
export function staleIfbs(host: Netlink, network: string, valid: readonly Attachment[]): Link[] {
  const marks = new Set(valid.map((attachment) => ownerMark({ network, ...attachment })));
  const mark = networkMark(network);
  const length = ownerMark({ network, containerId: '', ifname: '' }).length;
  return listLinks(host).filter((link) => {
    if (link.kind !== 'ifb') return false;
    const alias = aliasOf(link);
    if (isStale(alias, network, 'bandwidth', valid)) return true;
    return alias.startsWith(mark) && !marks.has(alias.slice(0, length)); // as earlier releases marked them
  });
}

/** Indexes of the links whose ingress goes to it. Looks at every link that has an ingress qdisc. */
export function redirectedTo(host: Netlink, ifb: Link): number[] {
  return linksWithIngress(host).filter((index) => ingressRedirects(host, { index }).includes(ifb.index));
}
