import { expression } from '../nftables/expression.ts';
import type { Statement } from '../nftables/rule.ts';

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

/** `-m conntrack --ctstate RELATED,ESTABLISHED` */
export const xtRelatedOrEstablished: Statement = {
  text: 'xt match conntrack RELATED,ESTABLISHED',
  compile(into) {
    // struct xt_conntrack_mtinfo3 (164 bytes, padded to 8), include/uapi/linux/netfilter/xt_conntrack.h
    const info = new Uint8Array(168);
    const view = new DataView(info.buffer);
    const XT_CONNTRACK_STATE = 1;
    view.setUint16(146, XT_CONNTRACK_STATE, true);
    view.setUint16(150, 4 | 2, true);
    into.add(expression('match', { name: 'conntrack', revision: 3, info }));
  },
};
