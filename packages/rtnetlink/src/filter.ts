import { errnoOf, SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes, type Read, select } from '@cni-ts/netlink/attributes';
import { be16, be32, s32, struct, u8, u16, u32 } from '@cni-ts/netlink/codec';
import { type Netlink, type NetlinkRequest, NLM_F } from '@cni-ts/netlink/socket';
import { indexOf } from './link.ts';
import { deleteQdisc, ingress, newIngress, tcHandle, tcMessage } from './qdisc.ts';

const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
/** Priority 1, ETH_P_ALL in the byte order of the wire. */
const everyPacketFirst = 0x00010300;

/** What becomes of a packet after an action, TC_ACT_*, include/uapi/linux/pkt_cls.h. */
const TC_ACT_STOLEN = 4;
/** TCA_EGRESS_REDIR, include/uapi/linux/tc_act/tc_mirred.h. */
const EGRESS_REDIRECT = 1;
/** TC_U32_TERMINAL: no filter after this one is asked. */
const TERMINAL = 1;

/** Sends packets to another link: struct tc_mirred, include/uapi/linux/tc_act/tc_mirred.h. `ifindex` is that link. */
const mirred = attributes('TCA_MIRRED_', {
  parms: [
    2,
    struct({
      index: u32,
      capab: u32,
      action: s32,
      refCount: s32,
      bindCount: s32,
      eaction: s32,
      ifindex: u32,
    }),
  ],
});
const action = select({ kind: 1, data: 2 }, { mirred });

/** struct tc_u32_sel with one struct tc_u32_key: the packet's 32 bits at `offset` and `mask` equal `value`. */
const oneKey = struct({
  flags: u8,
  offsetShift: u8,
  keys: u8,
  padding: u8,
  offsetMask: be16,
  offset: u16,
  keyOffset: u16,
  hashOffset: u16,
  hashMask: be32,
  mask: be32,
  value: be32,
  at: s32,
  atMask: s32,
});

/** A filter that compares packets with patterns of 32 bits: TCA_U32_*, include/uapi/linux/pkt_cls.h. */
const u32Filter = attributes('TCA_U32_', {
  classId: [1, u32],
  selector: [5, oneKey],
  actions: [7, attributes('', { first: [1, action] })], // numbered from 1; we use one, others are kept as unknown
});

/** A filter: header, TCA_KIND (1) and the TCA_OPTIONS (2) of that kind. */
export const filterMessage = tcMessage(select({ kind: 1, data: 2 }, { u32: u32Filter }));
type Filter = Read<typeof filterMessage>;

/** Matches every packet: no bit is compared. */
const everything: Read<typeof oneKey> = {
  flags: TERMINAL,
  offsetShift: 0,
  keys: 1,
  padding: 0,
  offsetMask: 0,
  offset: 0,
  keyOffset: 0,
  hashOffset: 0,
  hashMask: 0,
  mask: 0,
  value: 0,
  at: 0,
  atMask: 0,
};

/**
 * All that `link` receives leaves by `target` instead; an ifb gives it back to the link afterwards. Needs the link's
 * ingress qdisc, and comes after the filters that has already. ENOENT if the kernel lacks u32 or mirred.
 */
export function redirectIngress(
  nl: Netlink,
  link: { readonly index: number },
  target: { readonly index: number },
): void {
  nl.request(newRedirect(link, target));
}

/**
 * Gives the link an ingress qdisc that redirects, both in one message: so an ingress qdisc of ours is never without the
 * filter that tells whose it is. The link must have none: the kernel works on after a refusal, and what another's qdisc
 * got of us is taken out again. Throws as addIngress and redirectIngress do; the error's `call` says which was refused.
 */
export function addRedirectingIngress(
  nl: Netlink,
  link: { readonly index: number },
  target: { readonly index: number },
): void {
  try {
    nl.batch([newIngress(link), newRedirect(link, target)] as never[]); // reason: a batch takes requests of any kind
  } catch (error) {
    if (error instanceof SyscallError && error.call === 'RTM_NEWTFILTER') deleteQdisc(nl, link, ingress);
    else if (error instanceof SyscallError && error.call === 'RTM_NEWQDISC')
      removeRedirects(nl, link, target);
    throw error;
  }
}

/** Takes the filters away that send what `link` receives to `target`. */
function removeRedirects(
  nl: Netlink,
  link: { readonly index: number },
  target: { readonly index: number },
): void {
  for (const filter of filtersOf(nl, link)) {
    if (redirectOf(filter) !== target.index) continue;
    nl.request({
      name: 'RTM_DELTFILTER',
      type: RTM_DELTFILTER,
      flags: 0,
      message: filterMessage,
      value: {
        index: link.index,
        parent: tcHandle.ingress,
        handle: filter.handle ?? 0,
        info: filter.info ?? 0,
        kind: 'u32',
      },
    });
  }
}

function newRedirect(
  link: { readonly index: number },
  target: { readonly index: number },
): NetlinkRequest<Filter> {
  const parms = {
    index: 0,
    capab: 0,
    action: TC_ACT_STOLEN,
    refCount: 0,
    bindCount: 0,
    eaction: EGRESS_REDIRECT,
    ifindex: indexOf(target),
  };
  return {
    name: 'RTM_NEWTFILTER',
    type: RTM_NEWTFILTER,
    flags: NLM_F.create | NLM_F.exclusive,
    message: filterMessage,
    value: {
      index: indexOf(link),
      parent: tcHandle.ingress,
      info: everyPacketFirst,
      kind: 'u32',
      data: {
        classId: tcHandle.first | 1,
        selector: everything,
        actions: { first: { kind: 'mirred', data: { parms } } },
      },
    },
  };
}

/**
 * Indexes of the links to which u32 filters send what `link` receives. Without an ingress qdisc there are none, nor
 * of a link that is gone meanwhile: a container's veth goes at any moment.
 */
export function ingressRedirects(nl: Netlink, link: { readonly index: number }): number[] {
  return filtersOf(nl, link).flatMap((filter) => redirectOf(filter) ?? []);
}

/** Index of the link to which the filter sends all that it matches. */
function redirectOf(filter: Filter): number | undefined {
  if (filter.kind !== 'u32') return undefined;
  const { actions } = (filter.data ?? {}) as Read<typeof u32Filter>; // reason: the kind says so
  if (actions?.first?.kind !== 'mirred') return undefined;
  const { parms } = (actions.first.data ?? {}) as Read<typeof mirred>; // reason: as above
  return parms?.eaction === EGRESS_REDIRECT ? parms.ifindex : undefined;
}

function filtersOf(nl: Netlink, link: { readonly index: number }) {
  try {
    return nl.dump({
      name: 'RTM_GETTFILTER',
      type: RTM_GETTFILTER,
      flags: 0,
      message: filterMessage,
      value: { index: link.index, parent: tcHandle.ingress, kind: '' },
    });
  } catch (error) {
    if (errnoOf(error) === 'ENODEV') return [];
    throw error;
  }
}
