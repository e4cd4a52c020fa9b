import { type ReadMatch, readMatch, statesByNft } from '@cni-ts/iptables/native-match';
import { readTarget } from '@cni-ts/iptables/native-target';
import { sameBytes } from '@cni-ts/netlink/bytes';
import {
  type Comparison,
  comparedName,
  comparedNetwork,
  comparisonAt,
  protocolName,
} from '@cni-ts/nftables/comparison';
import { dataOf, type Expression } from '@cni-ts/nftables/expression';
import type { ListedRule } from '@cni-ts/nftables/rule';
import { Reading } from './reading.ts';
import type { ReadRule, RuleSpec } from './rule-spec.ts';

/**
 * Reads a rule back from the kernel, whether nft, iptables-nft or we wrote it, or one of them has rewritten it in its
 * own forms. `family`: of the table, which alone tells the layout of some targets.
 */
export function readRule(family: 4 | 6, listed: Pick<ListedRule, 'expressions' | 'comment'>): ReadRule {
  const reader = new Reader(family, listed.comment);
  const { expressions } = listed;
  for (let at = 0; at < expressions.length; ) {
    const found = comparisonAt(expressions, at);
    if (found) reader.comparison(found);
    else reader.instruction(expressions[at]!);
    at += found?.length ?? 1;
  }
  return reader.finish();
}

class Reader extends Reading {
  readonly #family: 4 | 6;
  #comment: string | undefined;
  #whole = true;
  /** What `dnat` finds in its registers. */
  #address: Uint8Array | undefined;
  #port: number | undefined;
  #commentMatch = false;

  constructor(family: 4 | 6, comment: string | undefined) {
    super();
    this.#family = family;
    this.#comment = comment;
  }

  finish(): ReadRule {
    return this.result(this.#whole, this.#comment);
  }

  comparison(found: Comparison): void {
    if (!this.#understands(found)) this.#whole = false;
  }

  #understands(found: Comparison): boolean {
    const { field, op, value, mask } = found;
    const not = op === '!=';
    switch (field) {
      case 'saddr':
      case 'daddr':
        return this.operand(not, field === 'saddr' ? 'from' : 'to', comparedNetwork(found));
      case 'iifname':
      case 'oifname':
        return !mask && this.operand(not, field === 'iifname' ? 'input' : 'output', comparedName(found));
      case 'protocol':
        return !mask && this.operand(not, 'protocol', protocolName(value[0]));
      case 'dport':
        return !not && !mask && this.only('port', (value[0]! << 8) | value[1]!);
      case 'mark': {
        const bits = { value: hostWord(value), mask: mask ? hostWord(mask) : 0xffffffff };
        return !not && value.length === 4 && this.only('mark', bits);
      }
      case 'ct state':
      case 'ct status': {
        const isSet = not && mask?.length === 4 && value.every((byte) => byte === 0);
        return isSet && this.only('state', statesByNft(field, hostWord(mask)));
      }
      case 'ether saddr':
        return !not && !mask && this.only('mac', value);
      case 'fib daddr type': {
        const RTN_LOCAL = 2;
        return !not && !mask && hostWord(value) === RTN_LOCAL && this.only('local', true);
      }
      case undefined:
        return false;
    }
  }

  instruction(one: Expression): void {
    if (one.kind === 'counter') return;
    if (!this.#takes(one)) this.#whole = false;
  }

  #takes(one: Expression): boolean {
    const match = dataOf(one, 'match');
    if (match) return this.#extension(readMatch(match));
    const loaded = dataOf(one, 'immediate')?.data;
    if (loaded?.value) return this.#load(loaded.value);
    if (loaded?.verdict) return this.#verdict(loaded.verdict.code, loaded.verdict.chain);
    const target = dataOf(one, 'target');
    if (target) return this.end(readTarget(this.#family, target));
    const masquerading = dataOf(one, 'masq');
    if (masquerading) return this.end(isPlain(masquerading) ? { kind: 'masquerade' } : undefined);
    return dataOf(one, 'nat')?.type === 'dnat' && this.#dnat();
  }

  #extension(read: ReadMatch | undefined): boolean {
    if (!read) return false;
    const { comment, state, port, ports, mark, local, protocol } = read;
    if (comment !== undefined) {
      if (this.#commentMatch) return false;
      this.#commentMatch = true;
      this.#comment = comment;
      return true;
    }
    if (protocol !== undefined && protocol !== this.when.protocol) return false;
    if (state) return this.only('state', state);
    if (port !== undefined) return this.only('port', port);
    if (ports) return this.only('ports', ports);
    if (mark) return this.only('mark', mark);
    return local === true && this.only('local', local);
  }

  #load(value: Uint8Array): boolean {
    if (value.length === 2) this.#port = (value[0]! << 8) | value[1]!;
    else this.#address = value;
    return value.length === 2 || value.length === 4 || value.length === 16;
  }

  #verdict(code: number | undefined, chain: string | undefined): boolean {
    if (chain !== undefined) return this.end({ kind: (code ?? 0) >> 0 === -4 ? 'goto' : 'jump', chain });
    const plain = { 0: 'drop', 1: 'accept', [-5]: 'return' } as const;
    const kind = plain[((code ?? -1) | 0) as keyof typeof plain]; // reason: others are looked up in vain
    return this.end(kind && { kind });
  }

  #dnat(): boolean {
    const [bytes, port] = [this.#address, this.#port];
    if (!bytes || port === undefined) return false;
    return this.end({ kind: 'dnat', address: { family: bytes.length === 4 ? 4 : 6, bytes }, port });
  }
}

function isPlain(data: object): boolean {
  return Object.values(data).every((value) => value === undefined || value === 0);
}

function hostWord(bytes: Uint8Array): number {
  return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
}

/** Whether a rule that was read is this one. `orLost`: one that lost its comment counts too. */
export function isRule(
  wanted: Pick<RuleSpec, 'when' | 'except' | 'action' | 'comment'>,
  read: ReadRule,
  orLost = false,
): boolean {
  if (!read.whole) return false;
  if (read.comment !== wanted.comment && !(orLost && read.comment === undefined)) return false;
  return same(wanted.action, read.action) && same(wanted.except, read.except) && same(wanted.when, read.when);
}

/** Values of the model: plain, and small. What is undefined counts as left out, lists as sets. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && sameBytes(a, b);
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((one) => b.includes(one));
  const [one, other] = [members(a), members(b)];
  if (!one || !other) return false;
  for (const key in one) if (!same(one[key], other[key])) return false;
  for (const key in other) if (other[key] !== undefined && one[key] === undefined) return false;
  return true;
}

function members(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined) return {};
  // reason: objects of the model have string keys alone
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}
