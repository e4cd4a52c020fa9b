import type { Ip } from '@cni-ts/address/ip';
import type { Netlink } from '@cni-ts/netlink/socket';
import { chainQuestion, deleteChain } from '@cni-ts/nftables/chain';
import { type Answers, ask } from '@cni-ts/nftables/question';
import { deleteRule, type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { deleteElements, listElements, setQuestion } from '@cni-ts/nftables/set';
import { countQuestion, deleteTable } from '@cni-ts/nftables/table';
import { type Change, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { ownedBy, ownedByNoneOf } from '@cni-ts/rules/rule-set';
import { isRedirecting, isReferences, keysTo, leadingThere, portsOf } from './nftables-rules.ts';
import { changeKeys, type Key, keysWithout, objects } from './nftables-table.ts';
import { nftChains, type Owner } from './owner.ts';
import type { Redirection, Removed } from './stale-flows.ts';

type Which = (one: ListedRule) => boolean;

/** Takes an attachment's mappings away, found by its names alone: for undo, what ADD made. */
export function takeBackFromNftables(nl: Netlink, owner: Owner, also: Which = () => false): Removed {
  const { owns } = ownedBy(owner);
  const { dnat, masquerade } = nftChains(owner.containerId);
  return remove(
    nl,
    (one) => owns(one.comment) || also(one),
    () => [dnat, masquerade],
  );
}

/**
 * Also those that the reference made for it: `addresses`, where known, spare what it made for other networks of the
 * container. With the last mapping of a family its table goes.
 */
export function removeFromNftables(nl: Netlink, owner: Owner, addresses?: readonly Ip[]): Removed {
  return takeBackFromNftables(nl, owner, (one) => isReferences(one, owner, addresses));
}

/** For repair: also rules in the container's own chains that say of nobody that they are theirs. */
export function clearNftables(nl: Netlink, owner: Owner): Removed {
  const { dnat, masquerade } = nftChains(owner.containerId);
  const isNobodys: Which = ({ comment, chain }) =>
    comment === undefined && (chain === dnat || chain === masquerade);
  return takeBackFromNftables(nl, owner, isNobodys);
}

/** Removes the mappings of this network's attachments that are not valid any more. */
export function gcNftables(nl: Netlink, network: string, valid: readonly Omit<Owner, 'network'>[]): Removed {
  const { owns } = ownedByNoneOf(network, valid);
  const stale: Which = ({ comment }) => owns(comment);
  return remove(nl, stale, (family) => {
    const rules = listRules(nl, objects[family].table).filter(stale);
    const hashes = new Set(rules.map(({ chain }) => chain.replace(/^\w+-/, '')));
    return [...hashes].flatMap((hash) => [`dnat-${hash}`, `masq-${hash}`]);
  });
}

/** Which rules go, and in which containers' chains they may be. One transaction for both families. */
function remove(nl: Netlink, which: Which, chains: (family: 4 | 6) => readonly string[]): Removed {
  let allKeys = false;
  return retryRaces(() => {
    const names = { 4: chains(4), 6: chains(6) };
    const sights = ask(nl, { 4: questions(4, names[4]), 6: questions(6, names[6]) });
    const forGood = (family: 4 | 6) => {
      const there = names[family].filter((_, i) => sights[family].own[i]);
      const own = removals(nl, family, there, which, allKeys);
      return alsoShared(nl, family, sights[family], own, which);
    };
    const found = { 4: forGood(4), 6: forGood(6) };
    // Should it be refused because a chain is still in use: somebody deleted rules by hand, and their keys are left.
    allKeys = true;
    transaction(nl, [...found[4].changes, ...found[6].changes]);
    return { 4: found[4].ports, 6: found[6].ports };
  });
}

function questions(family: 4 | 6, names: readonly string[]) {
  const { table, maps, useQuestions } = objects[family];
  return {
    maps: setQuestion(maps.byPort),
    masqueradeMap: setQuestion(maps.masq),
    use: useQuestions,
    own: names.map((name) => chainQuestion({ table, name })),
  };
}
type Sight = Answers<ReturnType<typeof questions>>;

interface Removals {
  readonly changes: readonly Change[];
  /** What loses its rules. */
  readonly ports: readonly Redirection[];
  readonly chainsLess: number;
}

/** The rules of containers' chains that go, the keys that led to them, and chains that are empty then. The chains are there. */
export function removals(
  nl: Netlink,
  family: 4 | 6,
  chains: readonly string[],
  which: Which,
  allKeys = false,
): Removals {
  const { table } = objects[family];
  const changes: Change[] = [];
  const ports: Redirection[] = [];
  let chainsLess = 0;
  const listed = new Map<string, ListedRule[]>();
  const rulesOf = (name: string) => {
    const rules = listed.get(name) ?? listRules(nl, table, name);
    listed.set(name, rules);
    return rules;
  };
  for (const name of chains) {
    const rules = rulesOf(name);
    const going = rules.filter(which);
    const emptied = going.length === rules.length;
    if (!going.length && !emptied) continue;
    // Which keys lead to a chain that masquerades follows from the redirections it is for.
    const redirects = rulesOf(name.replace(/^masq-/, 'dnat-'));
    const lost = portsOf(redirects.filter(which));
    if (isRedirecting(name)) ports.push(...lost);
    const staying = portsOf(redirects.filter((one) => !which(one)));
    const candidates = allKeys || !rules.length ? allKeysTo(nl, family, name) : keysTo(family, name, lost);
    const gone = leadingThere(nl, keysWithout(candidates, keysTo(family, name, staying)));
    changes.push(...changeKeys(deleteElements, gone), ...going.map((one) => deleteRule(table, one)));
    if (!emptied) continue;
    changes.push(deleteChain({ table, name }));
    chainsLess++;
  }
  return { changes, ports, chainsLess };
}

/** Every key that leads to a chain: a list of our own mappings, so only for when its rules do not tell. */
function allKeysTo(nl: Netlink, family: 4 | 6, chain: string): Key[] {
  const { byAddress, byPort, masq } = objects[family].maps;
  const maps = isRedirecting(chain) ? [byAddress, byPort] : [masq];
  return maps.flatMap((map) =>
    listElements(nl, map).flatMap(({ key, jump }) => (jump === chain ? [{ map, key, to: chain }] : [])),
  );
}

/** A removal after which nothing may be left of us: also the reference's rules, and the table with its last user. */
function alsoShared(
  nl: Netlink,
  family: 4 | 6,
  { maps, masqueradeMap, use }: Sight,
  own: Removals,
  which: Which,
): { changes: readonly Change[]; ports: Redirection[] } {
  const { table, chains, uses } = objects[family];
  const ours = {
    hostports: maps ? uses.hostports.use : uses.hostports.leading,
    hostipHostports: uses.hostipHostports.use,
    masquerading: masqueradeMap ? uses.masquerading.use : 0,
  };
  const changes = [...own.changes];
  const ports = [...own.ports];
  let strangersStay = false;
  for (const name of ['hostports', 'hostipHostports', 'masquerading'] as const) {
    const more = (use[name]?.use ?? 0) - ours[name];
    if (more <= 0) continue;
    const going = listRules(nl, table, chains[name].name).filter(which);
    if (going.length < more) strangersStay = true;
    ports.push(...portsOf(going));
    changes.push(...going.map((one) => deleteRule(table, one)));
  }
  const last = changes.length && maps && !strangersStay && isLast(nl, family, masqueradeMap, own.chainsLess);
  return { changes: last ? [deleteTable(table)] : changes, ports };
}

/** Whether nothing but what all attachments share would be left. The kernel counts, so that nothing is listed. */
function isLast(nl: Netlink, family: 4 | 6, masquerading: boolean, chainsLess: number): boolean {
  const { table, plumbing, uses, useQuestions } = objects[family];
  const { count, use } = ask(nl, { count: countQuestion(table), use: useQuestions });
  const { chains, maps } = plumbing(masquerading);
  return (
    count === chains.length + maps.length + chainsLess &&
    (['prerouting', 'output', 'all'] as const).every((name) => use[name]?.use === uses[name].use)
  );
}
