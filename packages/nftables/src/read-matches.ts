import { parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { parseMac } from '@cni-ts/address/mac';
import { protocols } from './data-type.ts';
import { expression, register } from './expression.ts';
import { destinationPort, type Field, inputName, l4proto, outputName, sourcePort } from './field.ts';
import {
  ctState,
  ctStatus,
  daddr,
  daddrIsLocal,
  etherSaddr,
  is,
  l4,
  mark,
  type Operator,
  type Protocol,
  saddr,
} from './match.ts';
import type { Statement } from './rule.ts';

/** Words that are no matches, or none that is read here, up to the end of what was to be read. */
export class UnreadMatch extends Error {
  override readonly name = 'UnreadMatch';
}

/** What `readMatches` understands, for whoever wrote something else. */
export const readableMatches =
  'ip|ip6 saddr|daddr, tcp|udp|sctp|th sport|dport, iifname, oifname, ether saddr, ' +
  'meta mark, meta l4proto, ct state, ct status, each with one value, a range of ports or a list in braces';

/**
 * Matches in nft's language, read without a process: a field, perhaps `!=`, and a value, a range or a list in braces,
 * several such side by side. Addresses are those of `family`. What is not understood throws UnreadMatch.
 *
 * The answer is a list of alternatives, each a list of matches that must all hold: `ip saddr { a, b }` is two.
 */
export function readMatches(family: 4 | 6, text: string): Statement[][] {
  const tokens = new Tokens(text);
  let alternatives: Statement[][] = [[]];
  while (tokens.at < tokens.all.length) {
    const more = readMatch(tokens, family);
    alternatives = alternatives.flatMap((before) => more.map((after) => [...before, ...after]));
  }
  return alternatives;
}

/** How one value becomes matches; undefined where it is none. */
type Maker = (op: Operator, text: string) => Statement[] | undefined;

/** What can be compared with values, by its one or two words. */
const makers: ReadonlyMap<string, Maker> = new Map<string, Maker>([
  ['ip saddr', addressMatch(4, saddr)],
  ['ip daddr', addressMatch(4, daddr)],
  ['ip6 saddr', addressMatch(6, saddr)],
  ['ip6 daddr', addressMatch(6, daddr)],
  ...['meta l4proto', 'ip protocol', 'ip nexthdr', 'ip6 protocol', 'ip6 nexthdr'].map(
    (name) => [name, protocolMatch] as const,
  ),
  ...['', 'meta '].flatMap((before) => [
    [`${before}iifname`, nameMatch('iifname', inputName)] as const,
    [`${before}oifname`, nameMatch('oifname', outputName)] as const,
  ]),
  ...['tcp', 'udp', 'sctp', 'th'].flatMap((name) => [
    [`${name} sport`, portMatch(name, sourcePort)] as const,
    [`${name} dport`, portMatch(name, destinationPort)] as const,
  ]),
  ['ether saddr', macMatch],
]);
const ctStates = ['invalid', 'established', 'related', 'new', 'untracked'] as const;
const ctStatuses = ['snat', 'dnat'] as const;

/** One match: what it is about, an operator, values. One of several values is several alternatives, none of several is all. */
function readMatch(tokens: Tokens, family: 4 | 6): Statement[][] {
  const { at: start } = tokens;
  const first = tokens.next();
  const name = first === 'mark' || makers.has(first) ? first : `${first} ${tokens.next()}`;
  if (name === 'mark' || name === 'meta mark') return [[readMark(tokens)]];
  if (name === 'ct state') return [[ctState(...tokens.listOf(ctStates, start))]];
  if (name === 'ct status') return [[ctStatus(...tokens.listOf(ctStatuses, start))]];
  if (name === 'fib daddr') {
    if (tokens.take('type') && tokens.take('local')) return [[daddrIsLocal]];
    throw tokens.refuse(start);
  }
  const make = makers.get(name);
  if (!make || (name.endsWith('addr') && first === (family === 4 ? 'ip6' : 'ip'))) throw tokens.refuse(start);
  const { at } = tokens;
  const op = tokens.take('!=') ? '!=' : '==';
  if (op === '==') tokens.take('==');
  const each = tokens.list().map((text) => {
    const made = make(op, text.replace(/^"(.*)"$/, '$1'));
    if (!made) throw tokens.refuse(at);
    return made;
  });
  return op === '==' ? each : [each.flat()];
}

/** `mark 0x1`, `mark and 0x1 == 0x1` */
function readMark(tokens: Tokens): Statement {
  const mask = tokens.take('&') || tokens.take('and') ? tokens.number() : 0xffffffff;
  tokens.take('==');
  return mark(tokens.number(), mask);
}

class Tokens {
  readonly all: readonly string[];
  at = 0;

  constructor(text: string) {
    this.all = text.match(/"[^"]*"|[{},]|[^\s{},]+/g) ?? [];
  }

  next(): string {
    const token = this.all[this.at];
    if (token === undefined) throw this.refuse(Math.max(0, this.at - 1));
    this.at++;
    return token;
  }

  take(token: string): boolean {
    if (this.all[this.at] !== token) return false;
    this.at++;
    return true;
  }

  number(): number {
    const { at } = this;
    const value = Number(this.next());
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw this.refuse(at);
    return value;
  }

  /** `a`, `a,b` or `{ a, b }` */
  list(): string[] {
    const { at } = this;
    const braces = this.take('{');
    const values = [this.next()];
    while (this.take(',')) {
      if (braces && this.all[this.at] === '}') break;
      values.push(this.next());
    }
    if (braces && this.next() !== '}') throw this.refuse(at);
    return values;
  }

  listOf<T extends string>(known: readonly T[], start: number): T[] {
    return this.list().map((word) => {
      const found = known.find((one) => one === word);
      if (!found) throw this.refuse(start);
      return found;
    });
  }

  refuse(at: number): UnreadMatch {
    return new UnreadMatch(this.all.slice(at).join(' '));
  }
}

function addressMatch(family: 4 | 6, make: typeof saddr): Maker {
  return (op, text) => {
    const ip = parseIp(text);
    const value = parseCidr(text) ?? (ip && { ip, prefix: ip.bytes.length * 8 });
    return value?.ip.family === family ? [make(op, value)] : undefined;
  };
}

function macMatch(op: Operator, text: string): Statement[] | undefined {
  const mac = parseMac(text);
  return mac && [etherSaddr(op, mac)];
}

function protocolMatch(op: Operator, text: string): Statement[] | undefined {
  if (!isProtocol(text)) return undefined;
  return [op === '==' ? l4(text) : is(l4proto, op, text)];
}

function isProtocol(text: string): text is Protocol {
  return Object.hasOwn(protocols, text);
}

function nameMatch(name: string, field: Field): Maker {
  return (op, text) => {
    if (!text.endsWith('*')) return [is(field, op, text)];
    // Only the bytes before the asterisk are compared.
    const bytes = new TextEncoder().encode(text.slice(0, -1));
    if (!bytes.length) return undefined;
    return [compareWith(`${name} ${op === '!=' ? '!= ' : ''}"${text}"`, field, [[op, bytes]])];
  };
}

/** `protocol`: also compared, unless it is `th`, that of any. */
function portMatch(protocol: string, field: Field): Maker {
  const before = isProtocol(protocol) ? [l4(protocol)] : [];
  return (op, text) => {
    const found = /^(\d+)(?:-(\d+))?$/.exec(text);
    if (!found) return undefined;
    const [low, high] = [Number(found[1]), Number(found[2] ?? found[1])];
    if (high > 65535 || low > high) return undefined;
    if (found[2] === undefined) return [...before, is(field, op, low)];
    // The kernel's own range comparison is needed only for "not within".
    if (op === '!=') return undefined;
    const bytes = (port: number) => Uint8Array.of(port >> 8, port & 0xff);
    const range = [['>=', bytes(low)] as const, ['<=', bytes(high)] as const];
    return [...before, compareWith(`${field.text} ${text}`, field, range)];
  };
}

function compareWith(
  text: string,
  field: Field,
  comparisons: readonly (readonly [Operator | '>=' | '<=', Uint8Array])[],
): Statement {
  return {
    text,
    compile(into) {
      field.require?.(into);
      field.load(into, 0);
      for (const [op, value] of comparisons) {
        into.add(expression('cmp', { source: register(0), op, data: { value } }));
      }
    },
  };
}
