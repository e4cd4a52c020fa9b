import type { Netlink } from '@cni-ts/netlink/socket';
import { hashedName } from '@cni-ts/plugin-kit/name-hash';
import { networkMark, type Owner, ownerComment, ownerMark } from '@cni-ts/plugin-kit/owner-comment';
import { ingressRedirects } from '@cni-ts/rtnetlink/filter';
import { createLink, findLink, type Link, listLinks, setAlias } from '@cni-ts/rtnetlink/link';
import { linksWithIngress } from '@cni-ts/rtnetlink/qdisc';
import type { Attachment } from '@cni-ts/skeleton/plugin';

/** The name runtimes give to a container's first interface. */
const usualInterface = 'eth0';
const nameLength = 15;

/**
 * The ifb through which what an attachment sends goes. The reference leaves the interface out of the name, so that
 * two interfaces of a container collide; ours does so for eth0 only. Thus either cleans up after the other.
 */
export function ifbName({ network, containerId, ifname }: Owner): string {
  return hashedName(
    nameLength,
    'bwp',
    network + containerId + (ifname === usualInterface ? '' : `:${ifname}`),
  );
}

function referenceName({ network, containerId }: Owner): string {
  return ifbName({ network, containerId, ifname: usualInterface });
}

/** Makes it, up and without a queue of its own before the bucket's. */
export function createIfb(host: Netlink, name: string, mtu: number): void {
  createLink(host, { name, mtu, txQueueLength: 0, up: true, info: { kind: 'ifb' } });
}

/** Writes on it whose it is, which its name does not tell: GC reads it. */
export function markIfb(host: Netlink, ifb: Link, owner: Owner): void {
  setAlias(host, ifb, ownerComment(owner));
}

function aliasOf(link: Link): string {
  return link.attributes.ifAlias ?? '';
}

/**
 * The attachment's ifbs: its own, and one that the reference made under its name. That has no mark, and may be of
 * another interface of the container: it is taken for this one's if eth0 is meant, if `redirected` (what the
 * attachment's link is redirected to) says so, or if nobody uses it.
 */
export function ifbsOf(host: Netlink, owner: Owner, redirected: readonly number[]): Link[] {
  const names = new Set([ifbName(owner), referenceName(owner)]);
  return [...names].flatMap((name) => {
    const link = findLink(host, name);
    if (link?.kind !== 'ifb') return [];
    const alias = aliasOf(link);
    const isOurs =
      alias === ''
        ? name === ifbName(owner) || redirected.includes(link.index) || redirectedTo(host, link).length === 0
        : alias.startsWith(ownerMark(owner));
    return isOurs ? [link] : [];
  });
}

/** Marked ifbs of the network's attachments that are not in the list. */
export function staleIfbs(host: Netlink, network: string, valid: readonly Attachment[]): Link[] {
  const marks = new Set(valid.map((attachment) => ownerMark({ network, ...attachment })));
  const mark = networkMark(network);
  const length = ownerMark({ network, containerId: '', ifname: '' }).length;
  return listLinks(host).filter((link) => {
    const alias = aliasOf(link);
    return link.kind === 'ifb' && alias.startsWith(mark) && !marks.has(alias.slice(0, length));
  });
}

/** Indexes of the links whose ingress goes to it. Looks at every link that has an ingress qdisc. */
export function redirectedTo(host: Netlink, ifb: Link): number[] {
  return linksWithIngress(host).filter((index) => ingressRedirects(host, { index }).includes(ifb.index));
}
