import { errnoOf, SyscallError } from '@cni-ts/libc/syscall-error';
import { findLinkByIndex, IFF_LOOPBACK, type Link, listLinks, type NewLink } from '@cni-ts/rtnetlink/link';
import { knowsUpperKind, type UpperKind } from '@cni-ts/rtnetlink/upper-kind';
import { moduleOf } from './kind-of-link.ts';
import type { Namespace } from './namespace.ts';

const upperKinds: readonly UpperKind[] = ['macvlan', 'ipvlan', 'vlan'];

/** Why the kernel did not make a link on top of `master`, and what to do: what an errno alone does not tell. */
export function whyRefused(error: unknown, info: NewLink['info'], master: Link, at: Namespace): string {
  switch (errnoOf(error)) {
    case 'EBUSY':
      return busy(info.kind ?? '', master, at);
    case 'EEXIST':
      return info.kind === 'vlan' ? taken(vlanId(info), master, at) : '';
    case 'EOPNOTSUPP':
      return unsupported(error, info.kind ?? '', master, at);
    case 'EINVAL':
      return master.flags & IFF_LOOPBACK
        ? `: "${master.name}" is the loopback link; a link to stand on is an Ethernet link`
        : '';
    default:
      return '';
  }
}

/** Kinds of links that take what their ports receive, so that nothing else can. */
const takers = ['bridge', 'bond', 'team', 'openvswitch'];

/** The refusal that shows beforehand: a master that is a port, or carries what cannot be beside this. What is in other
 *  namespaces does not show. */
export function foreseenRefusal(
  info: NewLink['info'],
  master: Link,
  at: Namespace,
): SyscallError | undefined {
  const kind = info?.kind;
  if (kind === 'vlan') {
    return holderOf(vlanId(info), master, at)
      ? new SyscallError('RTM_NEWLINK', 'EEXIST', 'VLAN device already exists')
      : undefined;
  }
  const port = master.master ? findLinkByIndex(at.route, master.master) : undefined;
  const isTaken = port && takers.includes(port.kind);
  const other = otherThan(kind);
  const isShared = on(master, at).some((link) => link.kind === other);
  return isTaken || isShared ? new SyscallError('RTM_NEWLINK', 'EBUSY') : undefined;
}

/** One owner of what a link receives: a bridge, a bond, or links of one kind. Those in other namespaces do not show. */
function busy(kind: string, master: Link, at: Namespace): string {
  if (master.master) {
    const port = findLinkByIndex(at.route, master.master);
    return `: "${master.name}" is a port of "${port?.name ?? ''}"${port?.kind ? `, a ${port.kind}` : ''}; name that as master, or take it out`;
  }
  const other = otherThan(kind);
  const here = on(master, at).filter((link) => link.kind === other);
  const where = here.length
    ? here.map(({ name }) => `"${name}"`).join(', ')
    : 'in other namespaces, those of containers for one';
  return `: "${master.name}" is a port of a bridge or bond, or has links of another kind on it: it seems to carry ${other} links already (${where}), and a link carries ${kind} or ${other}, not both`;
}

/** The kind that cannot be on the same link as this one. */
function otherThan(kind: string | undefined): 'macvlan' | 'ipvlan' {
  return kind === 'ipvlan' ? 'macvlan' : 'ipvlan';
}

function taken(id: number | undefined, master: Link, at: Namespace): string {
  const holder = holderOf(id, master, at);
  const where = holder
    ? `it is "${holder.name}" here`
    : 'it is in another namespace, that of a container for one';
  return `: VLAN ${id} of "${master.name}" exists already, and there can be one: ${where}. For several containers use bridge with "vlan", or macvlan on a VLAN link`;
}

function holderOf(id: number | undefined, master: Link, at: Namespace): Link | undefined {
  return on(master, at).find(({ kind, attributes }) => kind === 'vlan' && vlanId(attributes.linkInfo) === id);
}

function vlanId(info: NewLink['info'] | undefined): number | undefined {
  return (info?.data as { id?: number } | undefined)?.id; // reason: of a VLAN the table in rtnetlink reads it
}

function unsupported(error: unknown, kind: string, master: Link, at: Namespace): string {
  const upper = upperKinds.find((one) => one === kind);
  if (upper === undefined) return '';
  const said = error instanceof SyscallError ? error.explanation : '';
  if (said === 'Unknown device type' || !knowsUpperKind(at.route, upper)) {
    return `: this kernel has no ${kind} links; its module is "${moduleOf(upper)}"`;
  }
  return `: "${master.name}" cannot carry ${kind} links`;
}

/** The links on a link, in its own namespace. */
function on(master: Link, at: Namespace): Link[] {
  return listLinks(at.route).filter(
    ({ lower, attributes }) => lower === master.index && attributes.linkNetnsId === undefined,
  );
}
