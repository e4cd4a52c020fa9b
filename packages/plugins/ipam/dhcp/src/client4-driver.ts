/** Lets a DHCPv4 client (packages/dhcp-protocol) live on a link: its packets, its times, its steps. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { step4 } from '@cni-ts/dhcp-protocol/client4';
import type { Client4State, Event4, Outcome4, Outgoing4 } from '@cni-ts/dhcp-protocol/client4-state';
import { clientPort4, readFrame4, writeFrame4 } from '@cni-ts/dhcp-protocol/frame4';
import { MalformedPacket } from '@cni-ts/dhcp-protocol/malformed';
import { decodeMessage4, encodeMessage4 } from '@cni-ts/dhcp-protocol/message4';
import type { PacketSocket } from '@cni-ts/libc/packet-socket';
import { messageOf } from '@cni-ts/spec/cni-error';
import { Alarm } from './alarm.ts';
import type { Around } from './around.ts';
import type { LinkPort } from './link-port.ts';
import { WatchedSocket } from './watched-socket.ts';

const everybody = new Uint8Array([255, 255, 255, 255, 255, 255]);
const toEverybody = '255.255.255.255';
/** What arrives while one packet is answered is taken at once, but no flood keeps the others waiting. */
const packetsAtOnce = 32;

export class Client4Driver {
  readonly #around: Around;
  readonly #port: LinkPort;
  readonly #tell: (outcome: Outcome4) => void;
  #state: Client4State;
  #serverMac: Uint8Array | undefined;
  readonly #packets: WatchedSocket<PacketSocket>;
  readonly #timer: Alarm;
  /** Who sent the packet that the step at hand is about. */
  #from: Uint8Array | undefined;

  /** `serverMac`: the hardware address that the lease came from, as `serverMac` says it. */
  constructor(
    around: Around,
    port: LinkPort,
    state: Client4State,
    serverMac: string | undefined,
    tell: (outcome: Outcome4) => void,
  ) {
    this.#around = around;
    this.#port = port;
    this.#state = state;
    this.#serverMac = serverMac === undefined ? undefined : parseMac(serverMac);
    this.#tell = tell;
    this.#timer = new Alarm(around.loop);
    this.#packets = new WatchedSocket(around, {
      open: () => port.packets(clientPort4),
      failure: () => `no packets of ${port.name}`,
      readable: () => this.#receive(),
      close(socket) {
        socket.mute();
        around.closer.close(socket);
      },
    });
  }

  get state(): Client4State {
    return this.#state;
  }

  get serverMac(): string | undefined {
    return this.#serverMac && formatMac(this.#serverMac);
  }

  /** One event: what the client then says is sent, and what comes of it told. */
  step(event: Event4): void {
    const { state, send, wakeAt, outcome } = step4(this.#state, event, this.#around.now(), Math.random);
    this.#state = state;
    if (outcome && 'lease' in outcome && this.#from) this.#serverMac = this.#from.slice();
    this.#listen();
    for (const one of send) this.#send(one);
    this.#timer.at(wakeAt, () => this.step({ type: 'timer' }));
    if (outcome) this.#tell(outcome);
  }

  /** The client is left as it is. */
  stop(): void {
    this.#timer.cancel();
    this.#packets.close();
  }

  /** A socket only as long as an answer is waited for. */
  #listen(): void {
    const { phase } = this.#state;
    if (phase === 'stopped' || phase === 'pausing' || phase === 'bound') this.#packets.close();
    else this.#packets.open();
  }

  #receive(): void {
    for (let i = 0; i < packetsAtOnce; i++) {
      const packet = this.#packets.socket?.receive();
      if (!packet) return;
      try {
        // The sender's kernel may have left UDP's checksum to hardware that a veth has not.
        const datagram = readFrame4(packet.bytes, { checksum: false });
        if (!datagram) continue;
        const message = decodeMessage4(datagram.payload);
        this.#from = packet.from.slice();
        this.step({ type: 'message', message });
      } catch (error) {
        // reason: anybody on the wire can send such a packet, as often as he likes; it is nothing to us
        if (!(error instanceof MalformedPacket)) throw error;
      } finally {
        this.#from = undefined;
      }
    }
  }

  #send({ kind, source, destination, message }: Outgoing4): void {
    // The first try goes to the server alone; it may have moved since.
    const isFirst = this.#state.sends <= 1 || kind === 'release';
    const to = destination !== toEverybody && isFirst ? (this.#serverMac ?? everybody) : everybody;
    const packet = writeFrame4({ source, destination, payload: encodeMessage4(message) });
    const opened = this.#packets.open();
    try {
      opened?.send(packet, this.#port.index, to);
    } catch (error) {
      this.#around.log(`${kind} was not sent on ${this.#port.name}: ${messageOf(error)}`);
    } finally {
      this.#listen();
    }
  }
}
