import type { Netlink } from '@cni-ts/netlink/socket';
import { drop, jump, jumpTarget, toCaller } from '@cni-ts/nftables/action';
import {
  addChain,
  type Chain,
  chainQuestion,
  chainsThere,
  createChain,
  deleteChain,
  findChain,
  listChains,
} from '@cni-ts/nftables/chain';
import { dataOf } from '@cni-ts/nftables/expression';
import { etherSaddr, iifname } from '@cni-ts/nftables/match';
import { ask } from '@cni-ts/nftables/question';
import {
  addRule,
  comment,
  deleteRule,
  flushChain,
  type ListedRule,
  listRules,
  type Rule,
  rule,
  sameRule,
} from '@cni-ts/nftables/rule';
import { addTable, type Table } from '@cni-ts/nftables/table';
import { type Change, NftablesError, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { networkMark, type Owner, ownerComment, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Undo } from '@cni-ts/skeleton/undo';
import { macSpoofingChains, macSpoofingPrefix } from './mac-spoofing-chains.ts';

/**
 * Keeps a container from sending with another hardware address than its own. Names, hook and comments are the
 * reference's, so that either can clean up after the other. Frames from the host end of the container's pair go through
 * two chains of its own; the second lets pass what has the right source and drops the rest.
 *
 * The reference's names are container and interface, run together; the network is not among them. So the first chain
 * says in a comment whose it is, as masquerade rules do.
 */
const table: Table = { family: 'bridge', name: 'nat' };
const prerouting: Chain = {
  table,
  name: 'PREROUTING',
  base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
};
const commentPrefix = 'macspoofchk-';

interface Plan {
  readonly iface: Chain;
  readonly mac: Chain;
  /** In the order they are made; PREROUTING belongs to all containers, the others to this one. */
  readonly rules: readonly (readonly [Chain, Rule])[];
}

function macChain(name: string): string {
  return `${name}-mac`;
}

function commentOf({ containerId, ifname }: Omit<Owner, 'network'>): string {
  return `${commentPrefix}${containerId}-${ifname}`;
}

function planOf(owner: Owner, chain: string, hostLink: string, address: Uint8Array): Plan {
  const iface: Chain = { table, name: chain, comment: ownerComment(owner) };
  const mac: Chain = { table, name: macChain(chain) };
  const ours = comment(commentOf(owner));
  return {
    iface,
    mac,
    rules: [
      [prerouting, rule(iifname(hostLink), jump(iface), ours)],
      [iface, rule(jump(mac), ours)],
      [mac, rule(etherSaddr(address), toCaller, ours)],
      [mac, rule(drop, ours)],
    ],
  };
}

/**
 * Drops frames that come in by the host end of the container's pair with another source than the container's `mac`.
 * One transaction; repeating it leaves one set of rules, with the link and address given last. Its undo is added here.
 */
export function addMacSpoofing(
  nl: Netlink,
  owner: Owner,
  hostLink: string,
  mac: Uint8Array,
  undo: Undo,
): void {
  undo.make(
    `spoof check of ${hostLink}`,
    () => retryRaces(() => add(nl, owner, hostLink, mac)),
    () => removeMacSpoofing(nl, owner),
  );
}

function add(nl: Netlink, owner: Owner, hostLink: string, mac: Uint8Array): void {
  const { usual, spare } = macSpoofingChains(owner);
  const own = commentOf(owner);
  const known = listRules(nl, table, prerouting.name, [new TextEncoder().encode(own)]);
  if (!known.some((one) => one.comment === own)) {
    const { iface, mac: inner, rules } = planOf(owner, usual, hostLink, mac);
    try {
      write(nl, [createChain(iface), createChain(inner)], rules);
      return;
    } catch (error) {
      // Chains that nothing leads to.
      if (!(error instanceof NftablesError) || error.code !== 'EEXIST') throw error;
    }
  }
  replace(nl, owner, (free) => planOf(owner, free.includes(usual) ? usual : spare, hostLink, mac));
}

/** An ADD repeated, or one of somebody whose names run together to the same as another's, whose chains stay. */
function replace(nl: Netlink, owner: Owner, planFor: (free: readonly string[]) => Plan): void {
  const { own, free } = chainsOf(nl, owner);
  const { iface, mac, rules } = planFor(free);
  const former = own.filter((name) => name !== iface.name);
  const gone = chainsThere(
    nl,
    table,
    former.flatMap((name) => [name, macChain(name)]),
  );
  write(
    nl,
    [
      ...jumpsTo(nl, own).map((stale) => deleteRule(table, stale)),
      ...gone.map((name) => deleteChain({ table, name })),
      addChain(iface),
      addChain(mac),
      flushChain(iface),
      flushChain(mac),
    ],
    rules,
  );
}

function write(nl: Netlink, before: readonly Change[], rules: Plan['rules']): void {
  transaction(nl, [
    addTable(table),
    addChain(prerouting),
    ...before,
    ...rules.map(([chain, one]) => addRule(chain, one)),
  ]);
}

/** The chains an attachment has, and those names that nobody else has. */
function chainsOf(nl: Netlink, owner: Owner): { own: string[]; free: string[] } {
  const { usual, spare } = macSpoofingChains(owner);
  const names = [usual, spare];
  const found = ask(
    nl,
    names.map((name) => chainQuestion({ table, name })),
  );
  // A chain without a mark is the reference's, which knows only the usual name.
  const free = names.filter((_, i) => !isAnothers(found[i]?.comment, owner));
  return { free, own: free.filter((name) => found[names.indexOf(name)]) };
}

/** Whether a chain's comment is the mark of another attachment. */
function isAnothers(text: string | undefined, owner: Owner): boolean {
  return text !== undefined && isMark(text) && !text.startsWith(ownerMark(owner));
}

function isMark(text: string): boolean {
  return /^[0-9a-f]{16}-[0-9a-f]{16}/.test(text);
}

/** Takes the rules and chains of one attachment away; nothing there is fine. The shared table and PREROUTING stay. */
export function removeMacSpoofing(nl: Netlink, owner: Owner): void {
  retryRaces(() => {
    const { own } = chainsOf(nl, owner);
    if (own.length) remove(nl, jumpsTo(nl, own), own);
  });
}

/** What is missing or different, in words. */
export function checkMacSpoofing(nl: Netlink, owner: Owner, hostLink: string, mac: Uint8Array): string[] {
  const { usual } = macSpoofingChains(owner);
  const { own } = chainsOf(nl, owner);
  const plan = planOf(owner, own[0] ?? usual, hostLink, mac);
  const where = (chain: Chain) => `chain ${chain.name} of table bridge ${table.name}`;
  const [toIface, ...inside] = plan.rules;
  const found: string[] = [];
  if (!findChain(nl, prerouting)?.base) found.push(`${where(prerouting)} is missing or has no hook`);
  else if (!jumpsTo(nl, own).some((listed) => sameRule('bridge', toIface![1], listed))) {
    found.push(`rule "${toIface![1].text}" is missing in ${where(prerouting)}`);
  }
  for (const chain of [plan.iface, plan.mac]) {
    const wanted = inside.filter(([of]) => of === chain).map(([, one]) => one);
    const listed = listRules(nl, table, chain.name);
    // One rule before or between ours could let everything pass: the chain must hold these and no others.
    const same =
      listed.length === wanted.length && wanted.every((one, i) => sameRule('bridge', one, listed[i]!));
    if (!same) {
      const text = wanted.map((one) => `"${one.text}"`).join(', ');
      found.push(`${where(chain)} does not hold exactly the rules ${text}`);
    }
  }
  return found;
}

/**
 * Removes the rules of every attachment of `network` that is not among `valid`, by the mark of its chain. The
 * reference's chains have none: of these, and of other networks', go those whose host link is gone; `linkExists` tells.
 */
export function gcMacSpoofing(
  nl: Netlink,
  network: string,
  valid: readonly Omit<Owner, 'network'>[],
  linkExists: (name: string) => boolean,
): void {
  const keep = valid.map((one) => ownerMark({ network, ...one }));
  retryRaces(() => {
    const chains = listChains(nl, 'bridge').filter(
      ({ table: of, name }) => of.name === table.name && name.startsWith(macSpoofingPrefix),
    );
    const invalid = chains.flatMap(({ name, comment: text = '' }) =>
      text.startsWith(networkMark(network)) && !keep.some((mark) => text.startsWith(mark)) ? [name] : [],
    );
    const jumps = listRules(nl, table, prerouting.name).filter(
      (listed) => listed.comment?.startsWith(commentPrefix) ?? false,
    );
    const unused = jumps.filter((listed) => {
      const link = inputOf(listed);
      return link !== undefined && !linkExists(link);
    });
    const stale = new Set([...invalid, ...unused.flatMap(targetOf)]);
    if (stale.size) {
      const leading = jumps.filter((one) => targetOf(one).some((name) => stale.has(name)));
      remove(nl, leading, [...stale]);
    }
  });
}

/** The chain of an attachment that a rule leads to; none for a strange rule. */
function targetOf({ expressions }: ListedRule): string[] {
  const name = jumpTarget(expressions);
  return name?.startsWith(macSpoofingPrefix) ? [name] : [];
}

function remove(nl: Netlink, jumps: readonly ListedRule[], chains: readonly string[]): void {
  const names = chains.flatMap((name) => [name, macChain(name)]);
  const there = chainsThere(nl, table, names);
  transaction(nl, [
    ...jumps.map((one) => deleteRule(table, one)),
    ...there.map((name) => deleteChain({ table, name })),
  ]);
}

/** What leads from PREROUTING to these chains. */
function jumpsTo(nl: Netlink, chains: readonly string[]): ListedRule[] {
  const encoder = new TextEncoder();
  const about = chains.map((name) => encoder.encode(name));
  return listRules(nl, table, prerouting.name, about).filter((one) =>
    targetOf(one).some((name) => chains.includes(name)),
  );
}

/** The link of `iifname "…"`. */
function inputOf({ expressions }: ListedRule): string | undefined {
  const at = expressions.findIndex((one) => dataOf(one, 'meta')?.key === 6);
  const value = expressions[at + 1] && dataOf(expressions[at + 1]!, 'cmp')?.data?.value;
  return at < 0 || !value ? undefined : new TextDecoder().decode(value).replace(/\0+$/, '');
}
