/** For tests: a DHCPv4 server that says what the test wants, and remembers every packet byte by byte. */

import { decodeMessage4, encodeMessage4, type Message4 } from '@cni-ts/dhcp-protocol/message4';
import { PacketSocket } from '@cni-ts/libc/packet-socket';
import type { Container } from '@cni-ts/testing/namespaces';

/** A message of the client's, as it was on the wire. */
export interface Heard {
  readonly at: number;
  /** discover, request, decline, release, or the number. */
  readonly kind: string;
  readonly message: Message4;
  /** The DHCP message, undecoded. */
  readonly payload: Buffer;
  readonly source: string;
  readonly destination: string;
  /** Hardware address of the frame's sender. */
  readonly mac: string;
}

export const kinds = [
  '',
  'discover',
  'offer',
  'request',
  'decline',
  'ack',
  'nak',
  'release',
  'inform',
] as const;
type Kind = (typeof kinds)[number];

/** What is sent back. Options are in hex by code. */
export interface Saying {
  readonly kind: Kind;
  readonly address?: string;
  readonly server?: string | undefined;
  readonly options?: Readonly<Record<number, string>>;
  readonly flags?: number;
  readonly xid?: number;
  /** Sent instead: a whole IPv4 packet. */
  readonly packet?: Uint8Array;
}

export type Script = (heard: Heard, server: ScriptedServer) => Saying | readonly Saying[] | undefined;

export class ScriptedServer implements Disposable {
  script: Script;
  readonly #heard: Heard[] = [];
  #isBusy = false;
  readonly #socket: PacketSocket;
  readonly #index: number;
  readonly #timer: NodeJS.Timeout;

  constructor(place: Pick<Container, 'sh' | 'netns'>, script: Script, link = 'srv0') {
    this.script = script;
    this.#index = JSON.parse(place.sh(`ip -j link show ${link}`))[0].ifindex;
    this.#socket = place.netns.run(() => PacketSocket.open(67) as never) as unknown as PacketSocket; // reason: no promise
    this.#socket.listen(this.#index);
    this.#timer = setInterval(() => this.#receive(), 1);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#isBusy = true;
    this.#socket.close();
  }

  /** What came until now, in order. */
  get heard(): Heard[] {
    this.#receive();
    return this.#heard;
  }

  /** The kinds of what came, in order. */
  get kinds(): string[] {
    return this.heard.map(({ kind }) => kind);
  }

  of(kind: Kind): Heard[] {
    return this.heard.filter((one) => one.kind === kind);
  }

  /** Sends an IPv4 packet to everybody on the wire. */
  send(packet: Uint8Array): void {
    this.#socket.send(packet, this.#index, new Uint8Array(6).fill(255));
  }

  /** Whoever asks what came must not be told what the timer has seen of it. A script asks while this goes on. */
  #receive(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      this.#receiveAll();
    } finally {
      this.#isBusy = false;
    }
  }

  #receiveAll(): void {
    for (let packet = this.#socket.receive(); packet; packet = this.#socket.receive()) {
      const bytes = Buffer.from(packet.bytes);
      const header = (bytes[0]! & 15) * 4;
      const payload = Buffer.from(bytes.subarray(header + 8, header + bytes.readUInt16BE(header + 4)));
      const message = decodeMessage4(payload);
      const heard: Heard = {
        at: Date.now(),
        kind: kinds[message.options.get(53)?.[0] ?? 0] ?? '',
        message,
        payload,
        source: [...bytes.subarray(12, 16)].join('.'),
        destination: [...bytes.subarray(16, 20)].join('.'),
        mac: Buffer.from(packet.from).toString('hex'),
      };
      this.#heard.push(heard);
      const said = this.script(heard, this) ?? [];
      for (const one of Array.isArray(said) ? said : [said])
        this.send(one.packet ?? packetOf(answerTo(heard, one)));
    }
  }
}

export const serverId = '192.168.7.1';

/** `192.168.7.1` as an option's payload. */
export function quad(...addresses: string[]): string {
  return addresses.map((one) => Buffer.from(one.split('.').map(Number)).toString('hex')).join('');
}

export function seconds(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

function answerTo({ message }: Heard, said: Saying): Message4 {
  const { kind, address = '0.0.0.0', server = serverId, flags = message.flags, xid = message.xid } = said;
  const options = new Map<number, Uint8Array>();
  options.set(53, new Uint8Array([kinds.indexOf(kind)]));
  if ('server' in said ? said.server : server) options.set(54, Buffer.from(quad(server), 'hex'));
  for (const [code, payload] of Object.entries(said.options ?? {}))
    options.set(Number(code), Buffer.from(payload, 'hex'));
  return {
    ...message,
    op: 2,
    xid,
    flags,
    yiaddr: address,
    ciaddr: kind === 'ack' ? message.ciaddr : '0.0.0.0',
    options,
  };
}

export const usual: Readonly<Record<number, string>> = {
  1: quad('255.255.255.0'),
  3: quad('192.168.7.1'),
  51: seconds(3600),
};

/** A server that gives everybody this address. */
export function giving(address: string, options: Readonly<Record<number, string>> = usual): Script {
  return ({ kind }) => {
    if (kind === 'discover') return { kind: 'offer', address, options };
    return kind === 'request' ? { kind: 'ack', address, options } : undefined;
  };
}

/** UDP from the server's port to the client's. */
export function packetOf(message: Message4, source = serverId): Uint8Array {
  return packetWith(Buffer.from(encodeMessage4(message)), source);
}

export function packetWith(
  payload: Uint8Array,
  source = serverId,
  udpLength = payload.length + 8,
  totalLength = payload.length + 28,
): Uint8Array {
  const packet = Buffer.alloc(28 + payload.length);
  packet.writeUInt16BE(0x4500, 0);
  packet.writeUInt16BE(totalLength & 0xffff, 2);
  packet[8] = 64;
  packet[9] = 17;
  packet.set(source.split('.').map(Number), 12);
  packet.fill(255, 16, 20);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += packet.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  packet.writeUInt16BE(~sum & 0xffff, 10);
  packet.writeUInt16BE(67, 20);
  packet.writeUInt16BE(68, 22);
  packet.writeUInt16BE(udpLength & 0xffff, 24);
  packet.set(payload, 28);
  return packet;
}
