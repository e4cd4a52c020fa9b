import { errnoName } from '@cni-ts/libc/errno';
import { kernelWrite } from '@cni-ts/libc/fault';
import { leaveBehind } from '@cni-ts/libc/leave-behind';
import type { Netns } from '@cni-ts/libc/netns';
import { RawNetlinkSocket } from '@cni-ts/libc/socket';
import { errnoOf, SyscallError } from '@cni-ts/libc/syscall-error';
import { AbsentSubsystem } from './absent-subsystem.ts';
import { attributesOf } from './attributes.ts';
import type { Codec } from './codec.ts';
import { trace } from './trace.ts';
import { Writer } from './writer.ts';

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

const EPERM = 1;

const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

const protocols = { route: 0, netfilter: 12 } as const;
const dumpAttempts = 8;
/** How long an answer is waited for, milliseconds, whatever else comes in meanwhile. The kernel answers at once, but may
 *  first have to wait for others that change links or rules. A socket gives up receiving after as long. */
export const answerPatience = 60_000;
/** As many answers as surely find room in a socket's receive buffer. */
const getsAtOnce = 64;

/** Where every socket receives, and where what it sends is written. Conversations are synchronous, so one is over before
 *  another begins. */
const received = new Uint8Array(65536);
const receivedNumbers = new DataView(received.buffer);
const sending = new Writer(4096);

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

/** One message of `received`, good until the next is received, on whichever socket. */
interface Reply {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Where its payload begins and ends. */
  readonly start: number;
  readonly end: number;
}

/** A request that a process left behind has sent, and what the kernel answered, once it has. */
interface Behind {
  readonly sequence: number;
  readonly name: string;
  outcome?: Refused | true;
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

/**
 * A conversation with one kernel subsystem in one network namespace. Requests are answered before the call
 * returns. What the kernel refuses becomes a SyscallError with the errno's name and the kernel's own explanation.
 */
export class Netlink {
  readonly #socket: RawNetlinkSocket | AbsentSubsystem;
  readonly #protocol: keyof typeof protocols;
  #sequence = 0;
  #hasRemoved = false;
  /** Datagrams received since the last was sent, and until when one more is waited for. */
  #datagrams = 0;
  #until = 0;
  /** The request that somebody else has sent (see requestBehind), as long as its outcome was not asked for. */
  #behind: Behind | undefined;

  private constructor(protocol: keyof typeof protocols) {
    this.#protocol = protocol;
    const socket = openSocket(protocol);
    this.#socket = socket;
    if (socket instanceof AbsentSubsystem) return;
    socket.setOption(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    socket.setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    // Lets the kernel filter dumps by the request's header; old kernels ignore it, so callers filter as well.
    if (protocol === 'route') socket.setOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  }

  /** Opens a socket in `netns` (else in the calling thread's namespace); it stays there whoever uses it from where.
   *  Where the kernel lacks netfilter's subsystem, all that is asked of it is refused with EPROTONOSUPPORT. */
  static open(protocol: keyof typeof protocols, netns?: Netns): Netlink {
    return netns ? netns.run(() => new Netlink(protocol)) : new Netlink(protocol);
  }

  /** Sends a request that changes something and waits for its ack. Throws SyscallError. */
  request<T>(request: NetlinkRequest<T>): void {
    kernelWrite(request.name);
    const writer = emptyWriter();
    const sequence = this.#write(writer, request, NLM_F.ack);
    this.#sendAndWait(writer, sequence, request.name);
  }

  #sendAndWait(writer: Writer, sequence: number, name: string): void {
    this.#send(writer);
    while (!this.#receive(name).some((reply) => this.#isAck(reply, sequence, name)));
  }

  /**
   * Like `request`, but where a process can be left behind to wait for it, it is only sent: whether the kernel has
   * answered tells what is returned (false: not yet; a refusal is thrown). Undefined where it has been waited for.
   * Other requests may be made meanwhile: an answer that comes between theirs is kept. One can be pending at a time.
   */
  requestBehind<T>(request: NetlinkRequest<T>): (() => boolean) | undefined {
    kernelWrite(request.name);
    const writer = emptyWriter();
    const sequence = this.#write(writer, request, NLM_F.ack);
    if (!leaveBehind(this.#socket.fd, writer.result(), 0)) {
      this.#sendAndWait(writer, sequence, request.name);
      return undefined;
    }
    const behind: Behind = { sequence, name: request.name };
    this.#behind = behind;
    return () => {
      if (!behind.outcome) {
        const length = this.#socket.receiveNow(received);
        if (length !== undefined) this.#messages(length);
      }
      if (!behind.outcome) return false;
      this.#behind = undefined;
      if (behind.outcome !== true) throw behind.outcome.error();
      return true;
    };
  }

  /**
   * Like `close`, after `batch` has removed something: the kernel lets a netfilter socket's closing wait until it has
   * freed that, 10 to 20 ms, and others' changes as long. Where a process can be left behind, it keeps the socket for
   * so many milliseconds, and its closing finds nothing to wait for.
   */
  closeBehind(milliseconds: number): void {
    if (this.#hasRemoved && this.#socket.fd >= 0) leaveBehind(this.#socket.fd, undefined, milliseconds);
    this.close();
  }

  /** Like `request`, for a request that the kernel answers with a message (NLM_F_ECHO, or a get without dump). */
  get<T>(request: NetlinkRequest<T>): T {
    const writer = emptyWriter();
    const sequence = this.#write(writer, request, 0);
    this.#send(writer);
    for (;;) {
      for (const reply of this.#receive(request.name)) {
        if (reply.sequence !== sequence) continue;
        if (reply.type === NLMSG_ERROR) this.#throwUnlessZero(reply, request.name);
        else return this.#read(reply, request);
      }
    }
  }

  /**
   * Like `get`, where the kernel may have nothing to say: it sends the ack alone for what exists but is not shown, as
   * a built-in qdisc. undefined then.
   */
  find<T>(request: NetlinkRequest<T>): T | undefined {
    const writer = emptyWriter();
    const sequence = this.#write(writer, request, NLM_F.ack);
    this.#send(writer);
    let found: T | undefined;
    for (;;) {
      for (const reply of this.#receive(request.name)) {
        if (this.#isAck(reply, sequence, request.name)) return found;
        if (reply.sequence === sequence) found = this.#read(reply, request);
      }
    }
  }

  /**
   * Several `get`s in one go: their answers in order, a Refused in place of each that the kernel refused. What is asked
   * together costs one message to the kernel, but is no snapshot.
   */
  getEach(requests: readonly NetlinkRequest<never>[]): unknown[] {
    const answers: unknown[] = [];
    for (let at = 0; at < requests.length; at += getsAtOnce) {
      answers.push(...this.#getSome(requests.slice(at, at + getsAtOnce)));
    }
    return answers;
  }

  #getSome(requests: readonly NetlinkRequest<never>[]): unknown[] {
    const writer = emptyWriter();
    for (const request of requests) this.#write(writer, request, 0);
    this.#send(writer);
    const first = this.#sequence - requests.length + 1;
    const answers: unknown[] = [];
    let missing = requests.length;
    while (missing > 0) {
      for (const reply of this.#receive(requests[0]!.name)) {
        const at = reply.sequence - first;
        const request = requests[at];
        if (!request || at in answers) continue;
        if (at === 0 && this.#refusesAll(reply)) return this.#refusedEach(reply, requests);
        answers[at] = this.#answerOf(reply, request);
        missing--;
      }
    }
    return answers;
  }

  /** Whoever may not change the network: nfnetlink answers the first message of what is sent together, and no other. */
  #refusesAll(reply: Reply): boolean {
    return this.#protocol === 'netfilter' && reply.type === NLMSG_ERROR && errnoAt(reply.start) === EPERM;
  }

  #refusedEach(reply: Reply, requests: readonly NetlinkRequest<never>[]): unknown[] {
    return requests.map(({ name }) => this.#refusal(reply, name));
  }

  #answerOf(reply: Reply, request: NetlinkRequest<never>): unknown {
    return reply.type === NLMSG_ERROR ? this.#refusal(reply, request.name) : this.#read(reply, request);
  }

  /**
   * Asks for everything that matches. When the kernel says that its tables changed meanwhile (NLM_F_DUMP_INTR) the
   * dump is repeated, and after eight times given up with EINTR: a partial answer is never returned.
   */
  dump<T, R = T>(request: NetlinkRequest<T>, reader: Codec<R> = request.message as unknown as Codec<R>): R[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const { values, interrupted } = this.dumpOnce(request, reader);
      if (!interrupted) return values;
    }
    throw new SyscallError(request.name, 'EINTR', 'the table changed during each of eight dumps');
  }

  /**
   * One dump, and whether the kernel's tables changed meanwhile: then something may be missing or twice. Everything
   * is received before anything is read, which keeps that window short.
   */
  dumpOnce<T, R = T>(
    request: NetlinkRequest<T>,
    reader: Codec<R> = request.message as unknown as Codec<R>,
  ): { readonly values: R[]; readonly interrupted: boolean } {
    const writer = emptyWriter();
    const sequence = this.#write(writer, request, NLM_F.dump);
    this.#send(writer);
    const payloads: Uint8Array[] = [];
    let interrupted = false;
    for (;;) {
      for (const reply of this.#receive(request.name)) {
        if (reply.sequence !== sequence) continue;
        if (reply.flags & NLM_F.dumpInterrupted) interrupted = true;
        if (reply.type === NLMSG_DONE) {
          const errno = reply.end - reply.start >= 4 ? errnoAt(reply.start) : 0;
          if (errno > 0) throw new SyscallError(request.name, errno);
          return { values: payloads.map((payload) => reader.read(payload)), interrupted };
        }
        if (reply.type === NLMSG_ERROR) this.#throwUnlessZero(reply, request.name);
        else if (reply.type !== NLMSG_NOOP) payloads.push(received.slice(reply.start, reply.end));
      }
    }
  }

  /**
   * Sends several changing requests in one go and collects their acks. The kernel works through all of them; the
   * first failure is thrown after the last answer (nfnetlink transactions then have changed nothing, see nftables).
   * `removes`: whether something goes, see `closeBehind`.
   */
  batch(
    requests: readonly NetlinkRequest<never>[],
    expectAcks: (request: NetlinkRequest<never>) => boolean = () => true,
    removes = false,
  ): void {
    if (!requests.length) return;
    if (removes) this.#hasRemoved = true;
    // All of it leaves at once, so it counts as one write.
    kernelWrite(requests.map((one) => one.name).join('; '));
    const writer = emptyWriter();
    const waiting = new Map<number, string>();
    for (const request of requests) {
      const acked = expectAcks(request);
      const sequence = this.#write(writer, request, acked ? NLM_F.ack : 0);
      if (acked) waiting.set(sequence, request.name);
    }
    if (requests.length > 100) this.#socket.enlargeReceiveBuffer(requests.length * 1024);
    if (writer.length > 100_000) this.#socket.enlargeSendBuffer(writer.length + 4096);
    this.#send(writer);
    let failure: unknown;
    const first = this.#sequence - requests.length + 1;
    while (waiting.size) {
      for (const reply of this.#receive(requests[0]!.name)) {
        if (reply.sequence < first) continue;
        const name = waiting.get(reply.sequence) ?? requests[reply.sequence - first]?.name ?? 'batch';
        waiting.delete(reply.sequence);
        if (reply.sequence === first && this.#refusesAll(reply)) this.#throwUnlessZero(reply, name);
        try {
          if (reply.type === NLMSG_ERROR) this.#throwUnlessZero(reply, name);
        } catch (error) {
          failure ??= error;
          // An error on the batch's own begin message means that nothing else will be answered.
          if (!expectAcks(requests[reply.sequence - first]!)) throw failure;
        }
      }
    }
    if (failure) throw failure;
  }

  /**
   * Sends changing requests in one message and asks for the ack of the last alone: what the kernel refuses it tells
   * anyhow. It works on after a refusal, so this is for what goes away with one link when any of it fails. The refusals
   * by their request's place; undefined where there was none.
   */
  sendAll(requests: readonly NetlinkRequest<never>[]): Map<number, SyscallError> | undefined {
    const writer = emptyWriter();
    let refused: Map<number, SyscallError> | undefined;
    const places: number[] = [];
    for (let place = 0; place < requests.length; place++) {
      try {
        kernelWrite(requests[place]!.name);
        places.push(place);
      } catch (error) {
        // A test lets this one fail; the others are sent all the same, as the kernel would do them.
        if (!(error instanceof SyscallError)) throw error;
        refused ??= new Map();
        refused.set(place, error);
      }
    }
    if (places.length === 0) return refused;
    const first = this.#sequence + 1;
    for (let i = 0; i < places.length; i++) {
      this.#write(writer, requests[places[i]!]!, i === places.length - 1 ? NLM_F.ack : 0);
    }
    this.#send(writer);
    const last = this.#sequence;
    for (let answered = false; !answered; ) {
      for (const reply of this.#receive(requests[0]!.name)) {
        if (reply.sequence < first || reply.type !== NLMSG_ERROR) continue;
        const place = places[reply.sequence - first]!;
        const refusal = this.#refusal(reply, requests[place]!.name);
        if (refusal) {
          refused ??= new Map();
          refused.set(place, refusal.error());
        }
        if (reply.sequence === last) answered = true;
      }
    }
    return refused;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #write<T>(writer: Writer, request: NetlinkRequest<T>, flags: number): number {
    const sequence = ++this.#sequence;
    const allFlags = NLM_F.request | request.flags | flags;
    const start = writer.beginMessage(request.type, allFlags, sequence);
    request.message.write(writer, request.value);
    writer.endMessage(start);
    trace()?.('>', this.#protocol, request.name, allFlags, request.value);
    return sequence;
  }

  #read<T>(reply: Reply, request: NetlinkRequest<T>): T {
    const value = request.message.read(received.subarray(reply.start, reply.end));
    trace()?.('<', this.#protocol, request.name, reply.flags, value);
    return value;
  }

  #send(writer: Writer): void {
    this.#datagrams = 0;
    this.#socket.send(writer.result());
  }

  /**
   * The messages of one datagram; `name` is whose answer is waited for. The first mostly is the answer: the clock is
   * asked from the second on, so that a socket that is flooded with others' messages is not read for ever.
   */
  #receive(name: string): Reply[] {
    if (this.#datagrams++ > 0) this.#stillWaiting(name);
    let length: number;
    try {
      length = this.#socket.receive(received);
    } catch (error) {
      throw unanswered(error, name);
    }
    return this.#messages(length);
  }

  #stillWaiting(name: string): void {
    const now = performance.now();
    if (this.#datagrams === 2) this.#until = now + answerPatience;
    else if (now > this.#until) {
      throw new SyscallError('recv', 'ETIMEDOUT', `the kernel has not answered ${name} for 60 seconds`);
    }
  }

  #messages(length: number): Reply[] {
    const replies: Reply[] = [];
    const behind = this.#behind;
    let at = 0;
    while (at + 16 <= length) {
      const size = receivedNumbers.getUint32(at, true);
      if (size < 16 || at + size > length)
        throw new SyscallError('recv', 'EMSGSIZE', 'a netlink message was cut off');
      replies.push({
        type: receivedNumbers.getUint16(at + 4, true),
        flags: receivedNumbers.getUint16(at + 6, true),
        sequence: receivedNumbers.getUint32(at + 8, true),
        start: at + 16,
        end: at + size,
      });
      if (behind) this.#keep(replies.at(-1)!, behind);
      at += (size + 3) & ~3;
    }
    return replies;
  }

  /** The outcome of the request that was sent by the process left behind, if this is it. */
  #keep(reply: Reply, behind: Behind): void {
    if (reply.sequence !== behind.sequence || reply.type !== NLMSG_ERROR) return;
    behind.outcome = this.#refusal(reply, behind.name) ?? true;
  }

  #isAck(reply: Reply, sequence: number, name: string): boolean {
    if (reply.sequence !== sequence || reply.type !== NLMSG_ERROR) return false;
    this.#throwUnlessZero(reply, name);
    return true;
  }

  #throwUnlessZero(reply: Reply, name: string): void {
    const refused = this.#refusal(reply, name);
    if (refused) throw refused.error();
  }

  /** struct nlmsgerr: the negative errno, the request's header (all of the request on old kernels), attributes. */
  #refusal(reply: Reply, name: string): Refused | undefined {
    const errno = errnoAt(reply.start);
    if (errno === 0) return undefined;
    let explanation = '';
    if (reply.flags & NLM_F_ACK_TLVS) {
      const echoed =
        reply.flags & NLM_F_CAPPED ? 16 : (receivedNumbers.getUint32(reply.start + 4, true) + 3) & ~3;
      const rest = received.subarray(Math.min(reply.start + 4 + echoed, reply.end), reply.end);
      for (const { type, bytes } of attributesOf(rest)) {
        if (type === NLMSGERR_ATTR_MSG) explanation = new TextDecoder().decode(bytes.subarray(0, -1));
      }
    }
    trace()?.('<', this.#protocol, name, reply.flags, { errno, explanation });
    return new Refused(name, errno, explanation);
  }
}

/** Why there is no answer to a request, and that it may have been done all the same (see wasRefused). */
function unanswered(error: unknown, name: string): unknown {
  if (!(error instanceof SyscallError) || error.call !== 'recv') return error;
  if (error.code === 'EAGAIN') {
    return new SyscallError('recv', 'ETIMEDOUT', `the kernel has not answered ${name} for 60 seconds`);
  }
  return new SyscallError('recv', error.code, `the kernel's answer to ${name} was lost`);
}

/** Netfilter is there for a part of the work, links and addresses for all: without the latter nothing can be done. */
function openSocket(protocol: keyof typeof protocols): RawNetlinkSocket | AbsentSubsystem {
  try {
    return new RawNetlinkSocket(protocols[protocol]);
  } catch (error) {
    if (protocol === 'netfilter' && errnoOf(error) === 'EPROTONOSUPPORT') return new AbsentSubsystem();
    throw error;
  }
}

function errnoAt(at: number): number {
  return -receivedNumbers.getInt32(at, true);
}

function emptyWriter(): Writer {
  sending.reset();
  return sending;
}
