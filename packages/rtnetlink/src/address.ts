import { type Cidr, lastOf } from '@cni-ts/address/cidr';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes, type Read } from '@cni-ts/netlink/attributes';
import { asciiz, ip, struct, u8, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';
import { indexOf } from './link.ts';

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const AF = { 4: 2, 6: 10 } as const;

/** IFA_F_*, include/uapi/linux/if_addr.h */
export const addressFlags = {
  nodad: 0x02,
  optimistic: 0x04,
  dadFailed: 0x08,
  tentative: 0x40,
  permanent: 0x80,
  noPrefixRoute: 0x200,
} as const;

/** struct ifaddrmsg, include/uapi/linux/if_addr.h */
const ifaddrmsg = struct({ family: u8, prefixLength: u8, flags: u8, scope: u8, index: u32 });

/**
 * An address of a link. LOCAL is the interface's own; ADDRESS is the peer's on point-to-point links and equals LOCAL
 * elsewhere. The kernel reports IPv6 mostly as ADDRESS alone.
 */
export const addressMessage = message(
  ifaddrmsg,
  attributes('IFA_', {
    address: [1, ip],
    local: [2, ip],
    label: [3, asciiz], // IPv4 only, at most 15 characters
    broadcast: [4, ip],
    allFlags: [8, u32], // the header's flags have room for eight bits only
    routePriority: [9, u32],
  }),
);

export interface Address {
  readonly cidr: Cidr;
  readonly index: number;
  readonly flags: number;
  readonly scope: number;
}

function body(link: { readonly index: number }, cidr: Cidr): Read<typeof addressMessage> {
  const { ip: own, prefix } = cidr;
  return {
    family: AF[own.family],
    prefixLength: prefix,
    index: indexOf(link),
    local: own,
    address: own,
    // A /31 or /32 has no broadcast address.
    broadcast: own.family === 4 && prefix <= 30 ? lastOf(cidr) : undefined,
  };
}

/**
 * RTM_NEWADDR, create only: EEXIST if it is there already, EACCES if IPv6 is switched off on the link
 * (net/ipv6/conf/<link>/disable_ipv6), EOPNOTSUPP if the kernel has no IPv6. `flags`: addressFlags.
 */
export function addAddress(nl: Netlink, link: { readonly index: number }, cidr: Cidr, flags = 0): void {
  nl.request(newAddress(link, cidr, flags));
}

/** The request that addAddress makes, to go with others. */
export function newAddress(link: { readonly index: number }, cidr: Cidr, flags = 0) {
  const value = { ...body(link, cidr), allFlags: flags || undefined };
  const create = NLM_F.create | NLM_F.exclusive;
  return { name: 'RTM_NEWADDR', type: RTM_NEWADDR, flags: create, message: addressMessage, value };
}

/** Takes an address away; false if it was not there (EADDRNOTAVAIL). */
export function deleteAddress(nl: Netlink, link: { readonly index: number }, cidr: Cidr): boolean {
  try {
    const value = body(link, cidr);
    nl.request({ name: 'RTM_DELADDR', type: RTM_DELADDR, flags: 0, message: addressMessage, value });
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EADDRNOTAVAIL') return false;
    throw error;
  }
}

/** For listAddresses: no link in particular. */
export const everywhere = { index: 0 } as const;

/** The addresses of one link (`everywhere`: of all) in the kernel's order, of one family or (IPv4 first) of both. */
export function listAddresses(nl: Netlink, link: { readonly index: number }, family?: 4 | 6): Address[] {
  if (!family) return [...listAddresses(nl, link, 4), ...listAddresses(nl, link, 6)];
  const value = { family: AF[family], index: link.index };
  const all = nl.dump({ name: 'RTM_GETADDR', type: RTM_GETADDR, flags: 0, message: addressMessage, value });
  const found: Address[] = [];
  for (const one of all) {
    const own = one.local ?? one.address;
    if ((link.index && one.index !== link.index) || !own || own.family !== family) continue;
    found.push({
      cidr: { ip: own, prefix: one.prefixLength ?? 0 },
      index: one.index ?? 0,
      flags: one.allFlags ?? one.flags ?? 0,
      scope: one.scope ?? 0,
    });
  }
  return found;
}
