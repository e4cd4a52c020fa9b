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
