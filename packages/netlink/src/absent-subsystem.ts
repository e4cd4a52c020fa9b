import type { RawNetlinkSocket } from '@cni-ts/libc/socket';
import { SyscallError } from '@cni-ts/libc/syscall-error';

/** include/uapi/asm-generic/errno.h: what socket(2) says too. */
const EPROTONOSUPPORT = 93;
const NLMSG_ERROR = 2;
/** struct nlmsghdr, and struct nlmsgerr with the header of the request. */
const headerLength = 16;
const answerLength = headerLength + 4 + headerLength;

/**
 * In place of a socket to a subsystem that the kernel does not have (CONFIG_NETFILTER_NETLINK on small devices): every
 * message is refused, as a kernel that knows the subsystem and not the message would. So it is nothing special to who
 * asks: nothing is there, and a change fails with `protocol not supported`.
 */
export class AbsentSubsystem
  implements
    Pick<
      RawNetlinkSocket,
      'fd' | 'send' | 'receive' | 'receiveNow' | 'enlargeReceiveBuffer' | 'enlargeSendBuffer' | 'close'
    >
{
  /** No descriptor. */
  readonly fd = -1;
  #refused: Uint8Array[] = [];

  send(messages: Uint8Array): void {
    const numbers = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
    for (let at = 0; at + headerLength <= messages.length; ) {
      this.#refused.push(messages.slice(at, at + headerLength));
      at += Math.max(headerLength, (numbers.getUint32(at, true) + 3) & ~3);
    }
  }

  receive(into: Uint8Array): number {
    const number = new DataView(into.buffer, into.byteOffset, into.byteLength);
    let length = 0;
    while (length + answerLength <= into.length) {
      const header = this.#refused.shift();
      if (!header) break;
      into.fill(0, length, length + answerLength);
      into.set(header, length + headerLength + 4);
      into.set(header.subarray(8, 12), length + 8); // the request's sequence number
      number.setUint32(length, answerLength, true);
      number.setUint16(length + 4, NLMSG_ERROR, true);
      number.setInt32(length + headerLength, -EPROTONOSUPPORT, true);
      length += answerLength;
    }
    // Whoever waits for more than it asked would wait for ever.
    if (length === 0) throw new SyscallError('recv', 'EAGAIN');
    return length;
  }

  receiveNow(into: Uint8Array): number | undefined {
    return this.#refused.length ? this.receive(into) : undefined;
  }

  enlargeReceiveBuffer(): void {
    // Nothing is kept that could need it.
  }

  enlargeSendBuffer(): void {
    // Nothing is sent that could need it.
  }

  close(): void {
    this.#refused = [];
  }
}
