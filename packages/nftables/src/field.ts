import type { DataType } from './data-type.ts';
import { constant, expression, register } from './expression.ts';
import type { Program } from './rule.ts';

/**
 * Something a rule can look at: a header field of the packet or what the kernel knows about it. `load` puts it into
 * the register at a word of the register file.
 */
export interface Field {
  /** As nft writes it. */
  readonly text: string;
  readonly type: DataType;
  /** What must be known of the packet before it is read. */
  require?(into: Program): void;
  load(into: Program, word: number): void;
}

function payload(
  text: string,
  type: DataType,
  base: 'link' | 'network' | 'transport',
  offset: number,
  length: number,
  require?: (into: Program) => void,
): Field & { loadFirst(into: Program, word: number, length: number): void } {
  const toFirst = constant('payload', { destination: register(0), base, offset, length });
  const loadFirst = (into: Program, word: number, count: number) =>
    into.add(
      word === 0 && count === length
        ? toFirst
        : expression('payload', { destination: register(word), base, offset, length: count }),
    );
  return {
    text,
    type,
    ...(require ? { require } : {}),
    load: (into, word) => loadFirst(into, word, length),
    loadFirst,
  };
}

function meta(text: string, type: DataType, key: number): Field {
  const toFirst = constant('meta', { destination: register(0), key });
  return {
    text,
    type,
    load: (into, word) =>
      into.add(word === 0 ? toFirst : expression('meta', { destination: register(word), key })),
  };
}

/** In a table that sees both families an address is only there in its own. */
function onlyFamily(family: 4 | 6): (into: Program) => void {
  return (into) => {
    if (into.family === 'inet') into.require('nfproto', family === 4 ? 2 : 10);
    if (into.family === 'bridge') into.require('protocol', family === 4 ? 0x0800 : 0x86dd);
  };
}

/** `ip saddr`, `ip6 saddr` */
export const sourceAddress = {
  4: payload('ip saddr', 'ipv4_addr', 'network', 12, 4, onlyFamily(4)),
  6: payload('ip6 saddr', 'ipv6_addr', 'network', 8, 16, onlyFamily(6)),
};
/** `ip daddr`, `ip6 daddr` */
export const destinationAddress = {
  4: payload('ip daddr', 'ipv4_addr', 'network', 16, 4, onlyFamily(4)),
  6: payload('ip6 daddr', 'ipv6_addr', 'network', 24, 16, onlyFamily(6)),
};
/** `th sport`, `th dport`: tcp, udp and sctp have them in the same place. */
export const sourcePort = payload('th sport', 'inet_service', 'transport', 0, 2);
export const destinationPort = payload('th dport', 'inet_service', 'transport', 2, 2);
/** `ether saddr` */
export const sourceMac = payload('ether saddr', 'ether_addr', 'link', 6, 6);
/** `meta l4proto` */
export const l4proto = meta('meta l4proto', 'inet_proto', 16);
/** `meta mark` */
export const packetMark = meta('meta mark', 'mark', 3);
/** `iifname`, `oifname` */
export const inputName = meta('iifname', 'ifname', 6);
export const outputName = meta('oifname', 'ifname', 7);

/** Of the connection's first packet, before any address translation; NFT_CT_* with direction 0. */
function original(text: string, type: DataType, key: number): Field {
  return {
    text,
    type,
    load: (into, word) =>
      into.add(expression('ct', { destination: register(word), key, direction: Uint8Array.of(0) })),
  };
}

/** `ct original ip daddr`, `ct original ip6 daddr`; keys 20 and 22 exist since kernel 4.17. */
export const originalDestination = {
  4: original('ct original ip daddr', 'ipv4_addr', 20),
  6: original('ct original ip6 daddr', 'ipv6_addr', 22),
};
/** `ct original proto-dst` */
export const originalPort = original('ct original proto-dst', 'inet_service', 12);
