import { formatIp, type Ip } from '@cni-ts/address/ip';
import { sameBytes } from '@cni-ts/netlink/bytes';
import { type ExpressionData, expression } from '@cni-ts/nftables/expression';
import type { Statement } from '@cni-ts/nftables/rule';
import type { Family } from './program.ts';

/** Targets of iptables for rules that are written by netlink, in the form that iptables-nft gives them. */

/** `-j MASQUERADE` */
export function xtMasquerade(family: Family): Statement {
  return {
    text: 'xt target MASQUERADE',
    compile(into) {
      // IPv4: struct nf_nat_ipv4_multi_range_compat with one range, padded to 8; IPv6: struct nf_nat_range
      // (include/uapi/linux/netfilter/nf_nat.h). All zero: any address, any port.
      const info = new Uint8Array(family === 4 ? 24 : 40);
      if (family === 4) info[0] = 1;
      into.add(expression('target', { name: 'MASQUERADE', revision: 0, info }));
    },
  };
}

/** `-j DNAT --to-destination 10.1.2.2:80` */
export function xtDnat(address: Ip, port: number): Statement {
  const host = address.family === 4 ? formatIp(address) : `[${formatIp(address)}]`;
  return {
    text: `xt target DNAT to ${host}:${port}`,
    compile(into) {
      // struct nf_nat_range2, include/uapi/linux/netfilter/nf_nat.h, padded to 8
      const info = new Uint8Array(48);
      const view = new DataView(info.buffer);
      const [NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED] = [1, 2];
      view.setUint32(0, NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, true);
      for (const at of [4, 20]) info.set(address.bytes, at);
      for (const at of [36, 38]) view.setUint16(at, port); // in network order
      into.add(expression('target', { name: 'DNAT', revision: 2, info }));
    },
  };
}

/** `-j MARK --set-xmark 0x2000/0x2000` */
export function xtSetMark(mark: number, mask: number): Statement {
  return {
    text: `xt target MARK 0x${mark.toString(16)}/0x${mask.toString(16)}`,
    compile(into) {
      // struct xt_mark_tginfo2, include/uapi/linux/netfilter/xt_mark.h
      const info = new Uint8Array(8);
      const view = new DataView(info.buffer);
      view.setUint32(0, mark, true);
      view.setUint32(4, mask, true);
      into.add(expression('target', { name: 'MARK', revision: 2, info }));
    },
  };
}

/** What a target does, as far as it is known here. */
export type ReadTarget =
  | { readonly kind: 'masquerade' }
  | { readonly kind: 'dnat'; readonly address: Ip; readonly port: number }
  | { readonly kind: 'mark'; readonly value: number; readonly mask: number };

/** Reads a target's structure back; undefined for any other, and for what the known ones can do besides. */
export function readTarget(
  family: Family,
  { name, revision = 0, info }: ExpressionData<'target'>,
): ReadTarget | undefined {
  if (!info || !name) return undefined;
  const view = new DataView(info.buffer, info.byteOffset, info.length);
  switch (`${name} ${revision}`) {
    case 'MASQUERADE 0': {
      // The number of ranges, which is one, stands before IPv4's.
      const range = info.subarray(family === 4 ? 4 : 0);
      return range.some((byte) => byte !== 0) ? undefined : { kind: 'masquerade' };
    }
    case 'DNAT 0': {
      // The oldest form, of IPv4 alone: the number of ranges, and in each flags, two addresses, two ports.
      const plain = family === 4 && view.getUint32(0, true) === 1 && view.getUint32(4, true) === 3;
      return plain
        ? { kind: 'dnat', address: { family, bytes: info.slice(8, 12) }, port: view.getUint16(16) }
        : undefined;
    }
    case 'DNAT 1':
    case 'DNAT 2': {
      const length = family === 4 ? 4 : 16;
      const [first, last] = [info.slice(4, 4 + length), info.slice(20, 20 + length)];
      const [port, lastPort] = [view.getUint16(36), view.getUint16(38)];
      const plain = view.getUint32(0, true) === 3 && sameBytes(first, last) && port === lastPort;
      return plain ? { kind: 'dnat', address: { family, bytes: first }, port } : undefined;
    }
    case 'MARK 2':
      return { kind: 'mark', value: view.getUint32(0, true), mask: view.getUint32(4, true) };
    default:
      return undefined;
  }
}
