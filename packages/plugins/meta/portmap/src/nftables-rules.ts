import { type Cidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import type { Netlink } from '@cni-ts/netlink/socket';
import { dnat, masquerade } from '@cni-ts/nftables/action';
import { addChain, type Chain, chainQuestion } from '@cni-ts/nftables/chain';
import { originalDestination, originalPort } from '@cni-ts/nftables/field';
import { daddr, dport, is, l4, saddr } from '@cni-ts/nftables/match';
import { ask } from '@cni-ts/nftables/question';
import { addRule, comment, listRules, type Rule, rule } from '@cni-ts/nftables/rule';
import { addElements, addSet, deleteElements, setQuestion } from '@cni-ts/nftables/set';
import { addTable, countQuestion } from '@cni-ts/nftables/table';
import { type Change, transaction } from '@cni-ts/nftables/transaction';
import { isInNft, nftChanges } from '@cni-ts/rules/nft-engine';
import { lacking } from '@cni-ts/rules/rule-set';
import type { HostPort } from './mapping.ts';
import { portsOf, tagged } from './nftables-reading.ts';
import { keysTo, removals } from './nftables-removal.ts';
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
import { nftChains, nftComment, type Owner } from './owner.ts';
import type { Plan, Target } from './plan.ts';

/** A chain of a container with what one attachment needs of it. */
export interface Part {
  readonly chain: Chain;
  /** Where the reference has such rules. */
  readonly kind: 'hostports' | 'masquerading';
  readonly rules: readonly Rule[];
  /** What leads there. */
  readonly keys: readonly Key[];
}

/** What one attachment needs in one family. */
export interface Wanted {
  readonly family: 4 | 6;
  readonly ports: readonly HostPort[];
  readonly masquerades: boolean;
  readonly parts: readonly Part[];
}

const loopback = parseCidr('127.0.0.0/8');

export function wantedOf(plan: Plan): Wanted[] {
  return plan.targets.map(({ address, mappings }) => ({
    family: address.ip.family,
    ports: mappings,
    masquerades: plan.snat,
    parts: [
      redirection(plan, { address, mappings }),
      ...(plan.snat ? [masquerading(plan, { address, mappings })] : []),
    ],
  }));
}

function redirection({ owner, nftConditions }: Plan, { address, mappings }: Target): Part {
  const { family } = address.ip;
  const mine = comment(nftComment(owner));
  return {
    kind: 'hostports',
    chain: ownChain(owner, family, 'dnat'),
    rules: mappings.flatMap((mapping) =>
      nftConditions[family].map((conditions) =>
        rule(
          ...(mapping.address ? [daddr(mapping.address)] : []),
          dport(mapping.protocol, mapping.port),
          ...conditions,
          dnat(address.ip, mapping.containerPort),
          mine,
        ),
      ),
    ),
    keys: mappings.map((mapping) => portKey(family, mapping)),
  };
}

/** Only of what was redirected from these very ports: connections that others redirect here keep their source. */
function masquerading({ owner, masqAll }: Plan, { address, mappings }: Target): Part {
  const { family } = address.ip;
  const mine = comment(nftComment(owner));
  return {
    kind: 'masquerading',
    chain: ownChain(owner, family, 'masquerade'),
    rules: mappings.flatMap((mapping) =>
      sources(address, masqAll).map((from) =>
        rule(
          l4(mapping.protocol),
          is(originalPort, '==', mapping.port),
          ...(mapping.address ? [is(originalDestination[family], '==', mapping.address)] : []),
          ...from,
          daddr(address.ip),
          masquerade,
          mine,
        ),
      ),
    ),
    keys: [containerKey(address.ip)],
  };
}

function ownChain({ containerId }: Owner, family: 4 | 6, which: 'dnat' | 'masquerade'): Chain {
  const { comment: text, ...names } = nftChains(containerId);
  return { table: objects(family).table, name: names[which], comment: text };
}

/**
 * Who has to be masqueraded to get its answers back: the container itself and its neighbours, whose answers would go
 * to them directly, and the host talking to 127.0.0.1, an address that means nothing in the container.
 */
function sources(address: Cidr, all: boolean) {
  if (all) return [[]];
  const own = [saddr(networkOf(address))];
  return address.ip.family === 4 && loopback ? [own, [saddr(loopback)]] : [own];
}

/** What a few look-ups tell about a family that something is added to. */
export type Sight = ReturnType<typeof look>['sights'][number];

/** Whether nothing was ever added by nftables here, or all of it is gone: then a look would find nothing. */
export function isUnused(nl: Netlink): boolean {
  const [inIpv4, inIpv6] = ask(nl, [countQuestion(objects(4).table), countQuestion(objects(6).table)]);
  return inIpv4 === 0 && inIpv6 === 0;
}

/**
 * Looks at both families with one message to the kernel. Nothing is listed, whatever else the tables hold. `former`:
 * families for which nothing is wanted, but the container has mappings.
 */
export function look(nl: Netlink, plan: Plan) {
  const wanted = wantedOf(plan);
  const others = ([4, 6] as const).filter((family) => !wanted.some((one) => one.family === family));
  const names = nftChains(plan.owner.containerId);
  const own = (family: 4 | 6) => {
    const { table } = objects(family);
    return {
      dnat: chainQuestion({ table, name: names.dnat }),
      masquerade: chainQuestion({ table, name: names.masquerade }),
    };
  };
  const answers = ask(nl, {
    wanted: wanted.map(({ family, ports, parts }) => {
      const { table, dnat: to } = objects(family);
      return {
        maps: setQuestion(to.byPort),
        use: useQuestions(family, 'all', 'hostports', 'hostipHostports', 'masquerading'),
        own: own(family),
        /** Where the ports lead to already if mapped for all addresses. */
        anywhere: ports.map((port) => keyQuestion(portKey(family, { ...port, address: undefined }))),
        /** What the keys of each part lead to. */
        keys: parts.map(({ keys }) => keys.map(keyQuestion)),
        iptablesEntries: chainQuestion({
          table: { family: table.family, name: 'nat' },
          name: 'CNI-HOSTPORT-DNAT',
        }),
      };
    }),
    others: others.map(own),
  });
  return {
    sights: answers.wanted.map((answer, i) => ({ wanted: wanted[i]!, ...answer })),
    former: others.filter((_, i) => answers.others[i] && isKnown({ own: answers.others[i] })),
  };
}

/**
 * Adds or replaces an attachment's mappings: one transaction for both families. Usually that is a chain, its rules
 * and keys; lists are read only when something of the table is missing, or the container is known already.
 */
export function addToNftables(nl: Netlink, owner: Owner, { sights, former }: ReturnType<typeof look>): void {
  const { dnat: name, masquerade: masqueradeName } = nftChains(owner.containerId);
  transaction(nl, [
    ...sights.flatMap((sight) => additions(nl, owner, sight)),
    ...former.flatMap((family) => removals(nl, family, [name, masqueradeName], tagged(owner)).changes),
  ]);
}

/** Whether a container of this ID has mappings of any attachment. */
export function isKnown({
  own,
}: {
  own: { dnat: Chain | undefined; masquerade: Chain | undefined };
}): boolean {
  return own.dnat !== undefined || own.masquerade !== undefined;
}

function isComplete({ maps, use, wanted }: Sight): boolean {
  const complete = uses(wanted.family);
  return (
    maps &&
    use.all?.use === complete.all.use &&
    use.hostports?.use === complete.hostports.use &&
    use.hostipHostports?.use === complete.hostipHostports.use &&
    (!wanted.masquerades || use.masquerading?.use === complete.masquerading.use)
  );
}

function additions(nl: Netlink, owner: Owner, sight: Sight): Change[] {
  const { wanted } = sight;
  const names = nftChains(owner.containerId);
  const known = isKnown(sight);
  return [
    // An ADD repeated, perhaps with other ports: what it had before goes first.
    ...(known ? removals(nl, wanted.family, [names.dnat, names.masquerade], tagged(owner)).changes : []),
    ...(isComplete(sight) ? [] : ensurePlumbing(nl, sight)),
    ...wanted.parts.flatMap(({ chain, kind, rules, keys }, i) => [
      addChain(chain),
      ...rules.map((one) => addRule(chain, one)),
      ...(kind === 'masquerading' ? takeOver(chain, keys, sight.keys[i]) : []),
      ...changeKeys(addElements, known ? withoutOthers(nl, owner, sight, chain, keys) : keys, chain.name),
    ]),
  ];
}

/** A container that has an address now had no DEL for the one that had it before. */
function takeOver(chain: Chain, keys: readonly Key[], found: Sight['keys'][number] | undefined): Change[] {
  const theirs = keys.filter((_, i) => found?.[i]?.jump !== undefined && found[i].jump !== chain.name);
  return changeKeys(deleteElements, theirs, chain.name);
}

/** The same container may have a port from another network already: then its key leads here as it is. */
function withoutOthers(
  nl: Netlink,
  owner: Owner,
  { own, wanted }: Sight,
  chain: Chain,
  keys: readonly Key[],
): readonly Key[] {
  const others = listRules(nl, chain.table, own.dnat?.name ?? '').filter((one) => !tagged(owner)(one));
  const theirs = keysTo(wanted.family, chain.name, portsOf(others));
  const found = ask(nl, theirs.map(keyQuestion));
  return keysWithout(
    keys,
    theirs.filter((_, i) => found[i]?.jump === chain.name),
  );
}

/** What is missing of table, maps, chains and the rules between them. Chains that are not there are not listed. */
function ensurePlumbing(nl: Netlink, { wanted, maps, use }: Sight): Change[] {
  const set = plumbing(wanted.family, wanted.masquerades);
  const { table } = set;
  const nothing = !maps && Object.values(use).every((chain) => chain === undefined);
  const known = new Map(set.chains.map(({ name }) => [name, nothing ? [] : listRules(nl, table, name)]));
  const there = { has: () => false, rules: (chain: string) => known.get(chain) ?? [], is: isInNft(table) };
  return [
    addTable(table),
    ...set.maps.map(addSet),
    ...nftChanges({ tables: [], sets: [[table, lacking(set, there)]] }),
  ];
}
