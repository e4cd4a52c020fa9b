import { type Cidr, formatCidr, maskOf, networkOf } from '@cni-ts/address/cidr';
import { formatIp, type Ip } from '@cni-ts/address/ip';
import { formatMac } from '@cni-ts/address/mac';
import { dataTypes, protocols } from './data-type.ts';
import { expression, register } from './expression.ts';
import {
  destinationAddress,
  destinationPort,
  type Field,
  inputName,
  l4proto,
  outputName,
  packetMark,
  sourceAddress,
  sourceMac,
} from './field.ts';
import type { Statement } from './rule.ts';
import type { NftSet } from './set.ts';

export type Operator = '==' | '!=';
type Address = Ip | Cidr;
export type Protocol = keyof typeof protocols;

/** `ip saddr 10.1.2.2`, `ip6 saddr != 2001:db8::/64`: the family follows from the address. */
export function saddr(value: Address): Statement;
export function saddr(op: Operator, value: Address): Statement;
export function saddr(...given: [Address] | [Operator, Address]): Statement {
  return addressMatch(sourceAddress, ...operands(given));
}

/** `ip daddr 10.1.2.2`, `ip6 daddr != 2001:db8::/64` */
export function daddr(value: Address): Statement;
export function daddr(op: Operator, value: Address): Statement;
export function daddr(...given: [Address] | [Operator, Address]): Statement {
  return addressMatch(destinationAddress, ...operands(given));
}

/** `tcp dport 80` */
export function dport(protocol: Protocol, port: number): Statement {
  return {
    text: `${protocol} dport ${port}`,
    compile(into) {
      into.require('l4proto', protocols[protocol]);
      destinationPort.load(into, 0);
      into.add(compare('==', Uint8Array.of(port >> 8, port & 0xff)));
    },
  };
}

/** `meta l4proto udp` */
export function l4(protocol: Protocol): Statement {
  return l4Matches[protocol];
}

const l4Matches = { tcp: l4Match('tcp'), udp: l4Match('udp'), sctp: l4Match('sctp') };

function l4Match(protocol: Protocol): Statement {
  return {
    text: `${l4proto.text} ${protocol}`,
    compile: (into) => into.require('l4proto', protocols[protocol]),
  };
}

/** `iifname "veth0"`: the name, not the index, so that the rule may be there before and after the link. */
export function iifname(name: string): Statement;
export function iifname(op: Operator, name: string): Statement;
export function iifname(...given: [string] | [Operator, string]): Statement {
  return nameMatch(inputName, given);
}

/** `oifname != "cni0"` */
export function oifname(name: string): Statement;
export function oifname(op: Operator, name: string): Statement;
export function oifname(...given: [string] | [Operator, string]): Statement {
  return nameMatch(outputName, given);
}

/** `ether saddr 02:00:00:00:00:01` */
export function etherSaddr(mac: Uint8Array): Statement;
export function etherSaddr(op: Operator, mac: Uint8Array): Statement;
export function etherSaddr(...given: [Uint8Array] | [Operator, Uint8Array]): Statement {
  const [op, mac] = operands(given);
  return plain(sourceMac, op, mac, formatMac(mac));
}

/** `meta mark & 0x2000 == 0x2000` */
export function mark(value: number, mask: number): Statement {
  return {
    text: `meta mark & 0x${hex(mask)} == 0x${hex(value)}`,
    compile(into) {
      packetMark.load(into, 0);
      into.add(and(hostOrder(mask)), compare('==', hostOrder(value)));
    },
  };
}

/** Bits of ct state: 1 << (enum ip_conntrack_info + 1), and of ct status: enum ip_conntrack_status. */
const states = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;
const statuses = { snat: 0x10, dnat: 0x20 } as const;

/** `ct state established,related` */
export function ctState(...of: (keyof typeof states)[]): Statement {
  return ctBits('state', 0, of, sum(of.map((one) => states[one])));
}

/** `ct status dnat`: the connection's destination was translated. */
export function ctStatus(...of: (keyof typeof statuses)[]): Statement {
  return ctBits('status', 2, of, sum(of.map((one) => statuses[one])));
}

/** `fib daddr type local`: the destination is one of this host's own addresses. */
export const daddrIsLocal: Statement = {
  text: 'fib daddr type local',
  compile(into) {
    const RTN_LOCAL = 2;
    const NFTA_FIB_F_DADDR = 2;
    into.add(expression('fib', { destination: register(0), result: 'type', flags: NFTA_FIB_F_DADDR }));
    into.add(compare('==', hostOrder(RTN_LOCAL)));
  },
};

/** `ct original proto-dst 80` and other fields against a value of their own type: `is(originalPort, '==', 80)`. */
export function is(field: Field, op: Operator, value: unknown): Statement {
  const type = dataTypes[field.type];
  const shown = type.text(value);
  return plain(field, op, type.bytes(value), shown);
}

/** `ip saddr . ip daddr @pairs`, `!= @pairs` */
export function inSet(fields: readonly Field[], set: NftSet, op: Operator = '=='): Statement {
  return {
    text: `${fields.map((field) => field.text).join(' . ')} ${op === '!=' ? '!= ' : ''}@${set.name}`,
    compile(into) {
      loadAll(into, fields);
      const flags = op === '!=' ? 1 : undefined;
      into.add(expression('lookup', { set: set.name, source: register(0), flags }));
    },
  };
}

/** Fields side by side in the register file, each on a word of its own: what a concatenated key is compared with. */
export function loadAll(into: Parameters<Statement['compile']>[0], fields: readonly Field[]): void {
  for (const field of fields) field.require?.(into);
  let word = 0;
  for (const field of fields) {
    field.load(into, word);
    word += Math.ceil(dataTypes[field.type].length / 4);
  }
}

function operands<T>(given: readonly [T] | readonly [Operator, T]): [Operator, T] {
  return given.length === 1 ? ['==', given[0]] : [given[0], given[1]];
}

function plain(field: Field, op: Operator, value: Uint8Array, shown: string): Statement {
  return {
    text: `${field.text} ${op === '!=' ? '!= ' : ''}${shown}`,
    compile(into) {
      field.require?.(into);
      field.load(into, 0);
      into.add(compare(op, value));
    },
  };
}

function nameMatch(field: Field, given: [string] | [Operator, string]): Statement {
  const [op, name] = operands<string>(given);
  return plain(field, op, dataTypes.ifname.bytes(name), `"${name}"`);
}

/** As nft does it: a prefix of whole bytes is compared by loading only these; any other is masked first. */
function addressMatch(fields: typeof sourceAddress, op: Operator, value: Address): Statement {
  const cidr = 'prefix' in value ? value : { ip: value, prefix: value.bytes.length * 8 };
  const { ip, prefix } = networkOf(cidr);
  const field = fields[ip.family];
  const whole = prefix === ip.bytes.length * 8;
  const shown = whole ? formatIp(ip) : formatCidr({ ip, prefix });
  return {
    text: `${field.text} ${op === '!=' ? '!= ' : ''}${shown}`,
    compile(into) {
      field.require?.(into);
      if (prefix % 8 === 0 && prefix > 0) {
        field.loadFirst(into, 0, prefix / 8);
        into.add(compare(op, ip.bytes.subarray(0, prefix / 8)));
      } else {
        field.load(into, 0);
        into.add(and(maskOf(cidr)), compare(op, ip.bytes));
      }
    },
  };
}

function ctBits(name: string, key: number, of: readonly string[], bits: number): Statement {
  return {
    text: `ct ${name} ${of.join(',')}`,
    compile(into) {
      into.add(expression('ct', { destination: register(0), key }));
      into.add(and(hostOrder(bits)), compare('!=', hostOrder(0)));
    },
  };
}

function compare(op: Operator, value: Uint8Array) {
  return expression('cmp', { source: register(0), op, data: { value } });
}

function and(mask: Uint8Array) {
  return expression('bitwise', {
    source: register(0),
    destination: register(0),
    length: mask.length,
    mask: { value: mask },
    xor: { value: new Uint8Array(mask.length) },
  });
}

function hostOrder(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function sum(bits: readonly number[]): number {
  return bits.reduce((all, bit) => all | bit, 0);
}

function hex(value: number): string {
  return (value >>> 0).toString(16);
}
