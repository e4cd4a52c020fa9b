import type { Cidr } from '@cni-ts/address/cidr';
import { hasLegacyTable } from '@cni-ts/iptables/legacy-table';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import type { Family, Variant } from '@cni-ts/iptables/program';
import { type IptablesTableName, retryOvertaken } from '@cni-ts/iptables/restore';
import { legacyTable } from '@cni-ts/iptables/save';
import { holdsBytes } from '@cni-ts/netlink/bytes';
import type { Netlink } from '@cni-ts/netlink/socket';
import { jumpTarget } from '@cni-ts/nftables/action';
import { chainsThere, presenceQuestion } from '@cni-ts/nftables/chain';
import { ask } from '@cni-ts/nftables/question';
import { listRules } from '@cni-ts/nftables/rule';
import { retryRaces } from '@cni-ts/nftables/transaction';
import { type ChainRule, readLegacyChains, rulesIn } from './chain-rules.ts';
import { deleteChosen } from './iptables-engine.ts';

/**
 * User chains and the rules that lead to them, found and removed without knowing what is in them. iptables-nft
 * keeps its rules in ordinary nf_tables tables (`ip nat`), so they are read and deleted there without starting a
 * program; programs run only when the older tables exist in this namespace. DEL thus costs nothing where nothing is.
 */
export interface Jump {
  readonly variant: Variant;
  readonly from: string;
  readonly to: string;
  readonly comment: string | undefined;
  /** `-s`; undefined if the rule has none. */
  readonly source: Cidr | undefined;
  readonly rule: ChainRule;
}

const encoder = new TextEncoder();

/** The jumps of one chain. `to`: only those to these chains. */
export function listJumps(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  from: string,
  to?: readonly string[],
): Jump[] {
  const about = to?.map((name) => encoder.encode(name));
  return [
    ...jumpsAmong('nft', rulesIn(nl, family, table, 'nft', from, about), to),
    ...jumpsAmong('legacy', rulesIn(nl, family, table, 'legacy', from), to),
  ];
}

function jumpsAmong(variant: Variant, rules: readonly ChainRule[], only?: readonly string[]): Jump[] {
  return rules.flatMap((rule) => {
    const { chain: from, target: to, comment } = rule;
    if (to === undefined || (only !== undefined && !only.includes(to))) return [];
    return [
      {
        variant,
        from,
        to,
        comment,
        rule,
        // Only then the rest of the rule is read.
        get source() {
          return rule.spec.when.from;
        },
      },
    ];
  });
}

/** Whether a chain has jumps to chains other than these, whose names begin with `prefix`. */
export function leadsElsewhere(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  from: string,
  prefix: string,
  these: readonly string[],
): boolean {
  const [start, own] = [encoder.encode(prefix), these.map((name) => encoder.encode(name))];
  const isOther = (to: string | undefined) => to?.startsWith(prefix) && !these.includes(to);
  const others = listRules(
    nl,
    iptablesNftTable(family, table),
    from,
    (message) => holdsBytes(message, start) && !own.some((name) => holdsBytes(message, name)),
  );
  return (
    others.some((rule) => isOther(jumpTarget(rule.expressions))) ||
    rulesIn(nl, family, table, 'legacy', from).some(({ target }) => isOther(target))
  );
}

/** Which of the two kinds of tables has this chain. */
export function chainVariants(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  chain: string,
): Variant[] {
  const found: Variant[] = [];
  if (chainsThere(nl, iptablesNftTable(family, table), [chain]).length) found.push('nft');
  if (legacyTable(family, table)?.chains.includes(chain)) found.push('legacy');
  return found;
}

/**
 * Removes user chains with their rules, and the rules of `parents` that jump there: one transaction, or one restore.
 * What is not there is fine. Returns the chains that were. `isOthers`: a chain to which such a jump leads belongs to
 * somebody else whose names give the same chain, and stays; other jumps there go, if they say whose they are.
 */
export function removeChains(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
  parents: readonly string[],
  isOthers: (jump: Jump) => boolean = () => false,
): string[] {
  const gone = new Set<string>();
  const remove = (variant: Variant) => {
    const legacy =
      variant === 'legacy' ? readLegacyChains(family, table, [...chains, ...parents]) : undefined;
    const found = legacy
      ? chains.filter((name) => legacy.chains.includes(name))
      : chainsThere(nl, iptablesNftTable(family, table), chains);
    if (!found.length) return;
    const about = found.map((name) => encoder.encode(name));
    const leading =
      legacy?.rules.filter(({ chain }) => parents.includes(chain)) ??
      parents.flatMap((parent) => rulesIn(nl, family, table, variant, parent, about));
    const jumps = jumpsAmong(variant, leading, found);
    const spared = jumps.filter(isOthers).map(({ to }) => to);
    const there = found.filter((name) => !spared.includes(name));
    const going = jumps.filter(
      (jump) => !spared.includes(jump.to) || (jump.comment !== undefined && !isOthers(jump)),
    );
    deleteChosen(
      nl,
      family,
      table,
      variant,
      going.map(({ rule }) => rule),
      there,
    );
    for (const name of there) gone.add(name);
  };
  retryRaces(() => remove('nft'));
  retryOvertaken(() => remove('legacy'));
  return [...gone];
}

const families: readonly Family[] = [4, 6];

/** A family, and which of the chains that were asked for are there, or may be. */
export interface FamilyChains {
  readonly family: Family;
  readonly chains: readonly string[];
}

/**
 * The families where one of these chains is, or may be: one message to the kernel, and a look whether there are older
 * tables, which no message tells anything about.
 */
export function familiesWith(
  nl: Netlink,
  table: IptablesTableName,
  chains: readonly string[],
  of: readonly Family[] = families,
): FamilyChains[] {
  const found = ask(
    nl,
    of.map((family) =>
      chains.map((name) => presenceQuestion({ table: iptablesNftTable(family, table), name })),
    ),
  );
  return of.flatMap((family, i) => {
    if (hasLegacyTable(family, table)) return [{ family, chains }];
    const there = chains.filter((_, at) => found[i]?.[at]);
    return there.length ? [{ family, chains: there }] : [];
  });
}
