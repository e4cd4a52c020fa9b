import type { Netns } from '@cni-ts/libc/netns';
import { RawNetlinkSocket } from '@cni-ts/libc/socket';
import { errnoOf, SyscallError } from '@cni-ts/libc/syscall-error';
import { AbsentSubsystem } from './absent-subsystem.ts';
import { errnoAt, explanationIn, NLMSG_ERROR, Refused, type Reply, received, repliesIn } from './reply.ts';
import { type NetlinkRequest, NLM_F } from './request.ts';
import { trace } from './trace.ts';
import { Writer } from './writer.ts';

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

const protocols = { route: 0, netfilter: 12 } as const;
export type Protocol = keyof typeof protocols;

/** How long an answer is waited for, milliseconds, whatever else comes in meanwhile. The kernel answers at once, but may
 *  first have to wait for others that change links or rules. A socket gives up receiving after as long. */
export const answerPatience = 60_000;

/** Where all that is sent is written. Conversations are synchronous, so one is over before another begins. */
const sending = new Writer(4096);

/** A request that a process left behind has sent, and what the kernel answered, once it has. */
export interface Behind {
  readonly sequence: number;
  readonly name: string;
  outcome?: Refused | true;
}

/** A socket to one kernel subsystem: numbered requests are written and sent, answers received within a time. What may be
 *  asked by it is in socket.ts. */
export class Channel {
  readonly socket: RawNetlinkSocket | AbsentSubsystem;
  readonly protocol: Protocol;
  /** Number of the request written last. */
  sequence = 0;
  /** The request that somebody else has sent (see requestBehind), as long as its outcome was not asked for. */
  behind: Behind | undefined;
  /** Datagrams received since the last was sent, and until when one more is waited for. */
  #datagrams = 0;
  #until = 0;

  private constructor(protocol: Protocol) {
    this.protocol = protocol;
    const socket = openSocket(protocol);
    this.socket = socket;
    if (socket instanceof AbsentSubsystem) return;
    socket.setOption(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    socket.setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    // Lets the kernel filter dumps by the request's header; old kernels ignore it, so callers filter as well.
    if (protocol === 'route') socket.setOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  }

  /** In `netns`, else in the calling thread's namespace. */
  static open(protocol: Protocol, netns: Netns | undefined): Channel {
    return netns ? netns.run(() => new Channel(protocol)) : new Channel(protocol);
  }

  /** Empty, for the requests that are to be sent next. */
  begin(): Writer {
    sending.reset();
    return sending;
  }

  /** Returns the request's number. */
  write<T>(writer: Writer, request: NetlinkRequest<T>, flags: number): number {
    const sequence = ++this.sequence;
    const allFlags = NLM_F.request | request.flags | flags;
    const start = writer.beginMessage(request.type, allFlags, sequence);
    request.message.write(writer, request.value);
    writer.endMessage(start);
    trace()?.('>', this.protocol, request.name, allFlags, request.value);
    return sequence;
  }

  send(writer: Writer): void {
    this.#datagrams = 0;
    this.socket.send(writer.result());
  }

  /**
   * The messages of one datagram; `name` is whose answer is waited for. The first mostly is the answer: the clock is
   * asked from the second on, so that a socket that is flooded with others' messages is not read for ever.
   */
  receive(name: string): Reply[] {
    if (this.#datagrams++ > 0) this.#stillWaiting(name);
    let length: number;
    try {
      length = this.socket.receive(received);
    } catch (error) {
      throw unanswered(error, name);
    }
    return this.#messages(length);
  }

  /** What is there already; notes the outcome of the request left behind. */
  receiveNow(): void {
    const length = this.socket.receiveNow(received);
    if (length !== undefined) this.#messages(length);
  }

  #stillWaiting(name: string): void {
    const now = performance.now();
    if (this.#datagrams === 2) this.#until = now + answerPatience;
    else if (now > this.#until) throw late(name);
  }

  #messages(length: number): Reply[] {
    const replies = repliesIn(length);
    const { behind } = this;
    if (behind) {
      for (const reply of replies) {
        if (reply.sequence !== behind.sequence || reply.type !== NLMSG_ERROR) continue;
        behind.outcome = this.refusal(reply, behind.name) ?? true;
      }
    }
    return replies;
  }

  read<T>(reply: Reply, request: NetlinkRequest<T>): T {
    const value = request.message.read(received.subarray(reply.start, reply.end));
    trace()?.('<', this.protocol, request.name, reply.flags, value);
    return value;
  }

  isAck(reply: Reply, sequence: number, name: string): boolean {
    if (reply.sequence !== sequence || reply.type !== NLMSG_ERROR) return false;
    this.throwUnlessZero(reply, name);
    return true;
  }

  throwUnlessZero(reply: Reply, name: string): void {
    const refused = this.refusal(reply, name);
    if (refused) throw refused.error();
  }

  /** Of an ack: undefined. */
  refusal(reply: Reply, name: string): Refused | undefined {
    const errno = errnoAt(reply.start);
    if (errno === 0) return undefined;
    const explanation = explanationIn(reply);
    trace()?.('<', this.protocol, name, reply.flags, { errno, explanation });
    return new Refused(name, errno, explanation);
  }
}

/** Why there is no answer to a request, and that it may have been done all the same (see wasRefused). */
function unanswered(error: unknown, name: string): unknown {
  if (!(error instanceof SyscallError) || error.call !== 'recv') return error;
  if (error.code === 'EAGAIN') return late(name);
  return new SyscallError('recv', error.code, `the kernel's answer to ${name} was lost`);
}

function late(name: string): SyscallError {
  return new SyscallError('recv', 'ETIMEDOUT', `the kernel has not answered ${name} for 60 seconds`);
}

/** Netfilter is there for a part of the work, links and addresses for all: without the latter nothing can be done. */
function openSocket(protocol: Protocol): RawNetlinkSocket | AbsentSubsystem {
  try {
    return new RawNetlinkSocket(protocols[protocol]);
  } catch (error) {
    if (protocol === 'netfilter' && errnoOf(error) === 'EPROTONOSUPPORT') return new AbsentSubsystem();
    throw error;
  }
}
