import { SyscallError } from '@cni-ts/libc/syscall-error';
import type { Netlink } from '@cni-ts/netlink/socket';
import { createLink } from './link.ts';

/** Kinds of links that stand on another link. */
export type UpperKind = 'macvlan' | 'ipvlan' | 'vlan';

/**
 * Whether the kernel knows the kind, or has a module for it. It is asked for a link that stands on nothing: each of these
 * kinds refuses that with EINVAL, so nothing is made, and EOPNOTSUPP says that there is no such kind. Where it cannot be
 * told (EPERM), true.
 */
export function knowsUpperKind(nl: Netlink, kind: UpperKind): boolean {
  try {
    createLink(nl, { name: 'cni-probe', info: { kind } });
  } catch (error) {
    return !(error instanceof SyscallError && error.code === 'EOPNOTSUPP');
  }
  return true;
}
