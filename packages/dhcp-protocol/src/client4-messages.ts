/** What the DHCPv4 client says, by RFC 2131, table 5. */
import { parseMac } from '@cni-ts/address/mac';
import { noAddress4 } from './address-bytes.ts';
import type { Client4Config, Client4State, Outgoing4 } from './client4-state.ts';
import { fromHex } from './hex.ts';
import { broadcastFlag, type Message4, MessageType4 } from './message4.ts';
import { codeOf4, type RawOptions4, writeOption4 } from './options4.ts';

export const everyone4 = '255.255.255.255';
/** What a packet of Ethernet holds (option 57). */
const maxMessageSize = 1500;
const infinibandAddress = 20;
/** Kinds of hardware, by IANA. */
const ethernet = 1;
const infiniband = 32;
/** Options that only the client itself can say: overload, type. */
const ours: readonly number[] = [52, 53];

/** The hardware address as it is in a message. InfiniBand's does not fit, and is left out (RFC 4390). */
export function chaddrOf(config: Client4Config): { htype: number; chaddr: Uint8Array } {
  const mac = parseMac(config.mac) ?? new Uint8Array(0);
  if (mac.length === infinibandAddress) return { htype: infiniband, chaddr: new Uint8Array(0) };
  return { htype: ethernet, chaddr: mac };
}

export function discover4(state: Client4State): Outgoing4 {
  const options = newOptions(MessageType4.discover);
  if (state.wanted !== undefined) writeOption4(options, 'requestedAddress', state.wanted);
  const message = messageOf(state, { options, flags: flagsOf(state.config) });
  return { kind: 'discover', source: noAddress4, destination: everyone4, message };
}

/** REQUEST for an offer. */
export function request4(state: Client4State, offer: NonNullable<Client4State['offer']>): Outgoing4 {
  const options = newOptions(MessageType4.request);
  writeOption4(options, 'requestedAddress', offer.address);
  if (offer.serverId !== undefined) writeOption4(options, 'serverId', offer.serverId);
  const flags = offer.flags | flagsOf(state.config);
  const message = messageOf(state, { options, flags, ciaddr: offer.ciaddr });
  return { kind: 'request', source: noAddress4, destination: everyone4, message };
}

/** REQUEST for an address known from before. */
export function reboot4(state: Client4State, address: string): Outgoing4 {
  const options = newOptions(MessageType4.request);
  writeOption4(options, 'requestedAddress', address);
  const message = messageOf(state, { options, flags: flagsOf(state.config) });
  return { kind: 'reboot', source: noAddress4, destination: everyone4, message };
}

/** REQUEST to the server that gave the address; to all, where it did not tell who it is. */
export function renew4(state: Client4State, address: string, serverId: string | undefined): Outgoing4 {
  const message = messageOf(state, { options: newOptions(MessageType4.request), ciaddr: address, secs: 0 });
  return { kind: 'renew', source: address, destination: serverId ?? everyone4, message };
}

/** REQUEST to any server. */
export function rebind4(state: Client4State, address: string): Outgoing4 {
  const message = messageOf(state, { options: newOptions(MessageType4.request), ciaddr: address, secs: 0 });
  return { kind: 'rebind', source: address, destination: everyone4, message };
}

/**
 * From the address itself, and with the client id that the REQUEST had: dnsmasq does not hear of one from 0.0.0.0, which
 * its kernel drops as it comes, and a strict server does not know a client without its id.
 */
export function release4(state: Client4State, address: string, serverId: string | undefined): Outgoing4 {
  const options = newOptions(MessageType4.release);
  if (serverId !== undefined) writeOption4(options, 'serverId', serverId);
  const message = lastWord(state, options, address);
  return { kind: 'release', source: address, destination: serverId ?? everyone4, message };
}

export function decline4(state: Client4State, address: string, serverId: string | undefined): Outgoing4 {
  const options = newOptions(MessageType4.decline);
  writeOption4(options, 'requestedAddress', address);
  if (serverId !== undefined) writeOption4(options, 'serverId', serverId);
  return {
    kind: 'decline',
    source: noAddress4,
    destination: everyone4,
    message: lastWord(state, options, noAddress4),
  };
}

function newOptions(type: number): RawOptions4 {
  const options: RawOptions4 = new Map();
  writeOption4(options, 'messageType', type);
  return options;
}

function flagsOf(config: Client4Config): number {
  // Nothing can be sent by unicast to an InfiniBand address that the message has no room for.
  const unreachable = chaddrOf(config).htype === infiniband;
  return config.broadcast || unreachable ? broadcastFlag : 0;
}

interface Parts {
  readonly options: RawOptions4;
  readonly flags?: number;
  readonly ciaddr?: string;
  readonly secs?: number;
}

/** With what all questions have: request list, size, client id, and at last what the configuration provides. */
function messageOf(state: Client4State, parts: Parts): Message4 {
  const { options } = parts;
  const { config } = state;
  writeOption4(options, 'maxMessageSize', maxMessageSize);
  addClientId(options, config);
  for (const name of Object.keys(config.provide)) {
    const code = Number(name);
    const payload = fromHex(config.provide[name]!);
    if (payload !== undefined && code > 0 && code < 255 && !ours.includes(code)) options.set(code, payload);
  }
  if (config.request.length > 0) writeOption4(options, 'requestList', Uint8Array.from(config.request));
  return plainMessage(state, parts);
}

/** What needs no answer has no more than who says it. */
function lastWord(state: Client4State, options: RawOptions4, ciaddr: string): Message4 {
  addClientId(options, state.config);
  return plainMessage(state, { options, ciaddr, secs: 0 });
}

function plainMessage(
  state: Client4State,
  { options, flags = 0, ciaddr = noAddress4, secs }: Parts,
): Message4 {
  const { htype, chaddr } = chaddrOf(state.config);
  return {
    op: 1,
    htype,
    hops: 0,
    xid: state.xid,
    secs: secs ?? state.secs,
    flags,
    ciaddr,
    yiaddr: noAddress4,
    siaddr: noAddress4,
    giaddr: noAddress4,
    chaddr,
    sname: '',
    file: '',
    options,
  };
}

/** One that the configuration provides stands for ours in whatever is sent. */
function addClientId(options: RawOptions4, config: Client4Config): void {
  const code = codeOf4('clientId');
  const id = fromHex(config.provide[code] ?? config.clientId ?? '-');
  if (id !== undefined) options.set(code, id);
}
