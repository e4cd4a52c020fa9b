import { formatIp, type Ip } from '@cni-ts/address/ip';
import type { Netlink } from '@cni-ts/netlink/socket';
import { chainQuestion, deleteChain, findChain } from '@cni-ts/nftables/chain';
import { type Answers, ask } from '@cni-ts/nftables/question';
import { deleteRule, type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { deleteElements, listElements, setQuestion } from '@cni-ts/nftables/set';
import { countQuestion, deleteTable } from '@cni-ts/nftables/table';
import { type Change, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { isReferences, portsOf, tagged } from './nftables-reading.ts';
import {
  changeKeys,
  containerKey,
  type Key,
  keyQuestion,
  keysWithout,
  objects,
  plumbing,
  portKey,
  useQuestions,
  uses,
} from './nftables-table.ts';
import { networkTag, nftChains, type Owner, ownerTag } from './owner.ts';
import type { Redirection, Removed } from './stale-flows.ts';

type Which = (one: ListedRule) => boolean;

/**
 * Takes an attachment's mappings away, found by its names alone, also those that the reference made for it:
 * `addresses`, where known, spare what it made for other networks of the container. With the last mapping of a
 * family its table goes.
 */
export function removeFromNftables(nl: Netlink, owner: Owner, addresses?: readonly Ip[]): Removed {
  const mine = tagged(owner);
  const { dnat, masquerade } = nftChains(owner.containerId);
  return remove(
    nl,
    (one) => mine(one) || isReferences(one, owner.containerId, addresses),
    () => [dnat, masquerade],
  );
}

/** For undo: only what ADD made. */
export function takeBackFromNftables(nl: Netlink, owner: Owner): Removed {
  const { dnat, masquerade } = nftChains(owner.containerId);
  return remove(nl, tagged(owner), () => [dnat, masquerade]);
}

/** For repair: also rules in the container's own chains that say of nobody that they are theirs. */
export function clearNftables(nl: Netlink, owner: Owner): Removed {
  const mine = tagged(owner);
  const { dnat, masquerade } = nftChains(owner.containerId);
  const own = [dnat, masquerade];
  return remove(
    nl,
    (one) => mine(one) || (one.comment === undefined && own.includes(one.chain)),
    () => own,
  );
}

/** Removes the mappings of this network's attachments that are not valid any more. */
export function gcNftables(nl: Netlink, network: string, valid: readonly Omit<Owner, 'network'>[]): Removed {
  const keep = valid.map((one) => ownerTag({ network, ...one }));
  const all = networkTag(network);
  const stale = ({ comment: text }: ListedRule) =>
    (text?.startsWith(all) ?? false) && !keep.some((tag) => text?.startsWith(tag));
  return remove(nl, stale, (family) => {
    const rules = listRules(nl, objects(family).table).filter(stale);
    const hashes = new Set(rules.map(({ chain }) => chain.replace(/^\w+-/, '')));
    return [...hashes].flatMap((hash) => [`dnat-${hash}`, `masq-${hash}`]);
  });
}

/** Which rules go, and in which containers' chains they may be. One transaction for both families. */
function remove(nl: Netlink, which: Which, chains: (family: 4 | 6) => readonly string[]): Removed {
  let keys: 'ofRules' | 'all' = 'ofRules';
  return retryRaces(() => {
    const names = { 4: chains(4), 6: chains(6) };
    const sights = ask(nl, { 4: questions(4, names[4]), 6: questions(6, names[6]) });
    const found = ([4, 6] as const).map((family) => {
      const there = names[family].filter((_, i) => sights[family].own[i]);
      const own = removals(nl, family, there, which, keys);
      return forGood(nl, family, sights[family], own, which);
    });
    // Should it be refused because a chain is still in use: somebody deleted rules by hand, and their keys are left.
    keys = 'all';
    transaction(
      nl,
      found.flatMap(({ changes }) => changes),
    );
    return { 4: found[0]!.ports, 6: found[1]!.ports };
  });
}

function questions(family: 4 | 6, names: readonly string[]) {
  const { table, dnat: to, masq } = objects(family);
  return {
    maps: setQuestion(to.byPort),
    masqueradeMap: setQuestion(masq),
    use: useQuestions(family, 'hostports', 'hostipHostports', 'masquerading'),
    own: names.map((name) => chainQuestion({ table, name })),
  };
}
type Sight = Answers<ReturnType<typeof questions>>;

interface Removals {
  readonly changes: readonly Change[];
  /** What loses its rules. */
  readonly ports: Redirection[];
  readonly chainsLess: number;
}

/** The rules of containers' chains that go, the keys that led to them, and chains that are empty then. */
export function removals(
  nl: Netlink,
  family: 4 | 6,
  chains: readonly string[],
  which: Which,
  keys: 'ofRules' | 'all' = 'ofRules',
): Removals {
  const { table } = objects(family);
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
    const emptied =
      going.length === rules.length && (rules.length > 0 || findChain(nl, { table, name }) !== undefined);
    if (!going.length && !emptied) continue;
    // Which keys lead to a chain that masquerades follows from the redirections it is for.
    const redirects = rulesOf(name.replace(/^masq-/, 'dnat-'));
    const lost = portsOf(redirects.filter(which));
    if (isRedirecting(name)) ports.push(...lost);
    const staying = portsOf(redirects.filter((one) => !which(one)));
    const candidates =
      keys === 'all' || !rules.length ? allKeysTo(nl, family, name) : keysTo(family, name, lost);
    const gone = leadingTo(nl, name, keysWithout(candidates, keysTo(family, name, staying)));
    changes.push(...changeKeys(deleteElements, gone, name), ...going.map((one) => deleteRule(table, one)));
    if (!emptied) continue;
    changes.push(deleteChain({ table, name }));
    chainsLess++;
  }
  return { changes, ports, chainsLess };
}

function isRedirecting(chain: string): boolean {
  return chain.startsWith('dnat-');
}

/** The keys by which these redirections, or the masquerading that goes with them, are found. */
export function keysTo(family: 4 | 6, chain: string, redirections: readonly Redirection[]): Key[] {
  if (isRedirecting(chain)) return redirections.map((port) => portKey(family, port));
  const addresses = new Map(redirections.flatMap(({ to }) => (to ? [[formatIp(to), to] as const] : [])));
  return [...addresses.values()].map(containerKey);
}

/** Those keys that really lead to a chain: somebody may have given them to another by hand. */
function leadingTo(nl: Netlink, chain: string, keys: readonly Key[]): Key[] {
  const found = ask(nl, keys.map(keyQuestion));
  return keys.filter((_, i) => found[i]?.jump === chain);
}

/** Every key that leads to a chain: a list of our own mappings, so only for when its rules do not tell. */
function allKeysTo(nl: Netlink, family: 4 | 6, chain: string): Key[] {
  const { dnat: to, masq } = objects(family);
  const maps = isRedirecting(chain) ? [to.byAddress, to.byPort] : [masq];
  return maps.flatMap((map) =>
    listElements(nl, map).flatMap(({ key, jump }) => (jump === chain ? [{ map, key }] : [])),
  );
}

/** A removal after which nothing may be left of us: also the reference's rules, and the table with its last user. */
function forGood(
  nl: Netlink,
  family: 4 | 6,
  { maps, masqueradeMap, use }: Sight,
  own: Removals,
  which: Which,
): { changes: Change[]; ports: Redirection[] } {
  const { table } = objects(family);
  const { hostports, hostipHostports, masquerading } = uses(family);
  const ours = {
    hostports: maps ? hostports.use : hostports.leading,
    hostipHostports: hostipHostports.use,
    masquerading: masqueradeMap ? masquerading.use : 0,
  };
  const changes = [...own.changes];
  const ports = [...own.ports];
  let strangersStay = false;
  for (const name of ['hostports', 'hostipHostports', 'masquerading'] as const) {
    const more = (use[name]?.use ?? 0) - ours[name];
    if (more <= 0) continue;
    const going = listRules(nl, table, objects(family)[name].name).filter(which);
    if (going.length < more) strangersStay = true;
    ports.push(...portsOf(going));
    changes.push(...going.map((one) => deleteRule(table, one)));
  }
  if (!changes.length || !maps || strangersStay) return { changes, ports };
  return {
    changes: isLast(nl, family, masqueradeMap, own.chainsLess) ? [deleteTable(table)] : changes,
    ports,
  };
}

/** Whether nothing but what all attachments share would be left. The kernel counts, so that nothing is listed. */
function isLast(nl: Netlink, family: 4 | 6, masquerading: boolean, chainsLess: number): boolean {
  const { table } = objects(family);
  const { objects: count, ...use } = ask(nl, {
    objects: countQuestion(table),
    ...useQuestions(family, 'prerouting', 'output', 'all'),
  });
  const { chains, maps } = plumbing(family, masquerading);
  const complete = uses(family);
  return (
    count === chains.length + maps.length + chainsLess &&
    use.prerouting?.use === complete.prerouting.use &&
    use.output?.use === complete.output.use &&
    use.all?.use === complete.all.use
  );
}
