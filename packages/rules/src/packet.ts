/** A packet as rules look at it: nothing is sent. */
import type { Ip } from '@cni-ts/address/ip';

export type PacketProtocol = 'tcp' | 'udp' | 'icmp';

/** A host's link, as far as rules ask. */
export interface PacketLink {
  readonly name: string;
  readonly index: number;
}

/** Rules change it: address translation, marks. */
export interface Packet {
  readonly protocol: PacketProtocol;
  source: Ip;
  destination: Ip;
  sourcePort: number;
  /** 0 where the protocol has none. */
  destinationPort: number;
  input: PacketLink | undefined;
  output: PacketLink | undefined;
  mark: number;
  /** The first of its connection, or an answer. */
  state: 'new' | 'established';
  /** Whether an address of the connection was translated. */
  translated: { source: boolean; destination: boolean };
  /** Of the connection's first packet, before any translation. */
  readonly original: { readonly destination: Ip; readonly port: number };
  /** Whether it is an answer, whose direction is the other one. */
  readonly isReply: boolean;
}

const numbers = {
  tcp: { 4: 6, 6: 6 },
  udp: { 4: 17, 6: 17 },
  icmp: { 4: 1, 6: 58 },
} as const;

/** The first packet of a connection. The source's port is one that clients get. */
export function firstPacket(of: {
  readonly protocol: PacketProtocol;
  readonly source: Ip;
  readonly destination: Ip;
  readonly destinationPort: number;
}): Packet {
  const { protocol, source, destination, destinationPort } = of;
  return {
    protocol,
    source,
    destination,
    sourcePort: protocol === 'icmp' ? 0 : 40000,
    destinationPort,
    input: undefined,
    output: undefined,
    mark: 0,
    state: 'new',
    translated: { source: false, destination: false },
    original: { destination, port: destinationPort },
    isReply: false,
  };
}

/** The answer to it, at the same place: what came in goes out. */
export function answerTo(packet: Packet): Packet {
  const { source, destination, sourcePort, destinationPort, input, output } = packet;
  return {
    ...packet,
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
    input: output,
    output: input,
    mark: 0,
    state: 'established',
    translated: { ...packet.translated },
    isReply: true,
  };
}

export function protocolNumber({ protocol, source }: Packet): number {
  return numbers[protocol][source.family];
}

/** The network header, with what rules look at: protocol and addresses. */
export function networkHeader(packet: Packet): Uint8Array {
  const { source, destination } = packet;
  const four = source.family === 4;
  const header = new Uint8Array(four ? 20 : 40);
  header[0] = four ? 0x45 : 0x60;
  header[four ? 8 : 7] = 64;
  header[four ? 9 : 6] = protocolNumber(packet);
  header.set(source.bytes, four ? 12 : 8);
  header.set(destination.bytes, four ? 16 : 24);
  return header;
}

const echoRequest = { 4: 8, 6: 128 } as const;
const SYN = 0x02;
const SYN_ACK = 0x12;

/** The transport header: ports and flags, or the type of an echo. */
export function transportHeader({ protocol, source, ...packet }: Packet): Uint8Array {
  const header = new Uint8Array(20);
  if (protocol === 'icmp') {
    if (!packet.isReply) header[0] = echoRequest[source.family];
    else header[0] = source.family === 4 ? 0 : 129;
    return header;
  }
  const view = new DataView(header.buffer);
  view.setUint16(0, packet.sourcePort);
  view.setUint16(2, packet.destinationPort);
  if (protocol === 'tcp') {
    header[12] = 0x50;
    header[13] = packet.isReply ? SYN_ACK : SYN;
  }
  return header;
}
