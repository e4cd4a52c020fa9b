import type { Netlink } from '@cni-ts/netlink/socket';
import { jumpTarget } from '@cni-ts/nftables/action';
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
import { comparedName, firstCompared } from '@cni-ts/nftables/comparison';
import { ask } from '@cni-ts/nftables/question';
import { deleteRule, type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { addTable, type Table } from '@cni-ts/nftables/table';
import { type Change, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { type Owner, ownerComment } from '@cni-ts/skeleton/owner-comment';
import type { Undo } from '@cni-ts/skeleton/undo';
import { macSpoofingChains, macSpoofingPrefix } from './mac-spoofing-chains.ts';
import { isInNft, makeRule, ruleText } from './nft-engine.ts';
import { type OwnChain, ownChain } from './own-chain.ts';
import { holdsExactly, ownedBy, ownedByNoneOf, type RuleSet } from './rule-set.ts';
import { drop, jump, toCaller } from './rule-spec.ts';

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

function macChain(name: string): string {
  return `${name}-mac`;
}

function commentOf({ containerId, ifname }: Omit<Owner, 'network'>): string {
  return `${commentPrefix}${containerId}-${ifname}`;
}

/** The attachment's two chains and, in the order they are made, the rule that leads there and those inside. */
function setOf(owner: Owner, name: string, hostLink: string, address: Uint8Array): RuleSet {
  const iface: Chain = { table, name, comment: ownerComment(owner) };
  const mac: Chain = { table, name: macChain(name) };
  const comment = commentOf(owner);
  return {
    table,
    chains: [iface, mac],
    shared: [],
    own: [
      { chain: prerouting.name, when: { input: hostLink }, action: jump(iface.name), comment },
      { chain: iface.name, action: jump(mac.name), comment },
      { chain: mac.name, when: { mac: address }, action: toCaller, comment },
      { chain: mac.name, action: drop, comment },
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

/** An ADD repeated replaces what it made; chains of somebody whose names run together to the same stay. */
function add(nl: Netlink, owner: Owner, hostLink: string, mac: Uint8Array): void {
  const { standing, name } = find(nl, owner);
  const { chains, own } = setOf(owner, name, hostLink, mac);
  transaction(nl, [
    addTable(table),
    addChain(prerouting),
    ...removal(nl, jumpsTo(nl, standing), [...new Set([...standing, name])]),
    ...chains.map(createChain),
    ...own.map((one) => makeRule(table, one)),
  ]);
}

function find(nl: Netlink, owner: Owner): OwnChain {
  const names = macSpoofingChains(owner);
  const look = (name: string) => chainQuestion({ table, name });
  const [usual, spare] = ask(nl, [look(names.usual), look(names.spare)] as const);
  // A chain without a mark is the reference's, which knows only the usual name.
  const has = (name: string) => (name === names.usual ? usual : spare) !== undefined;
  return ownChain(names, has, () => isAnothers(usual?.comment, owner));
}

/** Whether a chain's comment is the mark of another attachment. */
function isAnothers(text: string | undefined, owner: Owner): boolean {
  return text !== undefined && isMark(text) && !ownedBy(owner).owns(text);
}

function isMark(text: string): boolean {
  return /^[0-9a-f]{16}-[0-9a-f]{16}/.test(text);
}

/** Takes the rules and chains of one attachment away; nothing there is fine. The shared table and PREROUTING stay. */
export function removeMacSpoofing(nl: Netlink, owner: Owner): void {
  retryRaces(() => {
    const { standing } = find(nl, owner);
    if (standing.length) transaction(nl, removal(nl, jumpsTo(nl, standing), standing));
  });
}

/** What is missing or different, in words. */
export function checkMacSpoofing(nl: Netlink, owner: Owner, hostLink: string, mac: Uint8Array): string[] {
  const { standing, name } = find(nl, owner);
  const set = setOf(owner, standing[0] ?? name, hostLink, mac);
  const is = isInNft(table);
  const where = (chain: Chain) => `chain ${chain.name} of table bridge ${table.name}`;
  const [leading, ...inside] = set.own;
  const found: string[] = [];
  if (!findChain(nl, prerouting)?.base) found.push(`${where(prerouting)} is missing or has no hook`);
  else if (leading && !jumpsTo(nl, standing).some((listed) => is(leading, listed, false))) {
    found.push(`rule "${ruleText(table, leading)}" is missing in ${where(prerouting)}`);
  }
  const there = { rules: (chain: string) => listRules(nl, table, chain), is };
  for (const chain of set.chains) {
    if (holdsExactly(there, chain.name, inside)) continue;
    const wanted = inside.filter((one) => one.chain === chain.name);
    const text = wanted.map((one) => `"${ruleText(table, one)}"`).join(', ');
    found.push(`${where(chain)} does not hold exactly the rules ${text}`);
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
  const { owns } = ownedByNoneOf(network, valid);
  retryRaces(() => {
    const chains = listChains(nl, 'bridge').filter(
      ({ table: of, name }) => of.name === table.name && name.startsWith(macSpoofingPrefix),
    );
    const invalid = chains.flatMap(({ name, comment }) => (owns(comment) ? [name] : []));
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
      transaction(nl, removal(nl, leading, [...stale]));
    }
  });
}

/** The chain of an attachment that a rule leads to; none for a strange rule. */
function targetOf({ expressions }: ListedRule): string[] {
  const name = jumpTarget(expressions);
  return name?.startsWith(macSpoofingPrefix) ? [name] : [];
}

/** Also a second chain that has lost the first goes. */
function removal(nl: Netlink, jumps: readonly ListedRule[], chains: readonly string[]): Change[] {
  const names = chains.flatMap((name) => [name, macChain(name)]);
  return [
    ...jumps.map((one) => deleteRule(table, one)),
    ...chainsThere(nl, table, names).map((name) => deleteChain({ table, name })),
  ];
}

/** What leads from PREROUTING to these chains. */
function jumpsTo(nl: Netlink, chains: readonly string[]): ListedRule[] {
  if (!chains.length) return [];
  const encoder = new TextEncoder();
  const about = chains.map((name) => encoder.encode(name));
  return listRules(nl, table, prerouting.name, about).filter((one) =>
    targetOf(one).some((name) => chains.includes(name)),
  );
}

/** The link of `iifname "…"`. */
function inputOf({ expressions }: ListedRule): string | undefined {
  const compared = firstCompared(expressions, 'iifname');
  return compared && comparedName(compared);
}
