import type { Family, Variant } from '@cni-ts/iptables/program';
import { type SavedTable, save } from '@cni-ts/iptables/save';
import type { Netlink } from '@cni-ts/netlink/socket';
import { verdictChain } from '@cni-ts/nftables/action';
import { chainsThere, findChain } from '@cni-ts/nftables/chain';
import { listRules } from '@cni-ts/nftables/rule';
import { readRule } from '@cni-ts/rules/read-rule';
import { type ReadRule, targetChain } from '@cni-ts/rules/rule-spec';
import { readWords } from '@cni-ts/rules/words-language';
import type { Redirection } from './stale-flows.ts';

/** Chains that all attachments share, named as the reference does. */
export const entries = 'CNI-HOSTPORT-DNAT';
export const setMark = 'CNI-HOSTPORT-SETMARK';
export const masq = 'CNI-HOSTPORT-MASQ';

/** The nat table, as far as it is asked for. */
export interface NatTable {
  has(chain: string): boolean;
  /** The rules of a chain, none where it is not there. `about`: bytes of which a rule must have some to be of interest;
   *  others may be left out. */
  rules(chain: string, about?: readonly Uint8Array[]): ReadRule[];
  /** Whether one of a chain's rules leads to another chain. */
  leads(chain: string, to: string): boolean;
}

/**
 * Rules of iptables-nft are read from the kernel chain by chain, so that thousands of others in the table cost
 * nothing; the older tables are read whole, by one program, at the first question. `expected`: chains that will be
 * asked for, so that one message to the kernel tells which of them are there.
 */
export function natTable(
  nl: Netlink,
  family: Family,
  variant: Variant,
  expected: readonly string[] = [],
): NatTable {
  if (variant === 'nft') {
    const table = { family: family === 4 ? 'ip' : 'ip6', name: 'nat' } as const;
    const found = chainsThere(nl, table, expected);
    const there = new Map(expected.map((name) => [name, found.includes(name)]));
    const has = (chain: string) => there.get(chain) ?? findChain(nl, { table, name: chain }) !== undefined;
    return {
      has,
      rules: (chain, about) =>
        there.get(chain) === false
          ? []
          : listRules(nl, table, chain, about).map((rule) => readRule(family, rule)),
      // By the bytes of the jump alone: no rule is taken apart.
      leads: (chain, to) =>
        there.get(chain) !== false && listRules(nl, table, chain, [verdictChain(to)]).length > 0,
    };
  }
  let read: SavedTable | undefined;
  const all = () => {
    read ??= save(family, 'nat');
    return read;
  };
  const rules = (chain: string) =>
    all().rules.flatMap((rule) => (rule.chain === chain ? [readWords(family, rule.words)] : []));
  return {
    has: (chain) => all().chains.includes(chain),
    rules,
    leads: (chain, to) => rules(chain).some(({ action }) => targetChain(action) === to),
  };
}

/** What a packet has to be sent to for a rule to apply, and where the rule sends it if it does. */
export function portsIn({ when: { protocol, port, ports, to }, action }: ReadRule): Redirection[] {
  if (!protocol) return [];
  const numbers = port === undefined ? (ports ?? []) : [port];
  const target = action?.kind === 'dnat' ? action.address : undefined;
  return numbers.map((one) => ({ protocol, port: one, address: to?.ip, to: target }));
}

/** What a rule redirects. */
export function redirectionsOf(rule: ReadRule): Redirection[] {
  return rule.action?.kind === 'dnat' ? portsIn(rule) : [];
}
