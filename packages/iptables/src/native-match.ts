import { type Cidr, formatCidr, maskOf, networkOf } from '@cni-ts/address/cidr';
import { constant, expression, register } from '@cni-ts/nftables/expression';
import { destinationAddress, sourceAddress } from '@cni-ts/nftables/field';
import { l4, type Operator, type Protocol } from '@cni-ts/nftables/match';
import type { Statement } from '@cni-ts/nftables/rule';
import { protocols } from '@cni-ts/nftables/set';

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
  INVALID: 1,
  NEW: 8,
  RELATED: 4,
  ESTABLISHED: 2,
  UNTRACKED: 256,
  SNAT: 64,
  DNAT: 128,
} as const;

/** `-m conntrack --ctstate RELATED,ESTABLISHED` */
export const xtRelatedOrEstablished = xtState('RELATED', 'ESTABLISHED');

/** `-m conntrack --ctstate DNAT`: the connection's destination was translated, as that of a published port is. */
export const xtDnatted = xtState('DNAT');

function xtState(...of: (keyof typeof conntrackStates)[]): Statement {
  // struct xt_conntrack_mtinfo3 (164 bytes, padded to 8), include/uapi/linux/netfilter/xt_conntrack.h
  const info = new Uint8Array(168);
  const view = new DataView(info.buffer);
  const XT_CONNTRACK_STATE = 1;
  view.setUint16(146, XT_CONNTRACK_STATE, true);
  view.setUint16(
    150,
    of.reduce((bits, one) => bits | conntrackStates[one], 0),
    true,
  );
  const match = constant('match', { name: 'conntrack', revision: 3, info });
  return { text: `xt match conntrack ${of.join(',')}`, compile: (into) => into.add(match) };
}

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

/** `-m multiport --dports 80,443`; stands behind xtProtocol. At most 15 ports. */
export function xtMultiport(ports: readonly number[]): Statement {
  return {
    text: `xt match multiport dports ${ports.join(',')}`,
    compile(into) {
      // struct xt_multiport_v1, include/uapi/linux/netfilter/xt_multiport.h
      const info = new Uint8Array(48);
      const view = new DataView(info.buffer);
      const XT_MULTIPORT_DESTINATION = 1;
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

// struct xt_addrtype_info_v1, include/uapi/linux/netfilter/xt_addrtype.h: destination types 1 << RTN_LOCAL (2)
const toLocal = constant('match', {
  name: 'addrtype',
  revision: 1,
  info: Uint8Array.of(0, 0, 1 << 2, 0, 0, 0, 0, 0),
});
