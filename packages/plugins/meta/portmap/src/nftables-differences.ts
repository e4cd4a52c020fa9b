import type { Netlink } from '@cni-ts/netlink/socket';
import { chainQuestion } from '@cni-ts/nftables/chain';
import { ask } from '@cni-ts/nftables/question';
import { listRules, sameRule } from '@cni-ts/nftables/rule';
import { tableText } from '@cni-ts/nftables/table';
import { isInNft, ruleText } from '@cni-ts/rules/nft-engine';
import { tagged } from './nftables-reading.ts';
import { referenceDifferences } from './nftables-references.ts';
import { type Part, type Wanted, wantedOf } from './nftables-rules.ts';
import { keyName, keyQuestion, plumbing } from './nftables-table.ts';
import type { Owner } from './owner.ts';
import type { Plan } from './plan.ts';

/**
 * What is missing or different, in words: first of the attachment's own, then of what all share. Where nothing is as it
 * should be, the reference may have made it.
 */
export function nftablesDifferences(nl: Netlink, plan: Plan): string[] {
  const drift = wantedOf(plan).flatMap((wanted) => [
    ...ownDifferences(nl, plan.owner, wanted),
    ...sharedDifferences(nl, wanted),
  ]);
  return (drift.length ? referenceDifferences(nl, plan) : undefined) ?? drift;
}

function ownDifferences(nl: Netlink, owner: Owner, { parts }: Wanted): string[] {
  return parts.flatMap((part) => [...ruleDifferences(nl, owner, part), ...keyDifferences(nl, part)]);
}

function ruleDifferences(nl: Netlink, owner: Owner, { chain, kind, rules }: Part): string[] {
  const { table, name } = chain;
  const mine = listRules(nl, table, name).filter(tagged(owner));
  const missing = rules.filter((one) => !mine.some((listed) => sameRule(table.family, one, listed)));
  const strange = mine.filter((listed) => !rules.some((one) => sameRule(table.family, one, listed)));
  const where = `chain ${name} of table ${tableText(table)}`;
  return [
    ...missing.map(
      (one) => `missing hostport rules in "${kind}" chain: rule "${one.text}" is not in ${where}`,
    ),
    ...strange.map(
      ({ handle }) =>
        `rule with handle ${handle} in ${where} has this attachment's comment, but is none of its`,
    ),
  ];
}

function keyDifferences(nl: Netlink, { chain, kind, keys }: Part): string[] {
  const found = ask(nl, keys.map(keyQuestion));
  return keys.flatMap((key, i) => {
    const to = found[i]?.jump;
    if (to === chain.name) return [];
    const leads = to === undefined ? 'leads nowhere' : `leads to chain ${to}`;
    return [`missing hostport rules in "${kind}" chain: ${keyName(key)} ${leads}`];
  });
}

function sharedDifferences(nl: Netlink, { family, masquerades }: Wanted): string[] {
  const { table, chains, shared } = plumbing(family, masquerades);
  const found = ask(nl, chains.map(chainQuestion));
  const is = isInNft(table);
  return chains.flatMap(({ name, base }, i) => {
    const where = `chain ${name} of table ${tableText(table)}`;
    const rules = shared.filter((one) => one.chain === name);
    const there = found[i] && rules.length ? listRules(nl, table, name) : [];
    const missing = rules.filter((one) => !there.some((listed) => is(one, listed, false)));
    return [
      ...missing.map((one) => `rule "${ruleText(table, one)}" is missing in ${where}`),
      ...(base && !found[i]?.base ? [`${where} has no hook`] : []),
    ];
  });
}
