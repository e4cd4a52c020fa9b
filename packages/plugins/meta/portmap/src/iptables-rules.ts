import { networkOf, parseCidr } from '@cni-ts/address/cidr';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import {
  type Family,
  IptablesError,
  programName,
  requireProgram,
  type Variant,
  variantOf,
} from '@cni-ts/iptables/program';
import { restore } from '@cni-ts/iptables/restore';
import type { Netlink } from '@cni-ts/netlink/socket';
import { applyNatively, nativeChanges, type RuleChanges, wordChanges } from '@cni-ts/rules/iptables-engine';
import { isAnothers } from '@cni-ts/rules/iptables-owner';
import { familiesWith } from '@cni-ts/rules/jump';
import {
  hostCidr,
  jump,
  type Mark,
  masquerade,
  type ReadRule,
  type RuleSpec,
  targetChain,
  toCaller,
} from '@cni-ts/rules/rule-spec';
import { messageOf } from '@cni-ts/spec/cni-error';
import { entries, masq, type NatTable, natTable, setMark } from './iptables-chains.ts';
import { ownChains, removeFamily } from './iptables-removal.ts';
import { loopback6 } from './nftables-table.ts';
import { chainComment, iptablesChain, iptablesComment, type Owner, spareIptablesChain } from './owner.ts';
import type { Plan, Target } from './plan.ts';

/**
 * Port mappings in iptables' nat table, with the reference's names and rules: entry rules in CNI-HOSTPORT-DNAT, which
 * sees only packets for an address of this host, lead to a chain per attachment, which marks what has to be
 * masqueraded and redirects.
 */
const families: readonly Family[] = [4, 6];
/** What one multiport match can hold. */
const portsPerRule = 15;
const loopback = parseCidr('127.0.0.1/32');

/** The chain that marks packets to be masqueraded; undefined when none are. */
function markChain({ snat, externalSetMarkChain }: Plan): string | undefined {
  if (!snat) return undefined;
  return externalSetMarkChain || setMark;
}

/** Rules that all attachments of a family share. Those that mark are known by the mark, others by where they lead. */
export function sharedRules(plan: Plan, family: Family): RuleSpec[] {
  const toEntries = { when: { local: true }, action: jump(entries) } as const;
  const top: RuleSpec[] = [
    { chain: 'PREROUTING', ...toEntries },
    { chain: 'OUTPUT', ...toEntries },
  ];
  if (family === 6) {
    const when = { to: hostCidr(loopback6) };
    top.unshift({ chain: entries, place: 'first', when, action: toCaller, ours: true });
  }
  if (markChain(plan) !== setMark) return top;
  const mark: Mark = { value: plan.mark, mask: plan.mark };
  return [
    { chain: setMark, action: { kind: 'mark', ...mark }, comment: 'CNI portfwd masquerade mark' },
    { chain: masq, when: { mark }, action: masquerade },
    // Before others' masquerading, which would hide that the source has to change.
    {
      chain: 'POSTROUTING',
      place: 'first',
      action: jump(masq),
      comment: 'CNI portfwd requiring masquerade',
    },
    ...top,
  ];
}

/** Protocols in order, fifteen ports a rule; ports of mappings for the other family stand there as well. */
export function entryRules(
  { owner, mappings }: Plan,
  conditions: readonly string[],
  chain: string,
): RuleSpec[] {
  const rules: RuleSpec[] = [];
  for (const protocol of ['sctp', 'tcp', 'udp'] as const) {
    const ports = mappings.filter((one) => one.protocol === protocol).map(({ port }) => port);
    for (let at = 0; at < ports.length; at += portsPerRule) {
      rules.push({
        chain: entries,
        when: { protocol, ports: ports.slice(at, at + portsPerRule) },
        words: conditions,
        action: jump(chain),
        comment: iptablesComment(owner),
      });
    }
  }
  return rules;
}

export function chainRules(plan: Plan, { address, mappings }: Target, chain: string): RuleSpec[] {
  const marking = markChain(plan);
  return mappings.flatMap(({ protocol, port, address: host, containerPort }): RuleSpec[] => {
    const when = { to: host && hostCidr(host), protocol, port };
    const marks = marking === undefined ? [] : marked(plan, address);
    return [
      ...marks.map((from): RuleSpec => ({ chain, when: { from, ...when }, action: jump(marking ?? '') })),
      { chain, when, action: { kind: 'dnat', address: address.ip, port: containerPort } },
    ];
  });
}

/** The container and its neighbours, whose answers would go to them directly, and the host talking to 127.0.0.1;
 *  undefined: everybody. */
function marked({ masqAll }: Plan, address: Target['address']) {
  if (masqAll) return [undefined];
  const own = networkOf(address);
  return address.ip.family === 4 ? [own, loopback] : [own];
}

/** The kind of tables that the iptables in PATH writes to. */
export function variantFor(family: Family): Variant {
  return variantOf(requireProgram(programName(family, 'restore'))) ?? 'legacy';
}

/** Throws before anything is changed when a program is missing: `failed to open iptables: …`. */
export function requireIptables(needed: readonly Family[]): void {
  try {
    for (const family of needed) requireProgram(programName(family, 'restore'));
  } catch (error) {
    throw new Error(`failed to open iptables: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Adds or replaces an attachment's mappings: one transaction for both families, or where that is not possible one
 * iptables-restore per family. `undone` is told before each step how to take it back. Whether the attachment had none
 * before.
 */
export function addToIptables(nl: Netlink, plan: Plan, undone: (step: () => void) => void): boolean {
  let fresh = true;
  const begin = (family: Family) => undone(() => void removeFamily(nl, family, plan.owner));
  try {
    const done = addNatively(nl, plan, begin);
    for (const target of plan.targets) {
      const { family } = target.address.ip;
      if (done.includes(family)) continue;
      begin(family);
      fresh = addFamily(nl, plan, target) && fresh;
    }
  } catch (error) {
    throw new Error(`unable to setup DNAT: ${messageOf(error)}`, {
      cause: error,
    });
  }
  // An ADD repeated may have had mappings for the other family before.
  const others = families.filter(
    (family) => !plan.targets.some(({ address }) => address.ip.family === family),
  );
  for (const { family, chains } of familiesWith(nl, 'nat', ownChains(plan.owner), others)) {
    removeFamily(nl, family, plan.owner, chains);
  }
  return fresh;
}

/**
 * Where iptables-nft has its built-in chains, and nothing of this attachment yet, its rules are written without a
 * process. Returns the families that are done.
 */
function addNatively(nl: Netlink, plan: Plan, begin: (family: Family) => void): Family[] {
  const names = chainNames(plan.owner);
  const possible = plan.targets.flatMap((target) => {
    const { family } = target.address.ip;
    if (variantFor(family) !== 'nft') return [];
    const shared = sharedRules(plan, family);
    const nat = natTable(nl, family, 'nft', chainsToRead(shared, names));
    const [chain, known] = findOwnChain(nat, plan.owner, names);
    if (known) return [];
    if (!shared.every((rule) => rule.chain.startsWith('CNI-') || nat.has(rule.chain))) return [];
    const changes = nativeChanges(family, 'nat', additions(plan, target, chain, nat));
    return changes ? [{ family, changes }] : []; // none: conditions that only the program understands
  });
  for (const { family } of possible) begin(family);
  return applyNatively(nl, possible);
}

/** The names that an attachment's chain may have: see owner.ts. */
interface ChainNames {
  readonly usual: string;
  readonly spare: string;
}

export function chainNames(owner: Owner): ChainNames {
  return { usual: iptablesChain(owner), spare: spareIptablesChain(owner) };
}

export function chainsToRead(shared: readonly RuleSpec[], { usual, spare }: ChainNames): string[] {
  return [...new Set([usual, spare, entries, ...shared.map((rule) => rule.chain)])];
}

/** An attachment's chain, there or to be made, and whether it is there. */
function findOwnChain(nat: NatTable, owner: Owner, { usual, spare }: ChainNames): [string, boolean] {
  if (!nat.has(usual)) return [usual, nat.has(spare)];
  // The chain of somebody whose names run together to the same, if what leads there says so.
  const leading = nat.rules(entries, [new TextEncoder().encode(usual)]);
  const taken = leading.some(
    ({ action, comment }) => targetChain(action) === usual && isAnothers(comment, owner),
  );
  return taken ? [spare, nat.has(spare)] : [usual, true];
}

const attempts = 4;

function addFamily(nl: Netlink, plan: Plan, target: Target): boolean {
  const { family } = target.address.ip;
  const names = chainNames(plan.owner);
  let fresh = true;
  for (let attempt = 1; ; attempt++) {
    const expected = chainsToRead(sharedRules(plan, family), names);
    const nat = natTable(nl, family, variantFor(family), expected);
    const [chain, known] = findOwnChain(nat, plan.owner, names);
    if (known && attempt < attempts) {
      // An ADD repeated, perhaps with other ports: what it had before goes first.
      removeFamily(nl, family, plan.owner);
      fresh = false;
      continue;
    }
    try {
      restore(family, { nat: wordChanges(additions(plan, target, chain, nat)) });
      return fresh;
    } catch (error) {
      // Somebody else made one of the shared chains meanwhile: nothing is done yet, so look again.
      const raced = error instanceof IptablesError && /exists/i.test(error.message);
      if (!raced || attempt === attempts) throw error;
    }
  }
}

/** The attachment's chain and rules, and what is missing of what all share. */
function additions(plan: Plan, target: Target, own: string, nat: NatTable): RuleChanges {
  const { family } = target.address.ip;
  const table = iptablesNftTable(family, 'nat');
  const shared = sharedRules(plan, family);
  const names = new Set([...shared.map(({ chain }) => chain), entries]);
  const chains = [...names].filter((name) => name.startsWith('CNI-') && !nat.has(name));
  return {
    chains: [
      ...chains.map((name) => ({ table, name })),
      { table, name: own, comment: chainComment(plan.owner) },
    ],
    rules: [
      ...shared.filter((rule) => !isThere(rule, nat)),
      ...chainRules(plan, target, own),
      ...entryRules(plan, plan.conditions[family], own),
    ],
  };
}

function isThere(shared: RuleSpec, nat: NatTable): boolean {
  const { chain, action } = shared;
  // A chain is named in the rule that leads there; a target of iptables' own need not be.
  if (action.kind === 'jump') return nat.leads(chain, action.chain);
  const mark = markIn(shared);
  return nat.rules(chain).some((one) => {
    const theirs = markIn(one);
    const sameMark = !mark || (theirs?.value === mark.value && theirs.mask === mark.mask);
    return one.action?.kind === action.kind && sameMark;
  });
}

/** The mark that a rule sets or asks for. */
function markIn({ when, action }: RuleSpec | ReadRule): Mark | undefined {
  return action?.kind === 'mark' ? action : when?.mark;
}
