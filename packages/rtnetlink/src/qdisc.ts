import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes, type Read, type Selected, select } from '@cni-ts/netlink/attributes';
import { type Codec, s32, struct, u8, u16, u32, u64 } from '@cni-ts/netlink/codec';
import { type Netlink, type NetlinkRequest, NLM_F } from '@cni-ts/netlink/socket';
import { indexOf } from './link.ts';

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_GETQDISC = 38;
/** Without it the kernel sends the answer of a get to those who listen to changes only. */
const NLM_F_ECHO = 0x8;

/** Places a qdisc can be attached to, TC_H_*, include/uapi/linux/pkt_sched.h. */
export const tcParent = { root: 0xffffffff, ingress: 0xfffffff1 } as const;
/** Handles are major:minor, 16 bits each. The ingress qdisc's is always ffff: */
export const tcHandle = { first: 0x00010000, ingress: 0xffff0000 } as const;

/** struct tcmsg, include/uapi/linux/rtnetlink.h. `info` is a filter's priority and protocol. */
export const tcmsg = struct({
  family: u8,
  padding: u8,
  padding2: u16,
  index: s32,
  handle: u32,
  parent: u32,
  info: u32,
});

/** struct tc_ratespec, include/uapi/linux/pkt_sched.h. `rate`: bytes per second, as far as 32 bits go. */
const rateSpec = struct({ cellLog: u8, linkLayer: u8, overhead: u16, cellAlign: u16, mpu: u16, rate: u32 });
export const noRate = { cellLog: 0, linkLayer: 0, overhead: 0, cellAlign: 0, mpu: 0, rate: 0 } as const;

/** A token bucket: TCA_TBF_*, include/uapi/linux/pkt_sched.h. */
const tbf = attributes('TCA_TBF_', {
  // limit: bytes that may wait; buffer: the bucket's size as the time it lasts, in ticks of /proc/net/psched
  parms: [1, struct({ rate: rateSpec, peakRate: rateSpec, limit: u32, buffer: u32, mtu: u32 })],
  rate64: [4, u64], // bytes per second; sent only where parms has no room for it
  burst: [6, u32], // the bucket's size in bytes, which then counts instead of parms' buffer; never read back
});

/** A queue of so many bytes: struct tc_fifo_qopt, include/uapi/linux/pkt_sched.h. */
const bfifo = struct({ limit: u32 });

const kinds = { tbf, bfifo };

/** A qdisc: header, TCA_KIND (1) and the TCA_OPTIONS (2) of that kind. */
export const qdiscMessage = tcMessage(select({ kind: 1, data: 2 }, kinds));

/** What qdiscs and filters have in common: the header, then a name, then what the name decides. */
export function tcMessage<T extends object>(
  body: Codec<T>,
): Codec<Partial<Read<typeof tcmsg>> & T> & { readonly nested: true } {
  const headerSize = tcmsg.size ?? 0;
  return {
    nested: true,
    write(to, value) {
      tcmsg.write(to, value as Read<typeof tcmsg>); // reason: struct writes absent members as zero
      body.write(to, value);
    },
    read: (payload) => ({
      ...tcmsg.read(payload.subarray(0, headerSize)),
      ...body.read(payload.subarray(headerSize)),
    }),
  };
}

/** A qdisc as the kernel describes it. */
export interface Qdisc {
  readonly kind: string;
  /** 0 for one that the kernel gave the link by itself. */
  readonly handle: number;
  /** Of a tbf. */
  readonly tokenBucket?: TokenBucket | undefined;
}

/** Lets `rate` bytes per second pass, and `burst` bytes at once after a pause. */
export interface TokenBucket {
  /** Bytes per second. */
  readonly rate: bigint;
  /** Bytes that may wait; what comes on top is dropped. */
  readonly limit: number;
  /** Ticks in which the rate fills the bucket; of a longer time the kernel tells the low 32 bits. */
  readonly buffer: number;
  /** Bytes, instead of `buffer` where that has no room for the time. The kernel never tells it. */
  readonly burst?: number | undefined;
}

/** Nanoseconds of a tick, in which the buckets' times are told: PSCHED_SHIFT, include/net/pkt_sched.h, since 2.6.31. */
export const tick = 64;

/**
 * The qdisc at the link's `parent`; undefined where the kernel's default is at work (or none, at ingress), and of a link
 * that is gone.
 */
export function findQdisc(
  nl: Netlink,
  link: { readonly index: number },
  parent: number = tcParent.root,
): Qdisc | undefined {
  try {
    const value = nl.find({
      name: 'RTM_GETQDISC',
      type: RTM_GETQDISC,
      flags: NLM_F_ECHO,
      message: qdiscMessage,
      value: { index: link.index, parent, kind: '' },
    });
    return value && toQdisc(value);
  } catch (error) {
    if (error instanceof SyscallError && (error.code === 'ENOENT' || error.code === 'ENODEV'))
      return undefined;
    throw error;
  }
}

/** Indexes of the links that have an ingress qdisc: a dump of every qdisc of the namespace, so not for the hot path. */
export function linksWithIngress(nl: Netlink): number[] {
  const all = nl.dump({
    name: 'RTM_GETQDISC',
    type: RTM_GETQDISC,
    flags: 0,
    message: qdiscMessage,
    value: { kind: '' },
  });
  return all.flatMap(({ kind, index }) => (kind === 'ingress' && index ? [index] : []));
}

function toQdisc(value: Read<typeof qdiscMessage>): Qdisc {
  return { kind: value.kind, handle: value.handle ?? 0, tokenBucket: tokenBucketOf(value) };
}

function tokenBucketOf(value: Selected<typeof kinds>): TokenBucket | undefined {
  if (value.kind !== 'tbf') return undefined;
  const { parms, rate64 } = (value.data ?? {}) as Read<typeof tbf>; // reason: the kind says so
  if (!parms) return undefined;
  return { rate: rate64 ?? BigInt(parms.rate.rate), limit: parms.limit, buffer: parms.buffer };
}

/**
 * Makes a token bucket the root of the link, as 1:. EEXIST if somebody gave the link a root qdisc already (the
 * kernel's default is none), EINVAL for a bucket that holds no byte, ENOENT if the kernel lacks tbf.
 */
export function addTokenBucket(nl: Netlink, link: { readonly index: number }, bucket: TokenBucket): void {
  const rate = { ...noRate, rate: Number(BigInt.asUintN(32, bucket.rate)) };
  const parms = { rate, peakRate: noRate, limit: bucket.limit, buffer: bucket.buffer, mtu: 0 };
  const rate64 = bucket.rate >= 2n ** 32n ? bucket.rate : undefined;
  change(nl, RTM_NEWQDISC, NLM_F.create | NLM_F.exclusive, {
    index: indexOf(link),
    handle: tcHandle.first,
    parent: tcParent.root,
    kind: 'tbf',
    data: { parms, rate64, burst: bucket.burst },
  });
}

/** Gives a token bucket made by addTokenBucket another queue, of `limit` bytes, whatever its own limit says. */
export function addBucketQueue(nl: Netlink, link: { readonly index: number }, limit: number): void {
  const value = { index: indexOf(link), parent: tcHandle.first | 1, kind: 'bfifo', data: { limit } } as const;
  change(nl, RTM_NEWQDISC, NLM_F.create | NLM_F.exclusive, value);
}

/** Lets filters see what the link receives. EEXIST if it has an ingress qdisc (or clsact) already. */
export function addIngress(nl: Netlink, link: { readonly index: number }): void {
  nl.request(newIngress(link));
}

/** The request of addIngress. */
export function newIngress(link: { readonly index: number }): NetlinkRequest<Read<typeof qdiscMessage>> {
  const value = { ...ingress, index: indexOf(link), kind: 'ingress' };
  const flags = NLM_F.create | NLM_F.exclusive;
  return { name: 'RTM_NEWQDISC', type: RTM_NEWQDISC, flags, message: qdiscMessage, value };
}

/** Takes a qdisc away, and its filters with it; false if it was gone, or another one (another handle) is there. */
export function deleteQdisc(
  nl: Netlink,
  link: { readonly index: number },
  qdisc: { readonly parent: number; readonly handle: number },
): boolean {
  try {
    const { parent, handle } = qdisc;
    change(nl, RTM_DELQDISC, 0, { index: indexOf(link), parent, handle, kind: '' });
    return true;
  } catch (error) {
    if (error instanceof SyscallError && absent.has(error.code)) return false;
    throw error;
  }
}

/** No qdisc there, no such link; and EINVAL: one with another handle, of somebody else or built in. */
const absent = new Set(['ENOENT', 'ENODEV', 'EINVAL']);

export const rootBucket = { parent: tcParent.root, handle: tcHandle.first } as const;
export const ingress = { parent: tcParent.ingress, handle: tcHandle.ingress } as const;

const names = { [RTM_NEWQDISC]: 'RTM_NEWQDISC', [RTM_DELQDISC]: 'RTM_DELQDISC' } as const;

function change(
  nl: Netlink,
  type: keyof typeof names,
  flags: number,
  value: Read<typeof qdiscMessage>,
): void {
  nl.request({ name: names[type], type, flags, message: qdiscMessage, value });
}

/** Deletes whatever qdisc somebody gave the link; the kernel's own is none. */
export function deleteRootQdisc(nl: Netlink, link: { readonly index: number }): void {
  const { handle } = findQdisc(nl, link) ?? {};
  if (handle) deleteQdisc(nl, link, { handle, parent: tcParent.root });
}
