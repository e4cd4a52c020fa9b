import { holdsBytes } from '@cni-ts/netlink/bytes';
import { dataOf, type Expression } from './expression.ts';

/**
 * What `nft` shows as `comment "…"`: userdata of the kernel's objects, which it keeps without looking. It is a list
 * of type (1 byte), length (1 byte), value; the text ends with a NUL that counts.
 */
const COMMENT = 0;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A comment as userdata. nft takes 128 bytes; here 254 fit, longer ones throw. */
export function commentBytes(text: string, type = COMMENT): Uint8Array {
  const bytes = encoder.encode(text);
  if (bytes.length > 254) throw new Error(`the comment "${text}" is longer than 254 bytes`);
  return Uint8Array.of(type, bytes.length + 1, ...bytes, 0);
}

/** The comment in userdata, if it has one. `type`: 0 on rules, tables, chains and elements; 7 on sets. */
export function readComment(userdata: Uint8Array | undefined, type = COMMENT): string | undefined {
  if (!userdata) return undefined;
  for (let at = 0; at + 2 <= userdata.length; at += 2 + userdata[at + 1]!) {
    if (userdata[at] !== type) continue;
    const end = at + 2 + userdata[at + 1]!;
    return decoder.decode(userdata.subarray(at + 2, end)).replace(/\0$/, '');
  }
  return undefined;
}

const matchName = encoder.encode('comment\0');

/**
 * The comment that iptables keeps as an extension of its own, 256 bytes of text, instead of userdata: what
 * `iptables-restore` makes of every comment in a table that was saved. `raw`: the expressions as the kernel sent them,
 * since most rules have none and need not be read for that.
 */
export function readMatchComment(
  raw: Uint8Array,
  expressions: () => readonly Expression[],
): string | undefined {
  if (!holdsBytes(raw, matchName)) return undefined;
  for (const one of expressions()) {
    const match = dataOf(one, 'match');
    if (match?.name === 'comment' && match.info) return textBeforeNul(match.info);
  }
  return undefined;
}

/** struct xt_comment_info, include/uapi/linux/netfilter/xt_comment.h */
export function textBeforeNul(info: Uint8Array): string {
  const end = info.indexOf(0);
  return decoder.decode(end < 0 ? info : info.subarray(0, end));
}
