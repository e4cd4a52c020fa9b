import { type Cidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import type { Netlink } from '@cni-ts/netlink/socket';
import { type Chain, findChain } from '@cni-ts/nftables/chain';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import type { Table } from '@cni-ts/nftables/table';
import { retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { type Owner, ownerComment } from '@cni-ts/skeleton/owner-comment';
import { isInNft, nftChanges, ownedRules, removeOwned, ruleText } from './nft-engine.ts';
import { holdsExactly, lacking, ownedBy, ownedByNoneOf, type RuleSet, type There } from './rule-set.ts';
import { hostCidr, masquerade, type RuleSpec, toCaller } from './rule-spec.ts';

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
const shared: readonly RuleSpec[] = [
  { chain: postrouting.name, when: { to: parseCidr('224.0.0.0/4') }, action: toCaller },
  { chain: postrouting.name, when: { to: parseCidr('ff00::/8') }, action: toCaller },
  { chain: postrouting.name, action: { kind: 'goto', chain: checks.name } },
];

/** The first 33 characters name network and attachment. */
export const masqueradeComment = ownerComment;

function setOf(owner: Owner, addresses: readonly Cidr[]): RuleSet {
  const comment = masqueradeComment(owner);
  return {
    table,
    chains: [checks, postrouting],
    exact: [postrouting],
    shared,
    own: addresses.map((address) => ({
      chain: checks.name,
      when: { from: hostCidr(address.ip) },
      except: { to: networkOf(address) },
      action: masquerade,
      comment,
    })),
  };
}

const is = isInNft(table);

/** What stands there of an attachment and of what all share. Other containers' rules are not read. */
function look(nl: Netlink, owner: Owner): There<ListedRule> & { readonly ready: boolean } {
  const mine = ownedRules(nl, checks, ownedBy(owner));
  const common = listRules(nl, table, postrouting.name);
  const rules = (chain: string) => (chain === checks.name ? mine : common);
  const ready = holdsExactly({ rules, is }, postrouting.name, shared);
  // Naming a chain that is there is a change to the kernel: until it has forgotten the chain as it was, the end of the
  // call would wait, 15 ms. So they are named only where something of them is missing.
  return { has: () => ready, rules, is, ready };
}

/** Rules with this attachment's comment that are none of its. */
function strange({ own }: RuleSet, there: There<ListedRule>): ListedRule[] {
  return there.rules(checks.name).filter((one) => !own.some((wanted) => is(wanted, one, false)));
}

/** One transaction; what is right is left alone, what has this attachment's comment besides goes. */
export function addByNftables(nl: Netlink, owner: Owner, addresses: readonly Cidr[]): void {
  const set = setOf(owner, addresses);
  retryRaces(() => {
    const there = look(nl, owner);
    const missing = lacking(set, there, strange(set, there));
    transaction(nl, nftChanges({ tables: there.ready ? [] : [table], sets: [[table, missing]] }));
  });
}

/** Found by the comment, so no address is needed. Table and chains stay. */
export function removeByNftables(nl: Netlink, owner: Owner): void {
  removeOwned(nl, () => [checks], ownedBy(owner));
}

export function differencesInNftables(nl: Netlink, owner: Owner, addresses: readonly Cidr[]): string[] {
  const where = `table inet ${table.name}`;
  const set = setOf(owner, addresses);
  const there = look(nl, owner);
  const found: string[] = [];
  if (!there.ready) found.push(`chain postrouting of ${where} does not lead to ${checks.name}`);
  else if (!findChain(nl, postrouting)?.base) found.push(`chain postrouting of ${where} has no hook`);
  for (const one of lacking(set, there).own) {
    found.push(`rule "${ruleText(table, one)}" is missing in chain ${checks.name} of ${where}`);
  }
  for (const { handle } of strange(set, there)) {
    found.push(
      `rule handle ${handle} in chain ${checks.name} of ${where} is none of this attachment's, but has its comment`,
    );
  }
  return found;
}

/** Removes the rules of attachments that are not among `valid`. */
export function gcByNftables(nl: Netlink, network: string, valid: readonly Omit<Owner, 'network'>[]): void {
  removeOwned(nl, () => [checks], ownedByNoneOf(network, valid));
}
