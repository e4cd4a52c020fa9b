/** Port mappings by nftables: how an attachment's come about, what of them is missing, and who else has a port. */
import type { Netlink } from '@cni-ts/netlink/socket';
import { addChain, type Chain, chainQuestion, findChain } from '@cni-ts/nftables/chain';
import { type Answers, ask } from '@cni-ts/nftables/question';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { addElements, addSet, deleteElements, listElements, setQuestion } from '@cni-ts/nftables/set';
import { addTable, countQuestion, type Table, tableText } from '@cni-ts/nftables/table';
import { type Change, transaction } from '@cni-ts/nftables/transaction';
import { compareChain, isInNft, makeRule, nftChanges, ruleText } from '@cni-ts/rules/nft-engine';
import { lacking, ownedBy } from '@cni-ts/rules/rule-set';
import type { RuleSpec } from '@cni-ts/rules/rule-spec';
import { type Holder, type HostPort, overlaps } from './mapping.ts';
import { removals } from './nftables-removal.ts';
import {
  isRedirecting,
  isReferences,
  keysTo,
  leadingThere,
  portOf,
  portsOf,
  redirection,
  type Wanted,
  wantedOf,
} from './nftables-rules.ts';
import { changeKeys, keyName, keyQuestion, keysWithout, objects, portKey } from './nftables-table.ts';
import { nftChains, type Owner } from './owner.ts';
import type { Plan, Target } from './plan.ts';

/** Whether nothing was ever added by nftables here, or all of it is gone: then a look would find nothing. */
export function isUnused(nl: Netlink): boolean {
  const [inIpv4, inIpv6] = ask(nl, [countQuestion(objects[4].table), countQuestion(objects[6].table)]);
  return inIpv4 === 0 && inIpv6 === 0;
}

function questions({ family, ports, keys }: Wanted, owner: Owner) {
  const { table, maps, useQuestions } = objects[family];
  const { dnat, masquerade } = nftChains(owner.containerId);
  return {
    maps: setQuestion(maps.byPort),
    use: useQuestions,
    /** The container's chains. */
    own: [dnat, masquerade].map((name) => chainQuestion({ table, name })),
    /** Where the ports lead to already if mapped for all addresses. */
    anywhere: ports.map((port) => keyQuestion(portKey(family, { ...port, address: undefined }, ''))),
    keys: keys.map(keyQuestion),
    iptablesEntries: chainQuestion({
      table: { family: table.family, name: 'nat' },
      name: 'CNI-HOSTPORT-DNAT',
    }),
  };
}

/** What a few look-ups tell about a family that something is added to. */
export type Sight = Answers<ReturnType<typeof questions>> & { readonly wanted: Wanted };

/** Looks at both families with one message to the kernel. Nothing is listed, whatever else the tables hold. */
export function look(nl: Netlink, plan: Plan): Sight[] {
  const all = wantedOf(plan);
  const answers = ask(
    nl,
    all.map((wanted) => questions(wanted, plan.owner)),
  );
  return all.map((wanted, i) => ({ wanted, ...answers[i]! }));
}

/** Whether a container of this ID has mappings of any attachment. */
export function isKnown({ own }: Pick<Sight, 'own'>): boolean {
  return own.some((chain) => chain !== undefined);
}

/**
 * Adds or replaces an attachment's mappings: one transaction for both families. Usually that is a chain, its rules
 * and keys; lists are read only when something of the table is missing, or the container is known already.
 */
export function addToNftables(nl: Netlink, owner: Owner, sights: readonly Sight[]): void {
  transaction(
    nl,
    sights.flatMap((sight) => additions(nl, owner, sight)),
  );
}

function additions(nl: Netlink, owner: Owner, sight: Sight): Change[] {
  const { table, family, parts, own, keys } = sight.wanted;
  const names = sight.own.flatMap((chain) => chain?.name ?? []);
  // An ADD repeated, perhaps with other ports: what it had before goes first.
  const former = removals(nl, family, names, ({ comment }) => ownedBy(owner).owns(comment));
  // A container that has an address now had no DEL for the one that had it before.
  const takenOver = keys.filter(({ to }, i) => {
    const now = sight.keys[i]?.jump;
    return !isRedirecting(to) && now !== undefined && now !== to;
  });
  return [
    ...former.changes,
    ...(!parts.length || isComplete(sight) ? [] : ensurePlumbing(nl, sight)),
    ...parts.map(addChain),
    ...own.map((one) => makeRule(table, one)),
    ...changeKeys(deleteElements, takenOver),
    ...changeKeys(addElements, isKnown(sight) ? withoutOthers(nl, owner, sight) : keys),
  ];
}

function isComplete({ maps, use, wanted }: Sight): boolean {
  const { uses } = objects[wanted.family];
  const names = [
    'all',
    'hostports',
    'hostipHostports',
    ...(wanted.parts[1] ? (['masquerading'] as const) : []),
  ] as const;
  return maps && names.every((name) => use[name]?.use === uses[name].use);
}

/** The same container may have a port from another network already: then its key leads here as it is. */
function withoutOthers(nl: Netlink, owner: Owner, { own: [dnat], wanted }: Sight) {
  const { family, parts, keys } = wanted;
  const others = listRules(nl, wanted.table, dnat?.name ?? '').filter(
    ({ comment }) => !ownedBy(owner).owns(comment),
  );
  const theirs = parts.flatMap(({ name }) => keysTo(family, name, portsOf(others)));
  return keysWithout(keys, leadingThere(nl, theirs));
}

/** What is missing of table, maps, chains and the rules between them. Chains that are not there are not listed. */
function ensurePlumbing(nl: Netlink, { wanted, maps, use }: Sight): Change[] {
  const { table, chains } = wanted;
  const nothing = !maps && Object.values(use).every((chain) => chain === undefined);
  const known = new Map(chains.map(({ name }) => [name, nothing ? [] : listRules(nl, table, name)]));
  const there = { has: () => false, rules: (chain: string) => known.get(chain) ?? [], is: isInNft(table) };
  const missing = lacking({ ...wanted, own: [] }, there);
  return [
    addTable(table),
    ...wanted.maps.map(addSet),
    ...nftChanges({ tables: [], sets: [[table, missing]] }),
  ];
}

/**
 * What is missing or different, in words: first of the attachment's own, then of what all share. Where nothing is as it
 * should be, the reference may have made it.
 */
export function nftablesDifferences(nl: Netlink, plan: Plan): string[] {
  const drift = wantedOf(plan).flatMap((wanted) =>
    wanted.parts.length ? [...ownDifferences(nl, plan.owner, wanted), ...sharedDifferences(nl, wanted)] : [],
  );
  return (drift.length ? referenceDifferences(nl, plan) : undefined) ?? drift;
}

function ownDifferences(nl: Netlink, owner: Owner, { parts, own, keys }: Wanted): string[] {
  const { owns } = ownedBy(owner);
  const found = ask(nl, keys.map(keyQuestion));
  return parts.flatMap((part) => {
    const rules = own.filter(({ chain }) => chain === part.name);
    const { missing, strange } = compareChain(nl, part, rules, ({ comment }) => owns(comment));
    const astray = keys.flatMap((key, i) => {
      const to = found[i]?.jump;
      if (key.to !== part.name || to === part.name) return [];
      return [`${keyName(key)} ${to === undefined ? 'leads nowhere' : `leads to chain ${to}`}`];
    });
    return [
      ...missing.map((one) => missingRule(part, one)),
      ...strange.map(
        ({ handle }) =>
          `rule with handle ${handle} in ${where(part)} has this attachment's comment, but is none of its`,
      ),
      ...astray.map((text) => `${missingIn(part)}: ${text}`),
    ];
  });
}

function where({ name, table }: Chain): string {
  return `chain ${name} of table ${tableText(table)}`;
}

/** In the reference's words, which has such rules in other chains. */
function missingIn({ name }: Chain): string {
  const redirecting = isRedirecting(name) || name === 'hostports';
  return `missing hostport rules in "${redirecting ? 'hostports' : 'masquerading'}" chain`;
}

function missingRule(chain: Chain, one: RuleSpec): string {
  return `${missingIn(chain)}: rule "${ruleText(chain.table, one)}" is not in ${where(chain)}`;
}

function sharedDifferences(nl: Netlink, { table, chains, shared }: Wanted): string[] {
  const found = ask(nl, chains.map(chainQuestion));
  return chains.flatMap((chain, i) => {
    const rules = shared.filter((one) => one.chain === chain.name);
    const missing = rules.length ? compareChain(nl, chain, rules).missing : [];
    return [
      ...missing.map((one) => `rule "${ruleText(table, one)}" is missing in ${where(chain)}`),
      ...(chain.base && !found[i]?.base ? [`${where(chain)} has no hook`] : []),
    ];
  });
}

/**
 * CHECK of what the reference's nftables backend made: a node's plugins are exchanged while its containers run. Its
 * rules stand in the shared chains and have the container's ID as comment. Undefined where there are none.
 */
function referenceDifferences(nl: Netlink, plan: Plan): string[] | undefined {
  const found = plan.targets.map((target) => differencesToReference(nl, plan, target));
  return found.every((one) => one === undefined) ? undefined : found.flatMap((one) => one ?? []);
}

function differencesToReference(nl: Netlink, plan: Plan, target: Target): string[] | undefined {
  const { owner, config } = plan;
  const { ip } = target.address;
  const { hostports, masquerading } = objects[ip.family].chains;
  const isTheirs = (one: ListedRule) => isReferences(one, owner, [ip]);
  const wanted = target.mappings.map((mapping) =>
    redirection(hostports.name, mapping, ip, owner.containerId),
  );
  const { listed, missing } = compareChain(nl, hostports, wanted, isTheirs);
  if (!listed.length) return undefined;
  const drift = missing.map((one) => missingRule(hostports, one));
  const sources = ip.family === 4 && !config.masqAll ? 2 : 1;
  const masquerades = config.snat ? compareChain(nl, masquerading, [], isTheirs).listed.length : sources;
  if (masquerades < sources) {
    drift.push(`${missingIn(masquerading)}: ${masquerades} of ${sources} are in ${where(masquerading)}`);
  }
  return drift;
}

/**
 * Who else has one of these ports: another container's mapping in the maps, or one that the reference made. Only
 * ports for all addresses are also compared with the list of those for single addresses.
 */
export function nftablesHolder(nl: Netlink, owner: Owner, sight: Sight): Holder | undefined {
  const { family, ports } = sight.wanted;
  const { table, maps, chains, uses } = objects[family];
  const { dnat } = nftChains(owner.containerId);
  const single = sight.maps && ports.some(({ address }) => !address) ? listElements(nl, maps.byAddress) : [];
  for (const [i, port] of ports.entries()) {
    const { protocol, port: number, address } = port;
    const alike = single.filter(({ key }) => !address && key[1] === protocol && key[2] === number);
    const candidates = [sight.anywhere[i], sight.keys[i], ...alike];
    const taken = candidates.find((one) => one?.jump !== undefined && one.jump !== dnat);
    if (taken?.jump) return holderOf(nl, table, taken.jump, port);
  }
  const { hostports, hostipHostports } = sight.use;
  const usual = sight.maps ? uses.hostports.use : uses.hostports.leading;
  const strangers = [
    ...((hostports?.use ?? 0) > usual ? [chains.hostports] : []),
    ...((hostipHostports?.use ?? 0) > uses.hostipHostports.use ? [chains.hostipHostports] : []),
  ];
  for (const { name } of strangers) {
    for (const listed of listRules(nl, table, name)) {
      const theirs = portOf(listed);
      const port = theirs && ports.find((one) => overlaps(one, theirs));
      const { comment: containerId } = listed;
      if (port && containerId !== undefined && containerId !== owner.containerId) {
        return { port, containerId, more: 'by another version of portmap' };
      }
    }
  }
  return undefined;
}

function holderOf(nl: Netlink, table: Table, chain: string, port: HostPort): Holder {
  const containerId = findChain(nl, { table, name: chain })?.comment ?? 'unknown';
  const own = listRules(nl, table, chain).find((one) => {
    const theirs = portOf(one);
    return theirs && overlaps(theirs, port);
  });
  // The names in a comment as nftComment makes it.
  return { port, containerId, more: /net: .*/.exec(own?.comment ?? '')?.[0] ?? 'network unknown' };
}
