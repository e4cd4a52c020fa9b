import { type Cidr, formatCidr, maskOf, networkOf } from '@cni-ts/address/cidr';
import { textBeforeNul } from '@cni-ts/nftables/comment';
import { protocols } from '@cni-ts/nftables/data-type';
import { constant, type ExpressionData, expression, register } from '@cni-ts/nftables/expression';
import { destinationAddress, sourceAddress } from '@cni-ts/nftables/field';
import { l4, type Operator, type Protocol } from '@cni-ts/nftables/match';
import type { Statement } from '@cni-ts/nftables/rule';

/*
 * Extensions of iptables for rules that are written by netlink into a table of iptables-nft, in the form that program
 * gives them. With nftables' own words for the same, iptables would refuse to work with the whole table.
 */

/** `-m comment --comment text`; at most 255 bytes. */
export function xtComment(text: string): Statement {
  return {
    text: `xt match comment "${text}"`,
    compile(into) {
      // struct xt_comment_info, include/uapi/linux/netfilter/xt_comment.h
      const info = new Uint8Array(256);
      const bytes = new TextEncoder().encode(text);
      if (bytes.length >= info.length) throw new Error(`the comment "${text}" is longer than 255 bytes`);
      info.set(bytes);
      into.add(expression('match', { name: 'comment', revision: 0, info }));
    },
  };
}

/** The states of a connection as struct xt_conntrack_mtinfo3 has them, in iptables-save's order. */
export const conntrackStates = {
  invalid: 1,
  new: 8,
  related: 4,
  established: 2,
  untracked: 256,
  snat: 64,
  dnat: 128,
} as const;
export type ConntrackState = keyof typeof conntrackStates;

/** struct xt_conntrack_mtinfo3, include/uapi/linux/netfilter/xt_conntrack.h: where its last members lie. */
const conntrackInfo = { matchFlags: 146, invertFlags: 148, stateMask: 150 } as const;
const XT_CONNTRACK_STATE = 1;

/** The usual ones, built once. */
const stateMatches = new Map<number, Statement>();
/** `-m conntrack --ctstate RELATED,ESTABLISHED`; DNAT: the connection's destination was translated. */
export function xtState(of: readonly ConntrackState[]): Statement {
  let bits = 0;
  for (const one of of) bits |= conntrackStates[one];
  let match = stateMatches.get(bits);
  if (!match) {
    match = stateMatch(bits, `xt match conntrack ${of.join(',').toUpperCase()}`);
    stateMatches.set(bits, match);
  }
  return match;
}

function stateMatch(bits: number, text: string): Statement {
  const info = new Uint8Array(168); // 164 bytes, padded to 8
  const view = new DataView(info.buffer);
  view.setUint16(conntrackInfo.matchFlags, XT_CONNTRACK_STATE, true);
  view.setUint16(conntrackInfo.stateMask, bits, true);
  const match = constant('match', { name: 'conntrack', revision: 3, info });
  return { text, compile: (into) => into.add(match) };
}
xtState(['related', 'established']);
xtState(['dnat']);

/** `-s 10.1.0.0/20`, `-d …`: any prefix but 0. Masked also where whole bytes would do: that alone the oldest read. */
export function xtAddress(side: 'source' | 'destination', op: Operator, cidr: Cidr): Statement {
  const { ip, prefix } = networkOf(cidr);
  const field = { source: sourceAddress, destination: destinationAddress }[side][ip.family];
  return {
    text: `${field.text} ${op === '!=' ? '!= ' : ''}${formatCidr({ ip, prefix })}`,
    compile(into) {
      const { length } = ip.bytes;
      const [source, destination] = [register(0), register(0)];
      field.load(into, 0);
      if (prefix < length * 8) {
        const [mask, xor] = [{ value: maskOf({ ip, prefix }) }, { value: new Uint8Array(length) }];
        into.add(expression('bitwise', { source, destination, length, mask, xor }));
      }
      into.add(expression('cmp', { source, op, data: { value: ip.bytes } }));
    },
  };
}

/** `-p tcp`, which extensions that look at ports need. */
export function xtProtocol(protocol: Protocol): Statement {
  return {
    text: l4(protocol).text,
    compile(into) {
      l4(protocol).compile(into);
      into.extensionProtocol = protocols[protocol];
    },
  };
}

/** `-m tcp --dport 80`; stands behind xtProtocol. */
export function xtPort(protocol: Protocol, port: number): Statement {
  return {
    text: `xt match ${protocol} dport ${port}`,
    compile: (into) =>
      into.add(expression('match', { name: protocol, revision: 0, info: portInfo(protocol, port) })),
  };
}

/** struct xt_tcp, xt_udp (include/uapi/linux/netfilter/xt_tcpudp.h), xt_sctp_info (xt_sctp.h), padded to 8. */
function portInfo(protocol: Protocol, port: number): Uint8Array {
  const info = new Uint8Array(protocol === 'sctp' ? 296 : 16);
  const view = new DataView(info.buffer);
  if (protocol === 'sctp') {
    const XT_SCTP_DEST_PORTS = 2;
    view.setUint16(0, port, true);
    view.setUint16(2, port, true);
    for (let chunk = 0; chunk < 4; chunk++) view.setUint8(268 + 3 * chunk, 0xff); // none
    view.setUint32(284, XT_SCTP_DEST_PORTS, true);
  } else {
    view.setUint16(2, 0xffff, true); // any source
    view.setUint16(4, port, true);
    view.setUint16(6, port, true);
  }
  return info;
}

const XT_MULTIPORT_DESTINATION = 1;

/** `-m multiport --dports 80,443`; stands behind xtProtocol. At most 15 ports. */
export function xtMultiport(ports: readonly number[]): Statement {
  return {
    text: `xt match multiport dports ${ports.join(',')}`,
    compile(into) {
      // struct xt_multiport_v1, include/uapi/linux/netfilter/xt_multiport.h
      const info = new Uint8Array(48);
      const view = new DataView(info.buffer);
      info[0] = XT_MULTIPORT_DESTINATION;
      info[1] = ports.length;
      for (const [i, port] of ports.entries()) view.setUint16(2 + 2 * i, port, true);
      into.add(expression('match', { name: 'multiport', revision: 1, info }));
    },
  };
}

/** `-m mark --mark 0x2000/0x2000` */
export function xtMark(mark: number, mask: number): Statement {
  return {
    text: `xt match mark 0x${mark.toString(16)}/0x${mask.toString(16)}`,
    compile(into) {
      // struct xt_mark_mtinfo1, include/uapi/linux/netfilter/xt_mark.h, padded to 8
      const info = new Uint8Array(16);
      const view = new DataView(info.buffer);
      view.setUint32(0, mark, true);
      view.setUint32(4, mask, true);
      into.add(expression('match', { name: 'mark', revision: 1, info }));
    },
  };
}

/** `-m addrtype --dst-type LOCAL` */
export const xtToLocal: Statement = {
  text: 'xt match addrtype dst-type LOCAL',
  compile: (into) => into.add(toLocal),
};

const RTN_LOCAL = 2;
// struct xt_addrtype_info_v1, include/uapi/linux/netfilter/xt_addrtype.h: destination types
const toLocal = constant('match', {
  name: 'addrtype',
  revision: 1,
  info: Uint8Array.of(0, 0, 1 << RTN_LOCAL, 0, 0, 0, 0, 0),
});

/** What an extension asks of a packet, as far as it is known here. */
export interface ReadMatch {
  readonly comment?: string;
  readonly state?: readonly ConntrackState[];
  readonly port?: number;
  /** Of which the port must be one. */
  readonly ports?: readonly number[];
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly local?: true;
  /** The protocol that must be known, for the ports. */
  readonly protocol?: string;
}

/** Reads an extension's structure back; undefined for any other, and for what the known ones can ask besides. */
export function readMatch({ name, revision = 0, info }: ExpressionData<'match'>): ReadMatch | undefined {
  if (!info || !name) return undefined;
  const view = new DataView(info.buffer, info.byteOffset, info.length);
  switch (`${name} ${revision}`) {
    case 'comment 0':
      return { comment: textBeforeNul(info) };
    case 'conntrack 3': {
      const flags = view.getUint16(conntrackInfo.matchFlags, true);
      if (flags !== XT_CONNTRACK_STATE || view.getUint16(conntrackInfo.invertFlags, true)) return undefined;
      return { state: statesIn(view.getUint16(conntrackInfo.stateMask, true)) };
    }
    case 'tcp 0':
    case 'udp 0': {
      const anySource = view.getUint16(0, true) === 0 && view.getUint16(2, true) === 0xffff;
      const [first, last] = [view.getUint16(4, true), view.getUint16(6, true)];
      const plain = anySource && first === last && isZero(info, 8);
      return plain ? { port: first, protocol: name } : undefined;
    }
    case 'sctp 0': {
      const [first, last] = [view.getUint16(0, true), view.getUint16(2, true)];
      const onlyDestination = view.getUint32(284, true) === 2 && view.getUint32(288, true) === 0;
      return onlyDestination && first === last ? { port: first, protocol: name } : undefined;
    }
    case 'multiport 1': {
      const ports = Array.from({ length: info[1] ?? 0 }, (_, i) => view.getUint16(2 + 2 * i, true));
      return info[0] === XT_MULTIPORT_DESTINATION && isZero(info, 32) ? { ports } : undefined;
    }
    case 'mark 1':
      return info[8]
        ? undefined
        : { mark: { value: view.getUint32(0, true), mask: view.getUint32(4, true) } };
    case 'addrtype 1': {
      const local = view.getUint16(0, true) === 0 && view.getUint16(2, true) === 1 << RTN_LOCAL;
      return local && isZero(info, 4) ? { local } : undefined;
    }
    default:
      return undefined;
  }
}

/** Those of these bits, in iptables-save's order. */
export function statesIn(bits: number): ConntrackState[] {
  const states: ConntrackState[] = [];
  for (const name in conntrackStates) {
    const state = name as ConntrackState; // reason: the table's own keys
    if (bits & conntrackStates[state]) states.push(state);
  }
  return states;
}

/** The states that `ct state` and `ct status` of nftables have under other bits. */
export function statesByNft(field: 'ct state' | 'ct status', bits: number): ConntrackState[] | undefined {
  const known = field === 'ct state' ? nftStates : nftStatuses;
  const states: ConntrackState[] = [];
  let rest = bits;
  for (const [state, bit] of known) {
    if ((bits & bit) === 0) continue;
    states.push(state);
    rest &= ~bit;
  }
  return rest === 0 && bits !== 0 ? states : undefined;
}

const nftStates: readonly [ConntrackState, number][] = [
  ['invalid', 1],
  ['new', 8],
  ['related', 4],
  ['established', 2],
  ['untracked', 64],
];
const nftStatuses: readonly [ConntrackState, number][] = [
  ['snat', 0x10],
  ['dnat', 0x20],
];

function isZero(info: Uint8Array, from: number): boolean {
  for (let at = from; at < info.length; at++) if (info[at] !== 0) return false;
  return true;
}
