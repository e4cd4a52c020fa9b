import type { Codec } from './codec.ts';

/** include/uapi/linux/netlink.h */
export const NLM_F = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  dumpInterrupted: 0x10,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  /** NLM_F_ROOT | NLM_F_MATCH */
  dump: 0x300,
} as const;

/** One request: its kernel name (for errors and traces), number, flags beyond NLM_F_REQUEST, and body. */
export interface NetlinkRequest<T> {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly message: Codec<T>;
  readonly value: T;
}

/** A request among others of other kinds, of which only the sending is of interest. */
export function anyOf<T>(request: NetlinkRequest<T>): NetlinkRequest<never> {
  return request as unknown as NetlinkRequest<never>; // reason: its value fits its own message, whatever T is
}
