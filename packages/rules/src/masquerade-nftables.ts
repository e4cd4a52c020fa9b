import { type Cidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import type { Netlink } from '@cni-ts/netlink/socket';
import { goto, masquerade, toCaller } from '@cni-ts/nftables/action';
import { addChain, type Chain, findChain } from '@cni-ts/nftables/chain';
import { daddr, saddr } from '@cni-ts/nftables/match';
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
import { type Change, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import {
  type Owner as MasqueradeOwner,
  networkMark,
  ownerComment,
  ownerMark,
} from '@cni-ts/skeleton/owner-comment';

/**
 * Masquerading by nftables: one table for all networks, whose rules carry their owner in the comment. Names, order
 * and comments are the reference's, so that either can clean up after the other.
 */
const table: Table = {
  family: 'inet',
  name: 'cni_plugins_masquerade',
  comment: 'Masquerading for plugins from github.com/containernetworking/plugins',
};
const checks: Chain = {
  table,
  name: 'masq_checks',
  comment: 'Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet',
};
const postrouting: Chain = {
  table,
  name: 'postrouting',
  base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
};

/** What every container's rules are reached by. */
function commonRules(): Rule[] {
  const all = (text: string) => parseCidr(text)!;
  return [
    rule(daddr(all('224.0.0.0/4')), toCaller),
    rule(daddr(all('ff00::/8')), toCaller),
    rule(goto(checks)),
  ];
}

/** Table and chains with the rules that all containers share. */
function foundation(): Change[] {
  return [
    addTable(table),
    addChain(checks),
    addChain(postrouting),
    flushChain(postrouting),
    ...commonRules().map((one) => addRule(postrouting, one)),
  ];
}

/** The first 33 characters name network and attachment. */
export const masqueradeComment = ownerComment;

function ruleFor(owner: MasqueradeOwner, address: Cidr): Rule {
  return rule(
    saddr(address.ip),
    daddr('!=', networkOf(address)),
    masquerade,
    comment(masqueradeComment(owner)),
  );
}

/** One transaction; rules that this attachment has already are replaced, what is right is left alone. */
export function addByNftables(nl: Netlink, owner: MasqueradeOwner, addresses: readonly Cidr[]): void {
  retryRaces(() => {
    const mine = ownRules(nl, owner);
    const wanted = addresses.map((address) => ruleFor(owner, address));
    const ready = commonRulesThere(nl);
    if (ready && same(mine, wanted)) return;
    transaction(nl, [
      // Naming a chain that is there is a change to the kernel: until it has forgotten the chain as it was, the end of
      // the call would wait, 15 ms.
      ...(ready ? [] : foundation()),
      ...mine.map((one) => deleteRule(table, one)),
      ...wanted.map((one) => addRule(checks, one)),
    ]);
  });
}

/** Found by the comment, so no address is needed. Table and chains stay. */
export function removeByNftables(nl: Netlink, owner: MasqueradeOwner): void {
  removeRules(nl, () => ownRules(nl, owner));
}

export function differencesInNftables(
  nl: Netlink,
  owner: MasqueradeOwner,
  addresses: readonly Cidr[],
): string[] {
  const where = `table inet ${table.name}`;
  const mine = ownRules(nl, owner);
  const wanted = addresses.map((address) => ruleFor(owner, address));
  const found: string[] = [];
  if (!commonRulesThere(nl)) found.push(`chain postrouting of ${where} does not lead to ${checks.name}`);
  else if (!findChain(nl, postrouting)?.base) found.push(`chain postrouting of ${where} has no hook`);
  for (const one of wanted) {
    if (!mine.some((listed) => sameRule(table.family, one, listed))) {
      found.push(`rule "${one.text}" is missing in chain ${checks.name} of ${where}`);
    }
  }
  for (const listed of mine) {
    if (!wanted.some((one) => sameRule(table.family, one, listed))) {
      found.push(
        `rule handle ${listed.handle} in chain ${checks.name} of ${where} is none of this attachment's, but has its comment`,
      );
    }
  }
  return found;
}

/** Keeps rules whose whole comment is one of a valid attachment. */
export function gcByNftables(
  nl: Netlink,
  network: string,
  valid: readonly { readonly containerId: string; readonly ifname: string }[],
): void {
  const keep = new Set(valid.map((one) => masqueradeComment({ network, ...one })));
  const prefix = networkMark(network);
  removeRules(nl, () =>
    rulesOf(nl, prefix).filter((one) => one.comment !== undefined && !keep.has(one.comment)),
  );
}

function removeRules(nl: Netlink, which: () => ListedRule[]): void {
  retryRaces(() => {
    const changes: Change[] = which().map((one) => deleteRule(table, one));
    transaction(nl, changes);
  });
}

function ownRules(nl: Netlink, owner: MasqueradeOwner): ListedRule[] {
  return rulesOf(nl, ownerMark(owner));
}

/** Those whose comments begin like this; other containers' are not read. */
function rulesOf(nl: Netlink, start: string): ListedRule[] {
  return listRules(nl, table, checks.name, [new TextEncoder().encode(start)]).filter((one) =>
    one.comment?.startsWith(start),
  );
}

function commonRulesThere(nl: Netlink): boolean {
  return same(listRules(nl, table, postrouting.name), commonRules());
}

function same(listed: readonly ListedRule[], wanted: readonly Rule[]): boolean {
  return listed.length === wanted.length && wanted.every((one, i) => sameRule(table.family, one, listed[i]!));
}
