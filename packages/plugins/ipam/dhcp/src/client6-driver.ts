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
import type { Ip6Socket } from '@cni-ts/libc/ip6-socket';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { messageOf } from '@cni-ts/spec/cni-error';
import { Alarm } from './alarm.ts';
import type { Around } from './around.ts';
import type { LinkPort } from './link-port.ts';
import { WatchedSocket } from './watched-socket.ts';

const datagramsAtOnce = 32;
/** How often the first message is tried while the link has no address of its own yet; milliseconds. */
const beforeFirstAddress = 200;

/** What the client needs of a link. */
export type Wire6 = Pick<LinkPort, 'name' | 'index' | 'udp6'>;

export class Client6Driver {
  readonly #around: Around;
  readonly #port: Wire6;
  readonly #tell: (outcome: Outcome6) => void;
  #state: Client6State;
  readonly #datagrams: WatchedSocket<Ip6Socket>;
  readonly #timer: Alarm;
  /** Tries again to send what could not be, since duplicate address detection goes on. */
  readonly #again: Alarm;

  constructor(around: Around, port: Wire6, state: Client6State, tell: (outcome: Outcome6) => void) {
    this.#around = around;
    this.#port = port;
    this.#state = state;
    this.#tell = tell;
    this.#timer = new Alarm(around.loop);
    this.#again = new Alarm(around.loop);
    this.#datagrams = new WatchedSocket(around, {
      open: () => port.udp6(clientPort6),
      failure: () => `no DHCPv6 on ${port.name}`,
      readable: () => this.#receive(),
    });
  }

  get state(): Client6State {
    return this.#state;
  }

  /** One event: what the client then says is sent, and what comes of it told. */
  step(event: Event6): void {
    const { state, send, wakeAt, outcome } = step6(this.#state, event, this.#around.now(), Math.random);
    this.#state = state;
    this.#listen();
    if (send.length > 0) this.#again.cancel();
    for (const one of send) this.#send(one);
    this.#timer.at(wakeAt, () => this.step({ type: 'timer' }));
    if (outcome) this.#tell(outcome);
  }

  /** The client is left as it is. */
  stop(): void {
    this.#timer.cancel();
    this.#again.cancel();
    this.#datagrams.close();
  }

  /** A socket only as long as an answer is waited for. */
  #listen(): void {
    const { phase } = this.#state;
    if (phase === 'stopped' || phase === 'bound') this.#datagrams.close();
    else this.#datagrams.open();
  }

  #receive(): void {
    for (let i = 0; i < datagramsAtOnce; i++) {
      const datagram = this.#datagrams.socket?.receive();
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
    const opened = this.#datagrams.open();
    const to = parseIp(allServers6)!.bytes; // reason: a constant
    try {
      opened?.send(encodeMessage6(one.message), to, serverPort6, this.#port.index);
    } catch (error) {
      if (errnoOf(error) === 'EADDRNOTAVAIL' && this.#state.phase !== 'releasing') {
        this.#again.after(beforeFirstAddress, () => this.#send(one));
        return;
      }
      this.#around.log(`${one.kind} was not sent on ${this.#port.name}: ${messageOf(error)}`);
    }
  }
}
