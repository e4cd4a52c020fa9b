import { attributes, nest, select } from '@cni-ts/netlink/attributes';
import { asciiz, be32, be64, bytes, list, oneOf, type ValueOf } from '@cni-ts/netlink/codec';
import { Writer } from '@cni-ts/netlink/writer';

/**
 * The instructions a rule consists of, as include/uapi/linux/netfilter/nf_tables.h numbers them. They work on
 * registers: `load` something into one, compare it, act. All numbers are big-endian, unlike the rest of netlink;
 * the values in `data` lie there as the packet or the kernel's own variable has them.
 */
const verdict = attributes('NFTA_VERDICT_', {
  code: [1, be32],
  chain: [2, asciiz],
});

/** Either bytes to load or compare, or what becomes of the packet. */
export const nftData = attributes('NFTA_DATA_', {
  value: [1, bytes],
  verdict: [2, nest(verdict)],
});

const kinds = {
  meta: attributes('NFTA_META_', {
    destination: [1, be32],
    key: [2, be32],
    source: [3, be32], // given instead of a destination: `meta mark set`
  }),
  payload: attributes('NFTA_PAYLOAD_', {
    destination: [1, be32],
    base: [2, oneOf(be32, { link: 0, network: 1, transport: 2 })],
    offset: [3, be32],
    length: [4, be32],
  }),
  cmp: attributes('NFTA_CMP_', {
    source: [1, be32],
    op: [2, oneOf(be32, { '==': 0, '!=': 1, '<': 2, '<=': 3, '>': 4, '>=': 5 })],
    data: [3, nest(nftData)],
  }),
  bitwise: attributes('NFTA_BITWISE_', {
    source: [1, be32],
    destination: [2, be32],
    length: [3, be32],
    mask: [4, nest(nftData)],
    xor: [5, nest(nftData)],
    op: [6, be32],
  }),
  immediate: attributes('NFTA_IMMEDIATE_', {
    destination: [1, be32], // 0 is the verdict's register
    data: [2, nest(nftData)],
  }),
  lookup: attributes('NFTA_LOOKUP_', {
    set: [1, asciiz],
    source: [2, be32],
    destination: [3, be32], // of a map: where its value goes
    setId: [4, be32],
    flags: [5, be32], // 1: what is not in the set matches
  }),
  ct: attributes('NFTA_CT_', {
    destination: [1, be32],
    key: [2, be32],
    direction: [3, bytes], // u8: 0 original, 1 reply
    source: [4, be32],
  }),
  fib: attributes('NFTA_FIB_', {
    destination: [1, be32],
    result: [2, oneOf(be32, { oif: 1, oifname: 2, type: 3 })],
    flags: [3, be32], // 1 saddr, 2 daddr, 4 mark, 8 iif, 16 oif, 32 present
  }),
  nat: attributes('NFTA_NAT_', {
    type: [1, oneOf(be32, { snat: 0, dnat: 1 })],
    family: [2, be32],
    addressMin: [3, be32],
    addressMax: [4, be32], // the kernel repeats MIN when it was left out
    portMin: [5, be32],
    portMax: [6, be32],
    flags: [7, be32],
  }),
  masq: attributes('NFTA_MASQ_', { flags: [1, be32], portMin: [2, be32], portMax: [3, be32] }),
  redir: attributes('NFTA_REDIR_', { portMin: [1, be32], portMax: [2, be32], flags: [3, be32] }),
  counter: attributes('NFTA_COUNTER_', { bytes: [1, be64], packets: [2, be64] }),
  /** An extension of iptables inside a rule of iptables-nft; `info` is that extension's own structure. */
  match: attributes('NFTA_MATCH_', { name: [1, asciiz], revision: [2, be32], info: [3, bytes] }),
  target: attributes('NFTA_TARGET_', { name: [1, asciiz], revision: [2, be32], info: [3, bytes] }),
};

export type ExpressionKind = keyof typeof kinds;
export type ExpressionData<K extends ExpressionKind> = ValueOf<(typeof kinds)[K]>;

/** One instruction: `{ kind: 'cmp', data: { … } }`. */
const nftExpression = select({ kind: 1, data: 2 }, kinds);
export type Expression = ValueOf<typeof nftExpression>;

/** An instruction that was encoded before has its attribute here, head and all. */
const encoded = Symbol('encoded');
type Encoded = Expression & { readonly [encoded]?: Uint8Array };

const element: typeof nftExpression = {
  ...nftExpression,
  writeAttribute(to, type, one: Encoded) {
    const known = one[encoded];
    if (known) {
      to.bytes(known);
      return;
    }
    const start = to.beginAttribute(type);
    nftExpression.write(to, one);
    to.endAttribute(start);
  },
};

/** A list of instructions: every one lies in an NFTA_LIST_ELEM of its own. */
export const nftExpressions = attributes('NFTA_LIST_', { elements: [1, list(element)] });

/** Builds an instruction; the kind decides what `data` may hold. */
export function expression<K extends ExpressionKind>(kind: K, data: ExpressionData<K>): Expression {
  return { kind, data } as Expression; // reason: kind and data belong together by the signature
}

/** An instruction that many rules have just so: encoded once, which for the executables is when they are built. */
export function constant<K extends ExpressionKind>(kind: K, data: ExpressionData<K>): Expression {
  const one = expression(kind, data);
  const writer = new Writer(64);
  nftExpressions.write(writer, { elements: [one] });
  return Object.defineProperty(one, encoded, { value: writer.result().slice() });
}

/** The data of `one` if it is of that kind. */
export function dataOf<K extends ExpressionKind>(one: Expression, kind: K): ExpressionData<K> | undefined {
  // reason: the codec reads every known kind by its own table
  return one.kind === kind ? ((one.data ?? {}) as ExpressionData<K>) : undefined;
}

/**
 * The register at a word (4 bytes) of the register file. Words 0, 4, 8, 12 have names for 16 bytes at once
 * (NFT_REG_1…4 = 1…4), the others NFT_REG32_00 (8) and up; the kernel reports them the same way.
 */
export function register(word: number): number {
  return word % 4 === 0 ? 1 + word / 4 : 8 + word;
}

/** Where verdicts go. */
export const verdictRegister = 0;
