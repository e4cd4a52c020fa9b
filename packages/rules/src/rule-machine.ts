/**
 * One rule of the kernel, run on a packet that is not sent: loads, masks, comparisons, look-ups in sets, and what then
 * becomes of the packet. Whoever wrote the rule: nft, iptables-nft, ourselves. What is not understood makes the answer a
 * "perhaps", never a "no".
 */
import type { Ip } from '@cni-ts/address/ip';
import { readMatch } from '@cni-ts/iptables/native-match';
import { readTarget } from '@cni-ts/iptables/native-target';
import { dataOf, type Expression } from '@cni-ts/nftables/expression';
import type { RawSet } from '@cni-ts/nftables/set';
import { networkHeader, type Packet, protocolNumber, transportHeader } from './packet.ts';
import { firstWord, linkName, number, word } from './register-file.ts';
import { compare, memberOf } from './set-membership.ts';

export type Deed =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  | { readonly kind: 'dnat'; readonly address: Ip | undefined; readonly port: number | undefined }
  | { readonly kind: 'snat' | 'masquerade' };

export interface Ran {
  /** Whether all that it asks of a packet is so. */
  readonly matches: 'yes' | 'no' | 'perhaps';
  /** What it then does, in the end; undefined for nothing that ends the chain. */
  readonly deed: Deed | undefined;
}

/** What a rule may ask of the host. */
export interface RuleWorld {
  isLocal(address: Ip): boolean;
  set(name: string): RawSet | undefined;
}

/** A bit of `ct status`. */
const IPS_SRC_NAT = 0x10;
const IPS_DST_NAT = 0x20;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

/** What takes nothing away from a packet and asks nothing of it. */
const harmless = ['counter', 'log', 'last', 'objref', 'notrack', 'dynset', 'flow_offload'];
export const harmlessTargets: readonly string[] = [
  'LOG',
  'NFLOG',
  'CT',
  'NOTRACK',
  'CONNMARK',
  'CHECKSUM',
  'TCPMSS',
  'TRACE',
  'CLASSIFY',
];

/** Runs the rule; a mark that it sets is set in the packet when it matches for certain. */
export function runRule(expressions: readonly Expression[], packet: Packet, world: RuleWorld): Ran {
  const machine = new Machine(packet, world);
  for (const one of expressions) {
    const deed = machine.step(one);
    if (machine.matches === 'no') break;
    if (deed) return { matches: machine.matches, deed };
  }
  return { matches: machine.matches, deed: undefined };
}

interface Loaded {
  readonly into: number | undefined;
  readonly value: Uint8Array | undefined;
}

class Machine {
  matches: Ran['matches'] = 'yes';
  readonly #packet: Packet;
  readonly #world: RuleWorld;
  /** Words of four bytes; undefined where it is not known what was loaded. */
  readonly #registers: (number[] | undefined)[] = [];

  constructor(packet: Packet, world: RuleWorld) {
    this.#packet = packet;
    this.#world = world;
  }

  step(one: Expression): Deed | undefined {
    const loaded = this.#loaded(one);
    if (loaded) {
      this.#store(loaded.into, loaded.value);
      return undefined;
    }
    const compared = dataOf(one, 'cmp');
    if (compared) {
      this.#compare(compared.source, compared.op, compared.data?.value);
      return undefined;
    }
    const looked = dataOf(one, 'lookup');
    if (looked) return this.#lookUp(looked);
    const masked = dataOf(one, 'bitwise');
    if (masked) {
      this.#mask(masked);
      return undefined;
    }
    return this.#does(one);
  }

  #loaded(one: Expression): Loaded | undefined {
    const payload = dataOf(one, 'payload');
    if (payload) {
      const { base, offset = 0, length = 0, destination } = payload;
      const header: Uint8Array | undefined =
        base === 'network'
          ? networkHeader(this.#packet)
          : base === 'transport'
            ? transportHeader(this.#packet)
            : undefined;
      const value = header?.slice(offset, offset + length);
      return { into: destination, value: value?.length === length ? value : undefined };
    }
    const meta = dataOf(one, 'meta');
    if (meta?.destination !== undefined) return { into: meta.destination, value: this.#meta(meta.key) };
    const ct = dataOf(one, 'ct');
    if (ct?.destination !== undefined)
      return { into: ct.destination, value: this.#connection(ct.key, ct.direction) };
    const fib = dataOf(one, 'fib');
    if (fib) return { into: fib.destination, value: this.#fib(fib.result, fib.flags) };
    const immediate = dataOf(one, 'immediate');
    return immediate?.data?.value ? { into: immediate.destination, value: immediate.data.value } : undefined;
  }

  #meta(key: number | undefined): Uint8Array | undefined {
    const { source, input, output, mark } = this.#packet;
    switch (key) {
      case 1:
        return source.family === 4 ? Uint8Array.of(0x08, 0) : Uint8Array.of(0x86, 0xdd);
      case 3:
        return word(mark);
      case 4:
        return word(input?.index ?? 0);
      case 5:
        return word(output?.index ?? 0);
      case 6:
        return linkName(input?.name);
      case 7:
        return linkName(output?.name);
      case 15:
        return Uint8Array.of(source.family === 4 ? 2 : 10);
      case 16:
        return Uint8Array.of(protocolNumber(this.#packet));
      default:
        return undefined;
    }
  }

  /** NFT_CT_*; with a direction it is the connection's first packet's, or the answer's, which is not known here. */
  #connection(key: number | undefined, direction: Uint8Array | undefined): Uint8Array | undefined {
    const { state, translated, original, isReply } = this.#packet;
    if (direction !== undefined) {
      if (direction[0] !== 0) return undefined;
      if (key === 12) return Uint8Array.of(original.port >> 8, original.port & 0xff);
      return key === 9 || key === 20 || key === 22 ? original.destination.bytes : undefined;
    }
    if (key === 0) return word(state === 'new' ? 8 : 2);
    if (key === 1) return Uint8Array.of(isReply ? 1 : 0);
    if (key === 2)
      return word((translated.source ? IPS_SRC_NAT : 0) | (translated.destination ? IPS_DST_NAT : 0));
    return key === 3 ? word(0) : undefined;
  }

  #fib(result: string | undefined, flags = 0): Uint8Array | undefined {
    if (result !== 'type') return undefined;
    const address = flags & 2 ? this.#packet.destination : this.#packet.source;
    return word(this.#world.isLocal(address) ? RTN_LOCAL : RTN_UNICAST);
  }

  #store(register: number | undefined, value: Uint8Array<ArrayBufferLike> | undefined): void {
    const first = firstWord(register);
    const words = value === undefined ? 4 : Math.ceil(value.length / 4);
    for (let i = 0; i < words; i++) {
      this.#registers[first + i] = value && Array.from({ length: 4 }, (_, byte) => value[i * 4 + byte] ?? 0);
    }
  }

  #read(register: number | undefined, length: number): Uint8Array | undefined {
    const first = firstWord(register);
    const bytes: number[] = [];
    for (let i = 0; i < Math.ceil(length / 4); i++) {
      const found = this.#registers[first + i];
      if (!found) return undefined;
      bytes.push(...found);
    }
    return Uint8Array.from(bytes.slice(0, length));
  }

  #compare(register: number | undefined, op = '==', value: Uint8Array = new Uint8Array()): void {
    const held = this.#read(register, value.length);
    if (!held) {
      this.#perhaps();
      return;
    }
    const order = compare(held, value);
    const holds = {
      '==': order === 0,
      '!=': order !== 0,
      '<': order < 0,
      '<=': order <= 0,
      '>': order > 0,
      '>=': order >= 0,
    };
    if (!holds[op as keyof typeof holds]) this.matches = 'no'; // reason: the codec knows no other operators
  }

  #mask(of: NonNullable<ReturnType<typeof dataOf<'bitwise'>>>): void {
    const { source, destination, length = 0, mask, xor, op = 0 } = of;
    const held = this.#read(source, length);
    const [and, or] = [mask?.value, xor?.value];
    const plain = held && op === 0 && and && or;
    this.#store(destination, plain ? held.map((byte, i) => (byte & and[i]!) ^ or[i]!) : undefined);
  }

  #lookUp(of: NonNullable<ReturnType<typeof dataOf<'lookup'>>>): Deed | undefined {
    const set = this.#world.set(of.set ?? '');
    const held = set && this.#read(of.source, set.keyLength);
    const member = set && held ? memberOf(set, held) : 'unknown';
    if (member === 'unknown') {
      this.#perhaps();
      if (of.destination !== undefined) this.#store(of.destination, undefined);
      return undefined;
    }
    const inverted = ((of.flags ?? 0) & 1) !== 0;
    if ((member !== undefined) === inverted) {
      this.matches = 'no';
      return undefined;
    }
    if (of.destination === undefined || !member) return undefined;
    if (member.verdict) return verdictOf(member.verdict);
    this.#store(of.destination, member.value);
    return undefined;
  }

  #perhaps(): void {
    if (this.matches === 'yes') this.matches = 'perhaps';
  }

  #does(one: Expression): Deed | undefined {
    const verdict = dataOf(one, 'immediate')?.data?.verdict;
    if (verdict) return verdictOf(verdict);
    const set = dataOf(one, 'meta');
    if (set?.source !== undefined) {
      const value = this.#read(set.source, 4);
      if (set.key === 3 && value && this.matches === 'yes') this.#packet.mark = number(value);
      return undefined;
    }
    const match = dataOf(one, 'match');
    if (match) {
      this.#extension(match);
      return undefined;
    }
    const target = dataOf(one, 'target');
    if (target) return this.#target(target);
    const nat = dataOf(one, 'nat');
    if (nat) return this.#nat(nat);
    if (one.kind === 'masq') return { kind: 'masquerade' };
    if (one.kind === 'redir') return { kind: 'dnat', address: undefined, port: undefined };
    const kind: string = one.kind ?? '';
    if (kind === 'reject') return { kind: 'drop' };
    if (!harmless.includes(kind) && dataOf(one, 'ct')?.source === undefined) this.#perhaps();
    return undefined;
  }

  #nat(of: NonNullable<ReturnType<typeof dataOf<'nat'>>>): Deed {
    if (of.type !== 'dnat') return { kind: 'snat' };
    const { family } = this.#packet.source;
    const bytes = of.addressMin === undefined ? undefined : this.#read(of.addressMin, family === 4 ? 4 : 16);
    const port = of.portMin === undefined ? undefined : this.#read(of.portMin, 2);
    return {
      kind: 'dnat',
      address: bytes && { family, bytes },
      port: port && (port[0]! << 8) | port[1]!,
    };
  }

  #extension(match: NonNullable<ReturnType<typeof dataOf<'match'>>>): void {
    const read = readMatch(match);
    if (!read) {
      this.#perhaps();
      return;
    }
    const { destinationPort, mark, state, translated, destination } = this.#packet;
    const holds =
      (read.state?.some(
        (name) =>
          name === state ||
          (name === 'snat' && translated.source) ||
          (name === 'dnat' && translated.destination),
      ) ??
        true) &&
      (read.port === undefined || read.port === destinationPort) &&
      (read.ports === undefined || read.ports.includes(destinationPort)) &&
      (read.mark === undefined || (mark & read.mark.mask) >>> 0 === read.mark.value >>> 0) &&
      (!read.local || this.#world.isLocal(destination)) &&
      (read.protocol === undefined || read.protocol === this.#packet.protocol);
    if (!holds) this.matches = 'no';
  }

  #target(target: NonNullable<ReturnType<typeof dataOf<'target'>>>): Deed | undefined {
    const read = readTarget(this.#packet.source.family, target);
    if (read?.kind === 'dnat') return { kind: 'dnat', address: read.address, port: read.port };
    if (read?.kind === 'masquerade') return { kind: 'masquerade' };
    if (read?.kind === 'mark') {
      const { mark } = this.#packet;
      if (this.matches === 'yes') this.#packet.mark = (((mark & ~read.mask) >>> 0) ^ read.value) >>> 0;
      return undefined;
    }
    switch (target.name) {
      case 'REJECT':
        return { kind: 'drop' };
      case 'MASQUERADE':
        return { kind: 'masquerade' };
      case 'SNAT':
        return { kind: 'snat' };
      case 'DNAT':
      case 'REDIRECT':
        return { kind: 'dnat', address: undefined, port: undefined };
      default:
        if (!harmlessTargets.includes(target.name ?? '')) this.#perhaps();
        return undefined;
    }
  }
}

/** NF_DROP, NF_ACCEPT, NFT_RETURN, NFT_JUMP, NFT_GOTO */
function verdictOf(of: {
  readonly code?: number | undefined;
  readonly chain?: string | undefined;
}): Deed | undefined {
  const code = (of.code ?? 0) | 0;
  if (code === -3 || code === -4) return { kind: code === -3 ? 'jump' : 'goto', chain: of.chain ?? '' };
  if (code === 0) return { kind: 'drop' };
  if (code === 1) return { kind: 'accept' };
  return code === -5 ? { kind: 'return' } : undefined;
}
