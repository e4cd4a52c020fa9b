import {
  type Family,
  IptablesError,
  programName,
  requireProgram,
  runProgram,
} from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { type ChainRules, readChains } from '@cni-ts/rules/chain-rules';
import { thereIn } from '@cni-ts/rules/iptables-engine';
import { isAnothers } from '@cni-ts/rules/iptables-owner';
import { holdsExactly, stands } from '@cni-ts/rules/rule-set';
import type { RuleSpec } from '@cni-ts/rules/rule-spec';
import { ruleWords } from '@cni-ts/rules/words-language';
import { entries } from './iptables-chains.ts';
import { chainNames, chainRules, chainsToRead, entryRules, sharedRules } from './iptables-rules.ts';
import { type Owner, referenceChain } from './owner.ts';
import type { Plan, Target } from './plan.ts';

/** What is missing or different, in words. A program is started where iptables is of the older kind, and for conditions. */
export function iptablesDifferences(nl: Netlink, plan: Plan): string[] {
  return plan.targets.flatMap((target) => differences(nl, plan, target));
}

function differences(nl: Netlink, plan: Plan, target: Target): string[] {
  const { family } = target.address.ip;
  const what = `could not check ipv${family} dnat`;
  const shared = sharedRules(plan, family);
  const reference = referenceChain(plan.owner);
  const names = chainsToRead(shared, chainNames(plan.owner));
  const there = readChains(nl, family, 'nat', reference === undefined ? names : [...names, reference]);
  const chain = chainOf(there, plan.owner);
  if (!there.chains.includes(chain)) return [`${what}: chain ${chain} not found in iptables table nat`];
  const now = thereIn(there);
  const drift: string[] = [];
  const missing = (name: string, all: readonly RuleSpec[]) => {
    const dump = all.map((one) => `[${ruleWords(one).join(' ')}]`).join(' ');
    drift.push(`${what}: rule [${dump}] in chain ${name} not found in table nat`);
  };

  const own = chainRules(plan, target, chain);
  if (own.some((one) => !stands(now, one, false))) missing(chain, own);
  else if (!holdsExactly(now, chain, own)) {
    drift.push(`${what}: chain ${chain} has rules that are not this attachment's, or in another order`);
  }
  const conditions = plan.conditions[family];
  const lead = entryRules(plan, conditions, chain);
  const gone = lead.filter(
    (one) => !(conditions.length ? iptablesHas(family, one) : stands(now, one, false)),
  );
  if (gone.length) missing(entries, gone);
  for (const one of shared) if (!one.ours && !stands(now, one, false)) missing(one.chain, [one]);
  return drift;
}

/** As `findOwnChain`, of what iptables lists. */
function chainOf(there: ChainRules, owner: Owner): string {
  const { usual, spare } = chainNames(owner);
  const isOthers = there.rules.some(
    ({ chain, target, comment }) => chain === entries && target === usual && isAnothers(comment, owner),
  );
  const has = (name: string) => there.chains.includes(name);
  if (isOthers || (!has(usual) && has(spare))) return spare;
  const reference = referenceChain(owner);
  return !has(usual) && reference !== undefined && has(reference) ? reference : usual;
}

/** Conditions can be written in many ways, and only iptables knows that two of them mean the same. */
function iptablesHas(family: Family, rule: RuleSpec): boolean {
  try {
    runProgram(requireProgram(programName(family)), [
      '-t',
      'nat',
      '-C',
      rule.chain,
      ...ruleWords(rule),
      '--wait',
    ]);
    return true;
  } catch (error) {
    if (error instanceof IptablesError && error.status !== undefined) return false;
    throw error;
  }
}
