import type { Cidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import type { Protocol } from '@cni-ts/nftables/match';
import type { Statement } from '@cni-ts/nftables/rule';

export { hostCidr } from '@cni-ts/address/cidr';

/**
 * A rule as a value, in no backend's language. Three languages write it and read it back: nft (nft-language.ts),
 * iptables-nft by netlink (xt-language.ts), and the words of iptables-restore (words-language.ts). What stands in the
 * kernel in either of the first two is read by read-rule.ts.
 */
export interface RuleSpec {
  readonly chain: string;
  /** All of these must hold; nothing: every packet. */
  readonly when?: When;
  /** None of these may hold. */
  readonly except?: Exception;
  readonly action: Action;
  readonly comment?: string | undefined;
  /** Where it goes in its chain if it is not there; otherwise last. `above`: first, and anew whenever the rule before
   *  it in the list is made, since below that it is useless. */
  readonly place?: 'first' | 'above';
  /** The reference has no such rule, so that what it made is right without. */
  readonly ours?: boolean;
  /** More conditions in iptables' own words, which only the words' language writes, or in nft's, which only that does. */
  readonly words?: readonly string[];
  readonly statements?: readonly Statement[];
}

/** What a packet can be asked. */
export interface When {
  readonly from?: Cidr | undefined;
  readonly to?: Cidr | undefined;
  /** Link names, whole, or with a + at the end beginnings of names. */
  readonly input?: string | undefined;
  readonly output?: string | undefined;
  readonly protocol?: Protocol | undefined;
  /** Destination port, or one of several; needs a protocol. */
  readonly port?: number | undefined;
  readonly ports?: readonly number[] | undefined;
  /** The connection is in one of these states. */
  readonly state?: readonly State[] | undefined;
  readonly mark?: Mark | undefined;
  /** The destination is one of this host's own addresses. */
  readonly local?: true | undefined;
  /** Where the connection's first packet was sent, before any translation: only nft asks that. Needs a protocol. */
  readonly original?: { readonly port: number; readonly address?: Ip | undefined } | undefined;
  /** The hardware address it comes from. */
  readonly mac?: Uint8Array | undefined;
}
export type Exception = Pick<When, 'from' | 'to' | 'input' | 'output' | 'protocol'>;

/** The last two: source or destination were translated. */
export type State = 'invalid' | 'new' | 'related' | 'established' | 'untracked' | 'snat' | 'dnat';

/** Bits of the packet's mark, and which of them count. */
export interface Mark {
  readonly value: number;
  readonly mask: number;
}

/** What becomes of the packet. `other`: what only nft knows, in its own words. */
export type Action =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'masquerade' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  | { readonly kind: 'dnat'; readonly address: Ip; readonly port: number }
  | ({ readonly kind: 'mark' } & Mark)
  | { readonly kind: 'other'; readonly statement: Statement };

export const accept: Action = { kind: 'accept' };
export const drop: Action = { kind: 'drop' };
/** Back to the rule after the jump. */
export const toCaller: Action = { kind: 'return' };
export const masquerade: Action = { kind: 'masquerade' };
/** To another chain, and back when that has nothing to say. */
export function jump(chain: string): Action {
  return { kind: 'jump', chain };
}

/** A rule as it was read, as far as it was understood. */
export interface ReadRule {
  readonly when: When;
  readonly except: Exception;
  readonly action: Action | undefined;
  readonly comment: string | undefined;
  /** Whether nothing else stands in it. */
  readonly whole: boolean;
}

/** The chain that a rule leads to. */
export function targetChain(action: Action | undefined): string | undefined {
  return action?.kind === 'jump' || action?.kind === 'goto' ? action.chain : undefined;
}
