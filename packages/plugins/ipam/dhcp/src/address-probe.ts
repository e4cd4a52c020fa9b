/** Asks a link whether somebody has an address, before it is used (RFC 5227, with less patience: an ADD waits for it). */
import { arpConflict, arpProbe } from '@cni-ts/dhcp-protocol/arp';
import { MalformedPacket } from '@cni-ts/dhcp-protocol/malformed';
import type { PacketSocket } from '@cni-ts/libc/packet-socket';
import { errorText } from '@cni-ts/spec/cni-error';
import { Alarm } from './alarm.ts';
import type { Around } from './around.ts';
import type { LinkPort } from './link-port.ts';
import { WatchedSocket } from './watched-socket.ts';

const everybody = new Uint8Array([255, 255, 255, 255, 255, 255]);
/** A host answers within a millisecond or it is not on this wire; a question may be lost. Milliseconds. */
const questions = 3;
const between = 150;

export class AddressProbe {
  readonly #around: Around;
  readonly #port: LinkPort;
  readonly #address: string;
  readonly #ended: (owner: string | undefined) => void;
  readonly #packets: WatchedSocket<PacketSocket>;
  readonly #timer: Alarm;
  #asked = 0;

  /** `ended`: told once after `start` has returned, with the hardware address of who has it; undefined where nobody says so. */
  constructor(around: Around, port: LinkPort, address: string, ended: (owner: string | undefined) => void) {
    this.#around = around;
    this.#port = port;
    this.#address = address;
    this.#ended = ended;
    this.#timer = new Alarm(around.loop);
    this.#packets = new WatchedSocket(around, {
      open: () => port.arp(),
      failure: () => `nobody is asked for ${address} on ${port.name}`,
      readable: () => this.#receive(),
      close(socket) {
        socket.mute();
        around.closer.close(socket);
      },
    });
  }

  start(): void {
    this.#packets.open();
    this.#timer.after(0, () => this.#ask());
  }

  stop(): void {
    this.#timer.cancel();
    this.#packets.close();
  }

  #ask(): void {
    const { socket } = this.#packets;
    if (!socket || this.#asked++ >= questions) {
      this.#end(undefined);
      return;
    }
    try {
      socket.send(arpProbe(this.#port.macText, this.#address), this.#port.index, everybody);
    } catch (error) {
      this.#around.log(`nobody was asked for ${this.#address} on ${this.#port.name}: ${errorText(error)}`);
    }
    this.#timer.after(between, () => this.#ask());
  }

  #receive(): void {
    const next = () => this.#packets.socket?.receive();
    for (let packet = next(); packet; packet = next()) {
      const owner = this.#ownerIn(packet.bytes);
      if (owner === undefined) continue;
      this.#end(owner);
      return;
    }
  }

  #ownerIn(packet: Uint8Array): string | undefined {
    try {
      return arpConflict(packet, this.#port.macText, this.#address);
    } catch (error) {
      // reason: anybody on the wire can send such a packet; it is nothing to us
      if (error instanceof MalformedPacket) return undefined;
      throw error;
    }
  }

  #end(owner: string | undefined): void {
    this.stop();
    this.#ended(owner);
  }
}
