import { expression } from '../nftables/expression.ts';
import type { Statement } from '../nftables/rule.ts';

/**
 * `-m conntrack --ctstate RELATED,ESTABLISHED` for a rule that is written by netlink into a table of iptables-nft:
 * with nftables' own `ct state` in it, iptables would refuse to work with the whole table.
 */
export const xtRelatedOrEstablished: Statement = {
  text: 'xt match conntrack RELATED,ESTABLISHED',
  compile(into) {
    // struct xt_conntrack_mtinfo3 (164 bytes, padded to 8), include/uapi/linux/netfilter/xt_conntrack.h
    const info = new Uint8Array(168);
    const view = new DataView(info.buffer);
    const XT_CONNTRACK_STATE = 1;
    view.setUint16(148, XT_CONNTRACK_STATE, true);
    view.setUint16(152, 4 | 2, true);
    into.add(expression('match', { name: 'conntrack', revision: 3, info }));
  },
};
