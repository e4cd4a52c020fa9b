/** What the kernel answers: the messages of a datagram, and its no. */
import { errnoName } from '@cni-ts/libc/errno';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributesOf } from './attributes.ts';

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/** Where every socket receives. Conversations are synchronous, so one is over before another begins. */
export const received = new Uint8Array(65536);
const numbers = new DataView(received.buffer);

/** One message of `received`, good until the next is received, on whichever socket. */
export interface Reply {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Where its payload begins and ends. */
  readonly start: number;
  readonly end: number;
}

/** The messages of a datagram of so many bytes. */
export function repliesIn(length: number): Reply[] {
  const replies: Reply[] = [];
  let at = 0;
  while (at + 16 <= length) {
    const size = numbers.getUint32(at, true);
    if (size < 16 || at + size > length)
      throw new SyscallError('recv', 'EMSGSIZE', 'a netlink message was cut off');
    replies.push({
      type: numbers.getUint16(at + 4, true),
      flags: numbers.getUint16(at + 6, true),
      sequence: numbers.getUint32(at + 8, true),
      start: at + 16,
      end: at + size,
    });
    at += (size + 3) & ~3;
  }
  return replies;
}

/** The errno that the kernel wrote there as a negative number. */
export function errnoAt(at: number): number {
  return -numbers.getInt32(at, true);
}

/** What the kernel says to its refusal, '' for nothing. struct nlmsgerr: the negative errno, the request's header (all of
 *  the request on old kernels), attributes. */
export function explanationIn({ flags, start, end }: Reply): string {
  let explanation = '';
  if (flags & NLM_F_ACK_TLVS) {
    const echoed = flags & NLM_F_CAPPED ? 16 : (numbers.getUint32(start + 4, true) + 3) & ~3;
    const rest = received.subarray(Math.min(start + 4 + echoed, end), end);
    for (const { type, bytes } of attributesOf(rest)) {
      if (type === NLMSGERR_ATTR_MSG) explanation = new TextDecoder().decode(bytes.subarray(0, -1));
    }
  }
  return explanation;
}

/** The kernel's no to a question that may well get one: no error, since making one takes longer than asking. */
export class Refused {
  readonly #call: string;
  readonly #errno: number;
  readonly #explanation: string;

  constructor(call: string, errno: number, explanation: string) {
    this.#call = call;
    this.#errno = errno;
    this.#explanation = explanation;
  }

  /** The errno's name. */
  get code(): string {
    return errnoName(this.#errno);
  }

  error(): SyscallError {
    return new SyscallError(this.#call, this.#errno, this.#explanation);
  }
}
