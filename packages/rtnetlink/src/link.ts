import { sleep } from '@cni-ts/libc/process';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { systemBytes } from '@cni-ts/libc/system-text';
import { attributes, nest, type Read, select } from '@cni-ts/netlink/attributes';
import { asciiz, bytes, list, s32, struct, text, u8, u16, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { answerPatience, type Netlink, type NetlinkRequest, NLM_F } from '@cni-ts/netlink/socket';
import { bridge } from './kinds/bridge.ts';
import { ipvlan } from './kinds/ipvlan.ts';
import { macvlan } from './kinds/macvlan.ts';
import { tun } from './kinds/tun.ts';
import { vlan } from './kinds/vlan.ts';
import { checkNewName, longestName, nameAdvice } from './link-name.ts';
import { operStates } from './oper-state.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;

/** include/uapi/linux/if.h */
export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const IFF_PROMISC = 0x100;
export const IFF_ALLMULTI = 0x200;
/** It has a carrier: a bridge has while one of its ports forwards. */
export const IFF_LOWER_UP = 0x10000;

/** struct ifinfomsg, include/uapi/linux/rtnetlink.h. `change` says which bits of `flags` to take over. */
export const ifinfomsg = struct({ family: u8, padding: u8, type: u16, index: s32, flags: u32, change: u32 });

/** What a veth's other end is created with lies inside VETH_INFO_PEER (1) and is a whole link message itself. */
const peerAttributes = attributes('IFLA_', {
  address: [1, bytes],
  ifname: [3, asciiz],
  mtu: [4, u32],
  txQueueLength: [13, u32],
  netnsFd: [28, u32],
});
const veth = attributes('VETH_INFO_', { peer: [1, message(ifinfomsg, peerAttributes)] });
const noData = attributes('', {});

/** The kinds whose data we read and write; another kind keeps its data as bytes. */
const kinds = {
  bridge,
  veth,
  macvlan,
  macvtap: macvlan,
  ipvlan,
  tun,
  vlan,
  ifb: noData,
  dummy: noData,
  vrf: attributes('IFLA_VRF_', { table: [1, u32] }),
};

/** A link: IFLA_*, include/uapi/linux/if_link.h. */
export const linkAttributes = attributes('IFLA_', {
  address: [1, bytes],
  broadcast: [2, bytes],
  ifname: [3, asciiz], // at most 15 bytes
  mtu: [4, u32],
  link: [5, u32], // index of the lower link; for a veth the peer's, in the namespace linkNetnsId
  master: [10, u32], // 0 takes it off its master
  txQueueLength: [13, u32],
  operState: [16, u8],
  linkInfo: [18, select({ kind: 1, data: 2 }, kinds)], // of a port also INFO_SLAVE_KIND 4, INFO_SLAVE_DATA 5, as unknown
  ifAlias: [20, text],
  netnsFd: [28, u32], // where to create it, or to move it
  extMask: [29, u32], // what a get should also tell; 8 leaves the statistics out
  promiscuity: [30, u32],
  linkNetnsId: [37, s32],
  minMtu: [50, u32],
  maxMtu: [51, u32],
  altNames: [52, nest(attributes('IFLA_', { altIfname: [53, list(asciiz)] }))],
  altIfname: [53, asciiz],
  permAddress: [54, bytes], // what the hardware came with; virtual links have none
  allmulti: [61, u32],
});
export const linkMessage = message(ifinfomsg, linkAttributes);
type LinkMessage = Read<typeof linkMessage>;
type LinkInfo = NonNullable<LinkMessage['linkInfo']>;

/** A link as the kernel describes it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** '' for plain hardware. */
  readonly kind: string;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly flags: number;
  readonly operState: string;
  readonly promiscuity: number;
  readonly txQueueLength: number;
  /** Index of the link it is a port of, 0 if none. */
  readonly master: number;
  /** Index of the lower link or veth peer, 0 if none. */
  readonly lower: number;
  /** Everything, for what is rarely needed. */
  readonly attributes: LinkMessage;
}

/** How a link is to be created. Optional members left out keep the kernel's defaults. */
export interface NewLink {
  readonly name: string;
  readonly info: LinkInfo;
  readonly mac?: Uint8Array | undefined;
  readonly mtu?: number | undefined;
  readonly txQueueLength?: number | undefined;
  /** Index of the lower link, in the namespace of the socket. */
  readonly lower?: number | undefined;
  readonly master?: number | undefined;
  /** Created up; else down. */
  readonly up?: boolean | undefined;
  /** Descriptor of the namespace it is to be born in; else that of the socket. */
  readonly netnsFd?: number | undefined;
}

const EXT_MASK_SKIP_STATS = 8;

function toLink(value: LinkMessage): Link {
  return {
    index: value.index ?? 0,
    name: value.ifname ?? '',
    kind: value.linkInfo?.kind ?? '',
    mac: value.address ?? new Uint8Array(0),
    mtu: value.mtu ?? 0,
    flags: value.flags ?? 0,
    operState: operStates[value.operState ?? 0] ?? 'unknown',
    promiscuity: value.promiscuity ?? 0,
    txQueueLength: value.txQueueLength ?? 0,
    master: value.master ?? 0,
    lower: value.link ?? 0,
    attributes: value,
  };
}

/** What the kernel tells of a link beyond what all have, if it is of this kind. */
export function linkData<K extends keyof typeof kinds>(
  link: Link,
  kind: K,
): Read<(typeof kinds)[K]> | undefined {
  if (link.kind !== kind) return undefined;
  // reason: of a link of this kind the table read the data
  return link.attributes.linkInfo?.data as Read<(typeof kinds)[K]> | undefined;
}

/** The link of that name or alternative name; undefined if there is none. */
export function findLink(nl: Netlink, name: string): Link | undefined {
  return getOne(nl, {
    extMask: EXT_MASK_SKIP_STATS,
    ...(systemBytes(name).length > longestName ? { altIfname: name } : { ifname: name }),
  });
}

/** The link with that index; undefined if there is none. */
export function findLinkByIndex(nl: Netlink, index: number): Link | undefined {
  if (index <= 0) return undefined;
  return getOne(nl, { index, extMask: EXT_MASK_SKIP_STATS });
}

function getOne(nl: Netlink, value: LinkMessage): Link | undefined {
  try {
    return toLink(nl.get({ name: 'RTM_GETLINK', type: RTM_GETLINK, flags: 0, message: linkMessage, value }));
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ENODEV') return undefined;
    throw error;
  }
}

/** Like findLink, but absence is an error: `failed to lookup "<name>": Link not found`. */
export function getLink(nl: Netlink, name: string): Link {
  const link = findLink(nl, name);
  if (!link) throw new Error(`failed to lookup "${name}": Link not found${nameAdvice(name)}`);
  return link;
}

/** Every link of the namespace: a dump, so not for the hot path. */
export function listLinks(nl: Netlink): Link[] {
  const value = { extMask: EXT_MASK_SKIP_STATS };
  return nl
    .dump({ name: 'RTM_GETLINK', type: RTM_GETLINK, flags: 0, message: linkMessage, value })
    .map(toLink);
}

/**
 * Creates a link: EEXIST if the name is taken, ERANGE for a name over 15 bytes, EINVAL for an MTU out of range,
 * EADDRNOTAVAIL for a multicast MAC, EOPNOTSUPP if the kernel lacks the kind.
 */
export function createLink(nl: Netlink, link: NewLink): void {
  nl.request(newLink(link));
}

/**
 * The same with an alias from its first moment: two requests in one message, so that no end of this process and no lost
 * answer can come between them (the kernel takes no alias when it makes a link). It works on after a refusal, so the
 * caller must know that no link has the name, or that one would get the alias.
 */
export function createLinkWithAlias(nl: Netlink, link: NewLink, ifAlias: string): void {
  const alias: LinkRequest = { ...setLinkRequest, value: { ifname: link.name, ifAlias } };
  try {
    nl.batch([newLink(link), alias] as never[]); // reason: a batch takes requests of any kind
  } catch (error) {
    // Refused was the second alone: the link is the one just made.
    if (error instanceof SyscallError && error.call === setLinkRequest.name) deleteLink(nl, link.name);
    throw error;
  }
}

type LinkRequest = NetlinkRequest<LinkMessage>;
const setLinkRequest = { name: 'RTM_SETLINK', type: RTM_SETLINK, flags: 0, message: linkMessage } as const;

function newLink(link: NewLink): LinkRequest {
  checkNewName(link.name);
  if (link.lower !== undefined) indexOf({ index: link.lower });
  return {
    name: 'RTM_NEWLINK',
    type: RTM_NEWLINK,
    flags: NLM_F.create | NLM_F.exclusive,
    message: linkMessage,
    value: {
      ...(link.up && { flags: IFF_UP, change: IFF_UP }),
      ifname: link.name,
      address: link.mac,
      mtu: link.mtu,
      link: link.lower,
      master: link.master,
      txQueueLength: link.txQueueLength,
      netnsFd: link.netnsFd,
      linkInfo: link.info,
    },
  };
}

/**
 * Deletes a link, and returns when it is gone; false if it was gone already. Its name can be taken again then, and
 * nothing passes it. The kernel would let us wait for 20 ms more, until it has freed the memory: that waiting is left
 * behind.
 */
export function deleteLink(nl: Netlink, link: { readonly index: number } | string): boolean {
  const value = typeof link === 'string' ? { ifname: link } : { index: indexOf(link) };
  try {
    const answered = nl.requestBehind({
      name: 'RTM_DELLINK',
      type: RTM_DELLINK,
      flags: 0,
      message: linkMessage,
      value,
    });
    if (answered) waitUntilGone(nl, value, answered);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ENODEV') return false;
    throw error;
  }
}

/** Looks for the link until it is gone or the kernel has answered, with growing pauses from a tenth of a millisecond. */
function waitUntilGone(nl: Netlink, value: LinkMessage, answered: () => boolean): void {
  let until: number | undefined;
  for (let pause = 100; !answered() && getOne(nl, value); pause = Math.min(5000, pause + 50)) {
    const now = performance.now();
    until ??= now + answerPatience;
    if (now > until) {
      throw new SyscallError('recv', 'ETIMEDOUT', 'the kernel has not answered RTM_DELLINK for 60 seconds');
    }
    sleep(pause);
  }
}

/**
 * The index of a link that a request is about. Without one the kernel goes by other members, or takes whichever link
 * comes first: throws for 0, which is no link's.
 */
export function indexOf({ index }: { readonly index: number }): number {
  if (index > 0) return index;
  throw new Error(`no link has the index ${index}; the kernel was not asked`);
}

function setLink(nl: Netlink, link: { readonly index: number }, value: LinkMessage): void {
  nl.request(changedLink(link, value));
}

/** The request that changes these members of a link; the kernel goes through them in an order of its own. */
export function changedLink(link: { readonly index: number }, change: LinkMessage) {
  const value = { ...change, index: indexOf(link) };
  return { name: 'RTM_SETLINK', type: RTM_SETLINK, flags: 0, message: linkMessage, value };
}

function setFlag(nl: Netlink, link: { readonly index: number }, flag: number, on: boolean): void {
  setLink(nl, link, { flags: on ? flag : 0, change: flag });
}

/** `ifAlias`: and gives it this alias, a text of at most 255 bytes beside its name, in the same request. */
export function setUp(nl: Netlink, link: { readonly index: number }, ifAlias?: string): void {
  nl.request(linkUp(link, ifAlias));
}

/** The request that setUp makes, to go with others. */
export function linkUp(link: { readonly index: number }, ifAlias?: string) {
  return changedLink(link, { flags: IFF_UP, change: IFF_UP, ifAlias });
}

export function setDown(nl: Netlink, link: { readonly index: number }): void {
  setFlag(nl, link, IFF_UP, false);
}

export function setPromisc(nl: Netlink, link: { readonly index: number }, on: boolean): void {
  setFlag(nl, link, IFF_PROMISC, on);
}

export function setAllmulti(nl: Netlink, link: { readonly index: number }, on: boolean): void {
  setFlag(nl, link, IFF_ALLMULTI, on);
}

/**
 * Makes the link a port of `master` (an index; 0 takes it off). `up`: and sets it up, `ifAlias`: and gives it this
 * alias, in the same request; when it cannot be a port, it stays as it is.
 */
export function setMaster(
  nl: Netlink,
  link: { readonly index: number },
  master: number,
  { up, ifAlias }: { readonly up?: boolean; readonly ifAlias?: string | undefined } = {},
): void {
  setLink(nl, link, { master, ifAlias, ...(up && { flags: IFF_UP, change: IFF_UP }) });
}

export function setMac(nl: Netlink, link: { readonly index: number }, mac: Uint8Array): void {
  setLink(nl, link, { address: mac });
}

export function setMtu(nl: Netlink, link: { readonly index: number }, mtu: number): void {
  setLink(nl, link, { mtu });
}

export function setTxQueueLength(nl: Netlink, link: { readonly index: number }, txQueueLength: number): void {
  setLink(nl, link, { txQueueLength });
}

/** The link must be down on older kernels (EBUSY). */
export function renameLink(nl: Netlink, link: { readonly index: number }, name: string): void {
  checkNewName(name);
  setLink(nl, link, { ifname: name });
}
