import { kernelWrite } from '@cni-ts/libc/fault';
import { leaveBehind } from '@cni-ts/libc/leave-behind';
import type { Netns } from '@cni-ts/libc/netns';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { type Behind, Channel, type Protocol } from './channel.ts';
import type { Codec } from './codec.ts';
import { errnoAt, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, type Reply, received } from './reply.ts';
import { type NetlinkRequest, NLM_F } from './request.ts';
import type { Writer } from './writer.ts';

export { answerPatience } from './channel.ts';
export { Refused } from './reply.ts';
export { anyOf, type NetlinkRequest, NLM_F } from './request.ts';

const EPERM = 1;

const dumpAttempts = 8;
/** As many answers as surely find room in a socket's receive buffer. */
const getsAtOnce = 64;

/**
 * A conversation with one kernel subsystem in one network namespace. Requests are answered before the call
 * returns. What the kernel refuses becomes a SyscallError with the errno's name and the kernel's own explanation.
 */
export class Netlink {
  readonly #channel: Channel;
  #hasRemoved = false;

  private constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Opens a socket in `netns` (else in the calling thread's namespace); it stays there whoever uses it from where.
   *  Where the kernel lacks netfilter's subsystem, all that is asked of it is refused with EPROTONOSUPPORT. */
  static open(protocol: Protocol, netns?: Netns): Netlink {
    return new Netlink(Channel.open(protocol, netns));
  }

  /** Sends a request that changes something and waits for its ack. Throws SyscallError. */
  request<T>(request: NetlinkRequest<T>): void {
    kernelWrite(request.name);
    const writer = this.#channel.begin();
    const sequence = this.#channel.write(writer, request, NLM_F.ack);
    this.#sendAndWait(writer, sequence, request.name);
  }

  #sendAndWait(writer: Writer, sequence: number, name: string): void {
    this.#channel.send(writer);
    while (!this.#channel.receive(name).some((reply) => this.#channel.isAck(reply, sequence, name)));
  }

  /**
   * Like `request`, but where a process can be left behind to wait for it, it is only sent: whether the kernel has
   * answered tells what is returned (false: not yet; a refusal is thrown). Undefined where it has been waited for.
   * Other requests may be made meanwhile: an answer that comes between theirs is kept. One can be pending at a time.
   */
  requestBehind<T>(request: NetlinkRequest<T>): (() => boolean) | undefined {
    kernelWrite(request.name);
    const writer = this.#channel.begin();
    const sequence = this.#channel.write(writer, request, NLM_F.ack);
    if (!leaveBehind(this.#channel.socket.fd, writer.result(), 0)) {
      this.#sendAndWait(writer, sequence, request.name);
      return undefined;
    }
    const behind: Behind = { sequence, name: request.name };
    this.#channel.behind = behind;
    return () => {
      if (!behind.outcome) this.#channel.receiveNow();
      if (!behind.outcome) return false;
      this.#channel.behind = undefined;
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
    if (this.#hasRemoved && this.#channel.socket.fd >= 0)
      leaveBehind(this.#channel.socket.fd, undefined, milliseconds);
    this.close();
  }

  /** Like `request`, for a request that the kernel answers with a message (NLM_F_ECHO, or a get without dump). */
  get<T>(request: NetlinkRequest<T>): T {
    const writer = this.#channel.begin();
    const sequence = this.#channel.write(writer, request, 0);
    this.#channel.send(writer);
    for (;;) {
      for (const reply of this.#channel.receive(request.name)) {
        if (reply.sequence !== sequence) continue;
        if (reply.type === NLMSG_ERROR) this.#channel.throwUnlessZero(reply, request.name);
        else return this.#channel.read(reply, request);
      }
    }
  }

  /**
   * Like `get`, where the kernel may have nothing to say: it sends the ack alone for what exists but is not shown, as
   * a built-in qdisc. undefined then.
   */
  find<T>(request: NetlinkRequest<T>): T | undefined {
    const writer = this.#channel.begin();
    const sequence = this.#channel.write(writer, request, NLM_F.ack);
    this.#channel.send(writer);
    let found: T | undefined;
    for (;;) {
      for (const reply of this.#channel.receive(request.name)) {
        if (this.#channel.isAck(reply, sequence, request.name)) return found;
        if (reply.sequence === sequence) found = this.#channel.read(reply, request);
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
    const writer = this.#channel.begin();
    for (const request of requests) this.#channel.write(writer, request, 0);
    this.#channel.send(writer);
    const first = this.#channel.sequence - requests.length + 1;
    const answers: unknown[] = [];
    let missing = requests.length;
    while (missing > 0) {
      for (const reply of this.#channel.receive(requests[0]!.name)) {
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
    return (
      this.#channel.protocol === 'netfilter' && reply.type === NLMSG_ERROR && errnoAt(reply.start) === EPERM
    );
  }

  #refusedEach(reply: Reply, requests: readonly NetlinkRequest<never>[]): unknown[] {
    return requests.map(({ name }) => this.#channel.refusal(reply, name));
  }

  #answerOf(reply: Reply, request: NetlinkRequest<never>): unknown {
    return reply.type === NLMSG_ERROR
      ? this.#channel.refusal(reply, request.name)
      : this.#channel.read(reply, request);
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
    const writer = this.#channel.begin();
    const sequence = this.#channel.write(writer, request, NLM_F.dump);
    this.#channel.send(writer);
    const payloads: Uint8Array[] = [];
    let interrupted = false;
    for (;;) {
      for (const reply of this.#channel.receive(request.name)) {
        if (reply.sequence !== sequence) continue;
        if (reply.flags & NLM_F.dumpInterrupted) interrupted = true;
        if (reply.type === NLMSG_DONE) {
          const errno = reply.end - reply.start >= 4 ? errnoAt(reply.start) : 0;
          if (errno > 0) throw new SyscallError(request.name, errno);
          return { values: payloads.map((payload) => reader.read(payload)), interrupted };
        }
        if (reply.type === NLMSG_ERROR) this.#channel.throwUnlessZero(reply, request.name);
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
    const writer = this.#channel.begin();
    const waiting = new Map<number, string>();
    for (const request of requests) {
      const acked = expectAcks(request);
      const sequence = this.#channel.write(writer, request, acked ? NLM_F.ack : 0);
      if (acked) waiting.set(sequence, request.name);
    }
    if (requests.length > 100) this.#channel.socket.enlargeReceiveBuffer(requests.length * 1024);
    if (writer.length > 100_000) this.#channel.socket.enlargeSendBuffer(writer.length + 4096);
    this.#channel.send(writer);
    let failure: unknown;
    const first = this.#channel.sequence - requests.length + 1;
    while (waiting.size) {
      for (const reply of this.#channel.receive(requests[0]!.name)) {
        if (reply.sequence < first) continue;
        const name = waiting.get(reply.sequence) ?? requests[reply.sequence - first]?.name ?? 'batch';
        waiting.delete(reply.sequence);
        if (reply.sequence === first && this.#refusesAll(reply)) this.#channel.throwUnlessZero(reply, name);
        try {
          if (reply.type === NLMSG_ERROR) this.#channel.throwUnlessZero(reply, name);
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
    const writer = this.#channel.begin();
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
    const first = this.#channel.sequence + 1;
    for (let i = 0; i < places.length; i++) {
      this.#channel.write(writer, requests[places[i]!]!, i === places.length - 1 ? NLM_F.ack : 0);
    }
    this.#channel.send(writer);
    const last = this.#channel.sequence;
    for (let answered = false; !answered; ) {
      for (const reply of this.#channel.receive(requests[0]!.name)) {
        if (reply.sequence < first || reply.type !== NLMSG_ERROR) continue;
        const place = places[reply.sequence - first]!;
        const refusal = this.#channel.refusal(reply, requests[place]!.name);
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
    this.#channel.socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
