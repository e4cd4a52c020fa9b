/** Port mappings by iptables: how an attachment's come about, what of them is missing, and who else has a port. */
import {
  type Family,
  IptablesError,
  programName,
  requireProgram,
  runProgram,
  type Variant,
  variantOf,
} from '@cni-ts/iptables/program';
import { restore } from '@cni-ts/iptables/restore';
import type { Netlink } from '@cni-ts/netlink/socket';
import { verdictChain } from '@cni-ts/nftables/action';
import { dataTypes } from '@cni-ts/nftables/data-type';
import { type ChainRule, readChains, rulesIn, thereByPieces } from '@cni-ts/rules/chain-rules';
import {
  applyNatively,
  type FamilyChanges,
  nativeChanges,
  type RuleChanges,
  thereIn,
  wordChanges,
} from '@cni-ts/rules/iptables-engine';
import { isAnothers, readNamed } from '@cni-ts/rules/iptables-owner';
import { familiesWith } from '@cni-ts/rules/jump';
import { ownChain } from '@cni-ts/rules/own-chain';
import { holdsExactly, lacking, stands } from '@cni-ts/rules/rule-set';
import type { RuleSpec } from '@cni-ts/rules/rule-spec';
import { ruleWords } from '@cni-ts/rules/words-language';
import { failing } from '@cni-ts/spec/failing';
import { removeFamily } from './iptables-removal.ts';
import { entries, portsIn, redirectionsOf, setOf, sharedRules } from './iptables-rules.ts';
import { type Holder, type HostPort, overlaps } from './mapping.ts';
import { iptablesChains, iptablesComment, type Owner, ownChains, referenceChains } from './owner.ts';
import type { Plan, Target } from './plan.ts';

/** The kind of tables that the iptables in PATH writes to. */
export function variantFor(family: Family): Variant | undefined {
  return variantOf(requireProgram(programName(family, 'restore')));
}

/** Throws before anything is changed when a program is missing: `failed to open iptables: …`. */
export function requireIptables(needed: readonly Family[]): void {
  for (const family of needed) {
    failing('failed to open iptables', () => requireProgram(programName(family, 'restore')));
  }
}

/** What stands in the chains of one family, which is the attachment's, and what must stand there. `how`: for ADD by what
 *  leads where; for CHECK each rule that may be meant, and what is in its own chains, whole; or strangers' rules too. */
function look(nl: Netlink, plan: Plan, target: Target, how: 'for ADD' | 'whole' | 'thoroughly' = 'for ADD') {
  const { family } = target.address.ip;
  const { owner, config } = plan;
  const names = iptablesChains(owner);
  const shared = sharedRules(plan, family);
  const own = [names.usual, names.spare, ...referenceChains(owner)];
  const chains = [...new Set([...own, entries, ...shared.map(({ chain }) => chain)])];
  const isWhole = how === 'whole';
  const leading = (of: string) => [
    ...shared.flatMap((one) => (one.chain === of ? [bytesIn(one, config.mark)] : [])),
    ...(of === entries ? (isWhole ? own : [names.usual]).map(verdictChain) : []),
  ];
  const about = (of: string) => (isWhole && own.includes(of) ? undefined : leading(of));
  const now =
    how === 'thoroughly'
      ? thereIn(readChains(nl, family, 'nat', chains))
      : thereByPieces(nl, family, 'nat', chains, about, isWhole);
  // The usual chain may be that of somebody whose names run together to the same, if what leads there says so.
  const { name, standing } = ownChain(names, now.has, () =>
    now.rules(entries).some((one) => one.leadsTo(names.usual) && isAnothers(one.comment, owner)),
  );
  const of = (chain: string) => setOf(plan, target, shared, chain);
  const missing = (): RuleChanges => {
    const set = of(name);
    const { chains, shared } = lacking({ ...set, own: [] }, now);
    return { chains, rules: [...shared, ...set.own] };
  };
  return { family, now, name, standing, shared, missing, setOf: of };
}
type Sight = ReturnType<typeof look>;

/** Bytes that tell a shared rule from most others: where it leads, an address, or the mark. */
function bytesIn({ action, when }: RuleSpec, mark: number): Uint8Array {
  return action.kind === 'jump'
    ? verdictChain(action.chain)
    : (when?.to?.ip.bytes ?? dataTypes.mark.bytes(mark));
}

const attempts = 4;

/**
 * Adds or replaces an attachment's mappings: one transaction for both families, or where that is not possible one
 * iptables-restore per family. `undone` is told before each step how to take it back. Whether the attachment had none
 * before.
 */
export function addToIptables(nl: Netlink, plan: Plan, undone: (step: () => void) => void): boolean {
  const { owner, targets } = plan;
  const wanted = targets.map(({ address }) => address.ip.family);
  for (const family of wanted) undone(() => void removeFamily(nl, family, owner));
  const fresh = failing('unable to setup DNAT', () => add(nl, plan));
  // An ADD repeated may have had mappings for the other family before.
  const others = ([4, 6] as const).filter((family) => !wanted.includes(family));
  for (const { family, chains } of familiesWith(nl, 'nat', ownChains(owner), others)) {
    removeFamily(nl, family, owner, chains);
  }
  return fresh;
}

function add(nl: Netlink, plan: Plan): boolean {
  let left = plan.targets;
  let fresh = true;
  for (let attempt = 1; left.length; attempt++) {
    const sights = left.map((target) => look(nl, plan, target));
    const known = sights.filter(({ standing }) => standing.length);
    if (known.length && attempt < attempts) {
      // An ADD repeated, perhaps with other ports: what it had before goes first.
      for (const { family } of known) removeFamily(nl, family, plan.owner);
      fresh = false;
      continue;
    }
    const done = applyNatively(nl, sights.flatMap(natively));
    try {
      for (const { family, missing } of sights) {
        if (done.includes(family)) continue;
        restore(family, { nat: wordChanges(missing()) });
        done.push(family);
      }
    } catch (error) {
      // Somebody else made one of the shared chains meanwhile: nothing is done yet, so look again.
      const raced = error instanceof IptablesError && /exists/i.test(error.message);
      if (!raced || attempt === attempts) throw error;
    }
    left = left.filter(({ address }) => !done.includes(address.ip.family));
  }
  return fresh;
}

/** Where iptables-nft has its built-in chains, its rules are written without a process. */
function natively({ family, now, standing, missing, shared }: Sight): FamilyChanges[] {
  const builtIn = shared.every(({ chain }) => chain.startsWith('CNI-') || now.has(chain));
  if (variantFor(family) !== 'nft' || standing.length || !builtIn) return [];
  const changes = nativeChanges(family, 'nat', missing());
  return changes ? [{ family, changes }] : []; // none: conditions that only the program understands
}

/** What is missing or different, in words. A program is started where iptables is of the older kind, and for conditions. */
export function iptablesDifferences(nl: Netlink, plan: Plan): string[] {
  return plan.targets.flatMap((target) => {
    // Of the many rules that others have most need not be read to see that nothing is missing, nor where there is nothing
    // at all; what is left may have been written in another form, which only the program knows.
    const { drift, isSure } = differences(nl, plan, target, 'whole');
    return drift.length && !isSure ? differences(nl, plan, target, 'thoroughly').drift : drift;
  });
}

function differences(
  nl: Netlink,
  plan: Plan,
  target: Target,
  how: 'whole' | 'thoroughly',
): { drift: string[]; isSure: boolean } {
  const { family } = target.address.ip;
  const what = `could not check ipv${family} dnat`;
  const { now, name, standing, setOf } = look(nl, plan, target, how);
  const [chain = name] = [...standing, ...referenceChains(plan.owner).filter(now.has)];
  if (!now.has(chain))
    return { drift: [`${what}: chain ${chain} not found in iptables table nat`], isSure: true };
  const drift: string[] = [];
  const missing = (where: string, all: readonly RuleSpec[]) => {
    const dump = all.map((one) => `[${ruleWords(one).join(' ')}]`).join(' ');
    drift.push(`${what}: rule [${dump}] in chain ${where} not found in table nat`);
  };
  const { shared, own } = setOf(chain);
  const inside = own.filter((one) => one.chain === chain);
  if (inside.some((one) => !stands(now, one, false))) missing(chain, inside);
  else if (!holdsExactly(now, chain, inside)) {
    drift.push(`${what}: chain ${chain} has rules that are not this attachment's, or in another order`);
  }
  const lead = own.filter((one) => one.chain === entries);
  const gone = lead.filter(
    (one) => !(one.words?.length ? iptablesHas(family, one) : stands(now, one, false)),
  );
  if (gone.length) missing(entries, gone);
  for (const one of shared) if (!one.ours && !stands(now, one, false)) missing(one.chain, [one]);
  return { drift, isSure: now.rules(chain).length === 0 };
}

/** Conditions can be written in many ways, and only iptables knows that two of them mean the same. */
function iptablesHas(family: Family, rule: RuleSpec): boolean {
  const words = ['-t', 'nat', '-C', rule.chain, ...ruleWords(rule), '--wait'];
  try {
    runProgram(requireProgram(programName(family)), words);
    return true;
  } catch (error) {
    if (error instanceof IptablesError && error.status !== undefined) return false;
    throw error;
  }
}

/**
 * Who else has one of these ports, by the entry rules and the chains they lead to. Only reads the kernel's own
 * tables, unless the older tables are what this host uses.
 */
export function iptablesHolder(
  nl: Netlink,
  owner: Owner,
  family: Family,
  ports: readonly HostPort[],
  variant: Variant | undefined,
): Holder | undefined {
  const taken = (rule: ChainRule) => ports.find((one) => portsIn(rule).some((other) => overlaps(one, other)));
  for (const entry of rulesIn(nl, family, 'nat', variant, entries, ports.flatMap(portBytes))) {
    const { comment, target: chain } = entry;
    const theirs = readNamed(comment);
    if (comment === iptablesComment(owner) || theirs?.containerId === owner.containerId) continue;
    if (!chain?.startsWith('CNI-DN-') || !taken(entry)) continue;
    const rule = rulesIn(nl, family, 'nat', variant, chain).find(
      (one) => redirectionsOf(one).length && taken(one),
    );
    const port = rule && taken(rule);
    if (!port) continue;
    const { containerId, network } = theirs ?? { containerId: 'unknown', network: 'unknown' };
    return { port, containerId, more: `net: ${network}, chain ${chain}` };
  }
  return undefined;
}

/** As extensions of iptables have a port in their structures, and as nftables compares it with the packet's. */
function portBytes({ port }: HostPort): Uint8Array[] {
  const [high, low] = [port >> 8, port & 0xff];
  return [Uint8Array.of(low, high), Uint8Array.of(high, low)];
}
