/** Lets a DHCPv6 client (packages/dhcp-protocol) live on a link: its datagrams, its times, its steps. */
import { parseIp } from '@cni-ts/address/ip';
import { step6 } from '@cni-ts/dhcp-protocol/client6';
import type { Client6State, Event6, Outcome6, Outgoing6 } from '@cni-ts/dhcp-protocol/client6-state';
import { MalformedPacket } from '@cni-ts/dhcp-protocol/malformed';
import {
  allServers6,
  clientPort6,
  decodeMessage6,
  encodeMessage6,
  serverPort6,
} from '@cni-ts/dhcp-protocol/message6';
import type { Timer, Watch } from '@cni-ts/libc/event-loop';
import type { Ip6Socket } from '@cni-ts/libc/ip6-socket';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { messageOf } from '@cni-ts/spec/cni-error';
import type { Around } from './around.ts';
import type { LinkPort } from './link-port.ts';

const datagramsAtOnce = 32;
/** How often the first message is tried while the link has no address of its own yet; milliseconds. */
const beforeFirstAddress = 200;

export class Client6Driver {
  readonly #around: Around;
  readonly #port: LinkPort;
  readonly #tell: (outcome: Outcome6) => void;
  #state: Client6State;
  #socket: { readonly socket: Ip6Socket; readonly watch: Watch } | undefined;
  #timer: Timer | undefined;
  /** Tries again to send what could not be, since duplicate address detection goes on. */
  #again: Timer | undefined;

  constructor(around: Around, port: LinkPort, state: Client6State, tell: (outcome: Outcome6) => void) {
    this.#around = around;
    this.#port = port;
    this.#state = state;
    this.#tell = tell;
  }

  get state(): Client6State {
    return this.#state;
  }

  /** One event: what the client then says is sent, and what comes of it told. */
  step(event: Event6): void {
    const { state, send, wakeAt, outcome } = step6(this.#state, event, this.#around.now(), Math.random);
    this.#state = state;
    this.#listen();
    if (send.length > 0) this.#cancelAgain();
    for (const one of send) this.#send(one);
    if (this.#timer) this.#around.loop.cancel(this.#timer);
    this.#timer =
      wakeAt === undefined ? undefined : this.#around.loop.at(wakeAt, () => this.step({ type: 'timer' }));
    if (outcome) this.#tell(outcome);
  }

  /** The client is left as it is. */
  stop(): void {
    if (this.#timer) this.#around.loop.cancel(this.#timer);
    this.#timer = undefined;
    this.#cancelAgain();
    this.#close();
  }

  #cancelAgain(): void {
    if (this.#again) this.#around.loop.cancel(this.#again);
    this.#again = undefined;
  }

  /** A socket only as long as an answer is waited for. */
  #listen(): void {
    const { phase } = this.#state;
    if (phase === 'stopped' || phase === 'bound') this.#close();
    else if (!this.#socket) this.#open();
  }

  #open(): Ip6Socket | undefined {
    try {
      const socket = this.#port.udp6(clientPort6);
      const watch = { fd: socket.fd, readable: () => this.#receive() };
      this.#socket = { socket, watch };
      this.#around.loop.watch(watch);
      return socket;
    } catch (error) {
      // Another client has the port, or the link went away: as a packet that was lost.
      this.#around.log(`no DHCPv6 on ${this.#port.name}: ${messageOf(error)}`);
      return undefined;
    }
  }

  #close(): void {
    if (!this.#socket) return;
    const { socket, watch } = this.#socket;
    this.#socket = undefined;
    this.#around.loop.unwatch(watch);
    socket.close();
  }

  #receive(): void {
    for (let i = 0; i < datagramsAtOnce; i++) {
      const datagram = this.#socket?.socket.receive();
      if (!datagram) return;
      try {
        this.step({ type: 'message', message: decodeMessage6(datagram.bytes) });
      } catch (error) {
        // reason: anybody on the wire can send such a datagram, as often as he likes; it is nothing to us
        if (!(error instanceof MalformedPacket)) throw error;
      }
    }
  }

  #send(one: Outgoing6): void {
    const opened = this.#socket?.socket ?? this.#open();
    const to = parseIp(allServers6)!.bytes; // reason: a constant
    try {
      opened?.send(encodeMessage6(one.message), to, serverPort6, this.#port.index);
    } catch (error) {
      if (errnoOf(error) === 'EADDRNOTAVAIL' && this.#state.phase !== 'releasing') {
        this.#again = this.#around.loop.after(beforeFirstAddress, () => this.#send(one));
        return;
      }
      this.#around.log(`${one.kind} was not sent on ${this.#port.name}: ${messageOf(error)}`);
    }
  }
}
