import { type Cidr, parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { parseMac } from '@cni-ts/address/mac';
import { expression, register } from '@cni-ts/nftables/expression';
import {
  destinationPort,
  type Field,
  inputName,
  l4proto,
  outputName,
  sourcePort,
} from '@cni-ts/nftables/field';
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
  saddr,
} from '@cni-ts/nftables/match';
import type { Statement } from '@cni-ts/nftables/rule';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Protocol } from './mapping.ts';

/**
 * `conditionsV4` and `conditionsV6` in nft's language. No nft process reads them, so this is the part of the
 * language that conditions are made of: a field, perhaps `!=`, and a value, a range or a list in braces, several such
 * matches side by side. What is not understood is refused before anything is changed.
 *
 * The answer is a list of alternatives, each a list of matches that must all hold: `ip saddr { a, b }` is two.
 */
export function readConditions(family: 4 | 6, words: readonly string[]): Statement[][] {
  const parser = new Parser(family, words);
  let alternatives: Statement[][] = [[]];
  while (!parser.atEnd) {
    const more = parser.match();
    alternatives = alternatives.flatMap((before) => more.map((after) => [...before, ...after]));
  }
  return alternatives;
}

const ctStates = ['invalid', 'established', 'related', 'new', 'untracked'] as const;
const ctStatuses = ['snat', 'dnat'] as const;
const protocols: readonly string[] = ['tcp', 'udp', 'sctp'] satisfies Protocol[];

/** How one kind of value becomes a match. */
type Maker = (op: Operator, text: string) => Statement | undefined;

class Parser {
  readonly #field: string;
  readonly #family: 4 | 6;
  readonly #tokens: string[];
  #at = 0;

  constructor(family: 4 | 6, words: readonly string[]) {
    this.#family = family;
    this.#field = `conditionsV${family}`;
    // One word may hold several tokens, as the reference only joins them with spaces.
    this.#tokens = words.join(' ').match(/"[^"]*"|[{},]|[^\s{},]+/g) ?? [];
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** One match: what it is about, an operator, values. */
  match(): Statement[][] {
    const start = this.#at;
    const first = this.#next();
    switch (first) {
      case 'ip':
      case 'ip6':
        return this.#ipField(first);
      case 'iifname':
      case 'oifname':
        return this.#values((op, text) => interfaceName(first, op, text));
      case 'tcp':
      case 'udp':
      case 'sctp':
      case 'th':
        return this.#portField(first);
      case 'mark':
        return this.#mark();
      case 'meta':
        return this.#metaField();
      case 'ether':
        if (this.#next() !== 'saddr') throw this.#refuse(start);
        return this.#values((op, text) => {
          const mac = parseMac(text);
          return mac && etherSaddr(op, mac);
        });
      case 'ct':
        return this.#ctField();
      case 'fib':
        if (this.#tokens.slice(this.#at, this.#at + 3).join(' ') !== 'daddr type local')
          throw this.#refuse(start);
        this.#at += 3;
        return [[daddrIsLocal]];
      default:
        throw this.#refuse(start);
    }
  }

  #ipField(which: 'ip' | 'ip6'): Statement[][] {
    const start = this.#at - 1;
    const name = this.#next();
    if (name === 'protocol' || name === 'nexthdr') return this.#values(protocol);
    const make = { saddr, daddr }[name];
    if (!make || (which === 'ip' ? 4 : 6) !== this.#family) throw this.#refuse(start);
    return this.#values((op, text) => {
      const value = parseCidr(text) ?? parseIp(text);
      const family = value && ('prefix' in value ? value.ip.family : value.family);
      return value && family === this.#family ? make(op, value as Cidr) : undefined; // reason: either form is taken
    });
  }

  #portField(which: string): Statement[][] {
    const start = this.#at - 1;
    const name = this.#next();
    const field = { sport: sourcePort, dport: destinationPort }[name];
    if (!field) throw this.#refuse(start);
    const first = which === 'th' ? [] : [l4(which as Protocol)]; // reason: the caller's cases
    return this.#values((op, text) => portMatch(field, op, text)).map((all) => [...first, ...all]);
  }

  #metaField(): Statement[][] {
    const start = this.#at - 1;
    const name = this.#next();
    if (name === 'mark') return this.#mark();
    if (name === 'l4proto') return this.#values(protocol);
    if (name === 'iifname' || name === 'oifname') {
      return this.#values((op, text) => interfaceName(name, op, text));
    }
    throw this.#refuse(start);
  }

  /** `mark 0x1`, `mark and 0x1 == 0x1` */
  #mark(): Statement[][] {
    let mask = 0xffffffff;
    if (this.#peek() === '&' || this.#peek() === 'and') {
      this.#next();
      mask = this.#number();
    }
    if (this.#peek() === '!=') throw this.#refuse(this.#at);
    if (this.#peek() === '==') this.#next();
    return [[mark(this.#number(), mask)]];
  }

  #number(): number {
    const start = this.#at;
    const value = Number(this.#next());
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw this.#refuse(start);
    return value;
  }

  #ctField(): Statement[][] {
    const start = this.#at - 1;
    const name = this.#next();
    const words = this.#list();
    const of = <T extends string>(known: readonly T[]) =>
      words.map((word) => {
        const found = known.find((one) => one === word);
        if (!found) throw this.#refuse(start);
        return found;
      });
    if (name === 'state') return [[ctState(...of(ctStates))]];
    if (name === 'status') return [[ctStatus(...of(ctStatuses))]];
    throw this.#refuse(start);
  }

  /** An operator and what is compared with: one of several values is several alternatives, none of several is all. */
  #values(make: Maker): Statement[][] {
    const start = this.#at;
    const op = this.#peek() === '!=' ? '!=' : '==';
    if (this.#peek() === '!=' || this.#peek() === '==') this.#next();
    const statements = this.#list().map((text) => {
      const statement = make(op, text.replace(/^"(.*)"$/, '$1'));
      if (!statement) throw this.#refuse(start);
      return statement;
    });
    return op === '==' ? statements.map((one) => [one]) : [statements];
  }

  /** `a`, `a,b` or `{ a, b }` */
  #list(): string[] {
    const start = this.#at;
    const braces = this.#peek() === '{';
    if (braces) this.#next();
    const values = [this.#next()];
    while (this.#peek() === ',') {
      this.#next();
      if (braces && this.#peek() === '}') break;
      values.push(this.#next());
    }
    if (braces && this.#next() !== '}') throw this.#refuse(start);
    return values;
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #next(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.#refuse(Math.max(0, this.#at - 1));
    this.#at++;
    return token;
  }

  #refuse(at: number): CniError {
    return new CniError(
      ErrorCode.internal,
      `${this.#field}: cannot understand "${this.#tokens.slice(at).join(' ')}" as a condition of nftables`,
      'conditions can be: ip|ip6 saddr|daddr, tcp|udp|sctp|th sport|dport, iifname, oifname, ether saddr, ' +
        'meta mark, meta l4proto, ct state, ct status, each with one value, a range of ports or a list in braces',
    );
  }
}

function protocol(op: Operator, text: string): Statement | undefined {
  if (!protocols.includes(text)) return undefined;
  return op === '==' ? l4(text as Protocol) : is(l4proto, '!=', text); // reason: tested in the line before
}

function interfaceName(which: 'iifname' | 'oifname', op: Operator, text: string): Statement | undefined {
  const field = which === 'iifname' ? inputName : outputName;
  if (!text.endsWith('*')) return is(field, op, text);
  // Only the bytes before the asterisk are compared.
  const bytes = new TextEncoder().encode(text.slice(0, -1));
  if (!bytes.length) return undefined;
  return {
    text: `${which} ${op === '!=' ? '!= ' : ''}"${text}"`,
    compile: compareWith(field, [[op, bytes]]),
  };
}

function portMatch(field: Field, op: Operator, text: string): Statement | undefined {
  const found = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (!found) return undefined;
  const [low, high] = [Number(found[1]), Number(found[2] ?? found[1])];
  if (high > 65535 || low > high) return undefined;
  if (found[2] === undefined) return is(field, op, low);
  // The kernel's own range comparison is needed only for "not within".
  if (op === '!=') return undefined;
  const bytes = (port: number) => Uint8Array.of(port >> 8, port & 0xff);
  return {
    text: `${field.text} ${text}`,
    compile: compareWith(field, [
      ['>=', bytes(low)],
      ['<=', bytes(high)],
    ]),
  };
}

function compareWith(
  field: Field,
  comparisons: readonly [Operator | '>=' | '<=', Uint8Array][],
): Statement['compile'] {
  return (into) => {
    field.require?.(into);
    field.load(into, 0);
    for (const [op, value] of comparisons) {
      into.add(expression('cmp', { source: register(0), op, data: { value } }));
    }
  };
}
