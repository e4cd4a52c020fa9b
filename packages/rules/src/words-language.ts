import { type Cidr, formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { conntrackStates } from '@cni-ts/iptables/native-match';
import type { Family } from '@cni-ts/iptables/program';
import { protocols } from '@cni-ts/nftables/data-type';
import type { Protocol } from '@cni-ts/nftables/match';
import { Reading } from './reading.ts';
import type { Action, Exception, Mark, ReadRule, RuleSpec, State } from './rule-spec.ts';

/**
 * A rule in iptables' words, as iptables-save prints them: addresses, links, protocol, then the extensions in the
 * order in which the reference asks them, then the target. What only nft can say throws.
 */
export function ruleWords(
  of: Pick<RuleSpec, 'when' | 'except' | 'words' | 'comment'> & { action?: Action | undefined },
): string[] {
  const { when = {}, except = {}, action, comment, words: more } = of;
  const words: string[] = [];
  operand(words, '-s', when.from, except.from);
  operand(words, '-d', when.to, except.to);
  operand(words, '-i', when.input, except.input);
  operand(words, '-o', when.output, except.output);
  operand(words, '-p', when.protocol, except.protocol);
  const { protocol, port, ports, state, mark, local } = when;
  if (state) words.push('-m', 'conntrack', '--ctstate', stateText(state));
  if (comment !== undefined) words.push('-m', 'comment', '--comment', comment);
  if (protocol && port !== undefined) words.push('-m', protocol, '--dport', String(port));
  if (ports) words.push('-m', 'multiport', '--dports', ports.join(','));
  if (mark) words.push('-m', 'mark', '--mark', mark.mask === 0xffffffff ? hex(mark.value) : markText(mark));
  if (local) words.push('-m', 'addrtype', '--dst-type', 'LOCAL');
  if (more) words.push(...more);
  if (action) words.push(...targetWords(action));
  return words;
}

function operand(words: string[], option: string, value?: Cidr | string, not?: Cidr | string): void {
  if (value !== undefined) words.push(option, typeof value === 'string' ? value : formatCidr(value));
  if (not !== undefined) words.push('!', option, typeof not === 'string' ? not : formatCidr(not));
}

function stateText(of: readonly State[]): string {
  const names = Object.keys(conntrackStates).filter((name) => of.some((one) => one === name));
  return names.join(',').toUpperCase();
}

function markText({ value, mask }: Mark): string {
  return `${hex(value)}/${hex(mask)}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function targetWords(action: Action): string[] {
  switch (action.kind) {
    case 'jump':
      return ['-j', action.chain];
    case 'goto':
      return ['-g', action.chain];
    case 'dnat': {
      const { address, port } = action;
      const host = address.family === 4 ? formatIp(address) : `[${formatIp(address)}]`;
      return ['-j', 'DNAT', '--to-destination', `${host}:${port}`];
    }
    case 'mark':
      return ['-j', 'MARK', '--set-xmark', markText(action)];
    case 'other':
      throw new Error(`iptables has no words for ${action.statement.text}`);
    default:
      return ['-j', action.kind.toUpperCase()];
  }
}

/** Reads a rule's words; those that are not understood, or say a thing twice, are passed over, and the rule is not whole. */
export function readWords(family: Family, words: readonly string[]): ReadRule {
  const reader = new Reader(family, words);
  return reader.read();
}

class Reader extends Reading {
  readonly #family: Family;
  readonly #words: readonly string[];
  #comment: string | undefined;
  #at = 0;

  constructor(family: Family, words: readonly string[]) {
    super();
    this.#family = family;
    this.#words = words;
  }

  read(): ReadRule {
    let whole = true;
    while (this.#at < this.#words.length) {
      const taken = this.#option();
      if (taken === 0) whole = false;
      this.#at += taken || 1;
    }
    return this.result(whole, this.#comment);
  }

  /** How many words were understood. */
  #option(): number {
    const negated = this.#word(0) === '!';
    const skip = negated ? 1 : 0;
    const option = this.#word(skip);
    const value = this.#word(skip + 1);
    if (option === undefined || value === undefined) return 0;
    const key = operandKeys[option];
    if (key) return this.#compared(negated, key, value) ? skip + 2 : 0;
    if (negated) return 0;
    if (option === '-j' || option === '-g') return this.#target(option, value);
    return option === '-m' && this.#extension(value, this.#word(2), this.#word(3)) ? 4 : 0;
  }

  #word(ahead: number): string | undefined {
    return this.#words[this.#at + ahead];
  }

  #compared(negated: boolean, key: keyof Exception, text: string): boolean {
    if (key === 'input' || key === 'output') return this.operand(negated, key, text);
    if (key === 'protocol') return this.operand(negated, key, isProtocol(text) ? text : undefined);
    const cidr = parseCidr(text);
    return this.operand(negated, key, cidr?.ip.family === this.#family ? cidr : undefined);
  }

  #extension(name: string, option: string | undefined, value: string | undefined): boolean {
    if (value === undefined) return false;
    const { when } = this;
    switch (`${name} ${option}`) {
      case 'comment --comment':
        if (this.#comment !== undefined) return false;
        this.#comment = value;
        return true;
      case 'addrtype --dst-type':
        return value === 'LOCAL' && this.only('local', true);
      case 'mark --mark':
        return this.only('mark', readMark(value));
      case 'conntrack --ctstate':
        return this.only('state', readStates(value));
      case 'multiport --dports':
        return when.protocol !== undefined && this.only('ports', readPorts(value));
      default:
        return name === when.protocol && option === '--dport' && this.only('port', readPort(value));
    }
  }

  #target(option: '-j' | '-g', name: string): number {
    if (option === '-g') return this.end({ kind: 'goto', chain: name }) ? 2 : 0;
    const [detail, value] = [this.#word(2), this.#word(3)];
    if (name === 'DNAT') {
      return detail === '--to-destination' && this.end(readDnat(this.#family, value)) ? 4 : 0;
    }
    if (name === 'MARK') return detail === '--set-xmark' && this.end(readSetMark(value)) ? 4 : 0;
    return this.end(plainTargets[name] ?? { kind: 'jump', chain: name }) ? 2 : 0;
  }
}

const operandKeys: Readonly<Record<string, keyof Exception>> = {
  '-s': 'from',
  '-d': 'to',
  '-i': 'input',
  '-o': 'output',
  '-p': 'protocol',
};

/** Any other name is a chain's, or that of a target that is not known here. */
const plainTargets: Readonly<Record<string, Action>> = {
  ACCEPT: { kind: 'accept' },
  DROP: { kind: 'drop' },
  RETURN: { kind: 'return' },
  MASQUERADE: { kind: 'masquerade' },
};

function isProtocol(name: string): name is Protocol {
  return Object.hasOwn(protocols, name);
}

/** Only what is written as the program would: other numbers it may know better. */
function readMark(text: string): Mark | undefined {
  const [value = '', mask = hex(0xffffffff), more] = text.split('/');
  const bits = { value: Number(value), mask: Number(mask) };
  const known = more === undefined && value === hex(bits.value) && mask === hex(bits.mask);
  return known && bits.value <= 0xffffffff && bits.mask <= 0xffffffff ? bits : undefined;
}

function readSetMark(text: string | undefined): Action | undefined {
  const bits = text?.includes('/') ? readMark(text) : undefined;
  return bits && { kind: 'mark', ...bits };
}

function readStates(text: string): State[] | undefined {
  const names = text.toLowerCase().split(',');
  const known = Object.keys(conntrackStates) as State[]; // reason: the table's own keys
  const states = known.filter((one) => names.includes(one));
  return states.length === names.length ? states : undefined;
}

function readPort(text: string): number | undefined {
  const port = Number(text);
  return String(port) === text && Number.isInteger(port) && port >= 0 && port <= 0xffff ? port : undefined;
}

function readPorts(text: string): number[] | undefined {
  const ports: number[] = [];
  for (const one of text.split(',')) {
    const port = readPort(one);
    if (port === undefined) return undefined;
    ports.push(port);
  }
  return ports;
}

function readDnat(family: Family, text = ''): Action | undefined {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon);
  const address = parseIp(host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host);
  const port = readPort(text.slice(colon + 1));
  return address?.family === family && port !== undefined ? { kind: 'dnat', address, port } : undefined;
}
