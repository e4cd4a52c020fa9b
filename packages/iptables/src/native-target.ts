import { formatIp, type Ip } from '@cni-ts/address/ip';
import { expression } from '@cni-ts/nftables/expression';
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
