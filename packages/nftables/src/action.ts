import { formatIp, type Ip } from '@cni-ts/address/ip';
import { Writer } from '@cni-ts/netlink/writer';
import type { Chain } from './chain.ts';
import { constant, dataOf, type Expression, expression, register, verdictRegister } from './expression.ts';
import { type Field, packetMark } from './field.ts';
import { loadAll } from './match.ts';
import type { Statement } from './rule.ts';
import type { NftSet } from './set.ts';

/** include/uapi/linux/netfilter/nf_tables.h: negative ones are the rule language's own. */
const verdicts = { drop: 0, accept: 1, return: -5, jump: -3, goto: -4 } as const;

function verdict(name: keyof typeof verdicts, chain?: string): Statement {
  const data = { verdict: { code: verdicts[name] >>> 0, chain } };
  const one = (chain === undefined ? constant : expression)('immediate', {
    destination: verdictRegister,
    data,
  });
  return {
    text: chain === undefined ? name : `${name} ${chain}`,
    compile: (into) => into.add(one),
  };
}

export const accept = verdict('accept');
export const drop = verdict('drop');
/** Back to the rule after the jump; in a base chain its policy decides. */
export const toCaller = verdict('return');
export function jump(to: Pick<Chain, 'name'>): Statement {
  return verdict('jump', to.name);
}
/** Without coming back. */
export function goto(to: Pick<Chain, 'name'>): Statement {
  return verdict('goto', to.name);
}

/** How a chain stands in the rules that jump or go there: NFTA_VERDICT_CHAIN, as the kernel writes it. */
export function verdictChain(name: string): Uint8Array {
  const writer = new Writer(64);
  writer.bytesAttribute(2, new TextEncoder().encode(name), 1);
  return writer.result();
}

/** The chain a rule jumps or goes to, if it does. */
export function jumpTarget(expressions: readonly Expression[]): string | undefined {
  for (const one of expressions) {
    const target = dataOf(one, 'immediate')?.data?.verdict?.chain;
    if (target !== undefined) return target;
  }
  return undefined;
}

const masq = constant('masq', {});
/** Source becomes the address of the link the packet leaves by. */
export const masquerade: Statement = {
  text: 'masquerade',
  compile: (into) => into.add(masq),
};

/** `dnat to 10.1.2.2:80` */
export function dnat(address: Ip, port: number): Statement {
  const host = address.family === 4 ? formatIp(address) : `[${formatIp(address)}]`;
  return {
    text: `dnat to ${host}:${port}`,
    compile(into) {
      const [first, second] = [register(0), register(4)];
      const value = Uint8Array.of(port >> 8, port & 0xff);
      into.add(
        expression('immediate', { destination: first, data: { value: address.bytes } }),
        expression('immediate', { destination: second, data: { value } }),
        expression('nat', {
          type: 'dnat',
          family: nfproto(address.family),
          addressMin: first,
          portMin: second,
        }),
      );
    },
  };
}

/** `dnat ip to ip daddr . meta l4proto . th dport map @ports`: a map from fields to address and port. */
export function dnatByMap(family: 4 | 6, fields: readonly Field[], map: NftSet): Statement {
  const key = fields.map((field) => field.text).join(' . ');
  return {
    text: `dnat ${family === 4 ? 'ip' : 'ip6'} to ${key} map @${map.name}`,
    compile(into) {
      loadAll(into, fields);
      into.add(
        expression('lookup', { set: map.name, source: register(0), destination: register(0) }),
        expression('nat', {
          type: 'dnat',
          family: nfproto(family),
          addressMin: register(0),
          portMin: register(family === 4 ? 1 : 4),
        }),
      );
    },
  };
}

/** `ip daddr . meta l4proto . th dport vmap @owners`: goes on in the chain that the map has for these fields, if any. */
export function vmap(fields: readonly Field[], map: NftSet): Statement {
  return {
    text: `${fields.map((field) => field.text).join(' . ')} vmap @${map.name}`,
    compile(into) {
      loadAll(into, fields);
      into.add(expression('lookup', { set: map.name, source: register(0), destination: verdictRegister }));
    },
  };
}

/** `meta mark set meta mark | 0x2000`: only the bits of `mask` change. */
export function setMark(value: number, mask: number): Statement {
  return {
    text: `meta mark set meta mark & 0x${(~mask >>> 0).toString(16)} | 0x${(value >>> 0).toString(16)}`,
    compile(into) {
      packetMark.load(into, 0);
      into.add(
        expression('bitwise', {
          source: register(0),
          destination: register(0),
          length: 4,
          mask: { value: new Uint8Array(Uint32Array.of(~mask).buffer) },
          xor: { value: new Uint8Array(Uint32Array.of(value).buffer) },
        }),
        expression('meta', { key: 3, source: register(0) }),
      );
    },
  };
}

const zeroCounter = constant('counter', { bytes: 0n, packets: 0n });
export const counter: Statement = {
  text: 'counter',
  compile: (into) => into.add(zeroCounter),
};

function nfproto(family: 4 | 6): number {
  return family === 4 ? 2 : 10;
}
