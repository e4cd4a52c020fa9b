/** Where a packet goes through all rules that the kernel has at one place of its way, in their order. Nothing is sent. */
import type { Ip } from '@cni-ts/address/ip';
import type { Netlink } from '@cni-ts/netlink/socket';
import { type Base, type Chain, chainText, listChains } from '@cni-ts/nftables/chain';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { type RawSet, readSet } from '@cni-ts/nftables/set';
import { type Table, tableText } from '@cni-ts/nftables/table';
import type { Packet } from './packet.ts';
import { type Deed, runRule } from './rule-machine.ts';

export type Hook = Base['hook'];

/** A rule, or the policy of a chain. */
export interface RulePlace {
  /** `ip filter FORWARD` */
  readonly chain: string;
  readonly chainName: string;
  /** From 1; undefined for the policy. */
  readonly rule: number | undefined;
  readonly comment: string | undefined;
}

export interface Walk {
  readonly verdict: 'accept' | 'drop';
  /** What dropped it. */
  readonly by: RulePlace | undefined;
  /** Where its destination was changed, and its source. */
  readonly dnat: RulePlace | undefined;
  readonly snat: RulePlace | undefined;
  /** Rules that may have decided otherwise: they ask what cannot be told without a packet. */
  readonly unsure: readonly RulePlace[];
}

/** The rules of a namespace as they were when it was made: one look at all of them. */
export class RuleBook {
  readonly #nl: Netlink;
  readonly #isLocal: (address: Ip) => boolean;
  readonly #chains: readonly Chain[];
  readonly #rules = new Map<string, Map<string, ListedRule[]>>();
  readonly #sets = new Map<string, RawSet | undefined>();

  /** `isLocal`: whether an address is the host's own. */
  constructor(nl: Netlink, isLocal: (address: Ip) => boolean) {
    this.#nl = nl;
    this.#isLocal = isLocal;
    this.#chains = listChains(nl);
  }

  /** Changes the packet as the rules would. */
  walk(hook: Hook, packet: Packet): Walk {
    const family = packet.source.family === 4 ? 'ip' : 'ip6';
    const bases = this.#chains
      .filter(
        ({ base, table }) => base?.hook === hook && (table.family === family || table.family === 'inet'),
      )
      .sort((a, b) => a.base!.priority - b.base!.priority);
    const unsure: RulePlace[] = [];
    let [dnat, snat]: (RulePlace | undefined)[] = [];
    for (const chain of bases) {
      // Address translation is decided once, by the first packet.
      const isNat = chain.base!.type === 'nat';
      if (isNat && (packet.state !== 'new' || dnat || snat)) continue;
      const steps = (name: string) => this.#steps(chain.table, name, packet);
      const ended = runChain(chain.name, steps, packet, unsure);
      if (ended.kind === 'drop') return { verdict: 'drop', by: ended.at, dnat, snat, unsure };
      if (ended.kind === 'dnat') dnat = ended.at;
      if (ended.kind === 'snat') snat = ended.at;
      if (ended.kind === 'end' && chain.base!.policy === 'drop') {
        return { verdict: 'drop', by: placeOf(chain, undefined, undefined), dnat, snat, unsure };
      }
    }
    return { verdict: 'accept', by: undefined, dnat, snat, unsure };
  }

  *#steps(table: Table, name: string, packet: Packet): Iterable<Step> {
    const world = { isLocal: this.#isLocal, set: (set: string) => this.#set(table, set) };
    const rules = this.#rulesOf(table).get(name) ?? [];
    for (const [at, rule] of rules.entries()) {
      const { matches, deed } = runRule(rule.expressions, packet, world);
      if (!deed || matches === 'no') continue;
      yield { matches, deed, place: placeOf({ table, name }, at + 1, rule.comment) };
    }
  }

  #rulesOf(table: Table): Map<string, ListedRule[]> {
    const key = tableText(table);
    let byChain = this.#rules.get(key);
    if (!byChain) {
      byChain = new Map();
      for (const one of listRules(this.#nl, table)) {
        const among = byChain.get(one.chain);
        if (among) among.push(one);
        else byChain.set(one.chain, [one]);
      }
      this.#rules.set(key, byChain);
    }
    return byChain;
  }

  #set(table: Table, name: string): RawSet | undefined {
    const key = `${tableText(table)} ${name}`;
    if (!this.#sets.has(key)) this.#sets.set(key, readSet(this.#nl, table, name));
    return this.#sets.get(key);
  }
}

/** The kernel allows 16 jumps. */
const deepest = 16;

/** How a chain ended. */
export type Ended =
  | { readonly kind: 'end' | 'accept' }
  | { readonly kind: 'drop' | 'dnat' | 'snat'; readonly at: RulePlace };

/** A rule that matches a packet, or may. */
export interface Step {
  readonly matches: 'yes' | 'perhaps';
  readonly deed: Deed;
  readonly place: RulePlace;
}

/**
 * A chain to its end, or to what ends it. `steps`: the rules of a chain of that name, each run on the packet as the ones
 * before have left it. Those that may match are put into `unsure`, and change nothing.
 */
export function runChain(
  name: string,
  steps: (name: string) => Iterable<Step>,
  packet: Packet,
  unsure: RulePlace[],
  depth = 0,
): Ended {
  if (depth > deepest) return { kind: 'end' };
  for (const { matches, deed, place } of steps(name)) {
    const before = { ...packet };
    const jumps = deed.kind === 'jump' || deed.kind === 'goto';
    const ended = jumps ? runChain(deed.chain, steps, packet, unsure, depth + 1) : undefined;
    if (matches === 'perhaps') {
      if (ended?.kind !== 'end') unsure.push(place);
      Object.assign(packet, before);
    } else if (ended === undefined) {
      return deed.kind === 'return' ? { kind: 'end' } : done(deed, place, packet);
    } else if (ended.kind !== 'end' || deed.kind === 'goto') return ended;
  }
  return { kind: 'end' };
}

/** What a rule that matches does with the packet. */
function done(deed: Deed, at: RulePlace, packet: Packet): Ended {
  switch (deed.kind) {
    case 'drop':
      return { kind: 'drop', at };
    case 'dnat':
      if (deed.address) packet.destination = deed.address;
      if (deed.port !== undefined) packet.destinationPort = deed.port;
      packet.translated = { ...packet.translated, destination: true };
      return { kind: 'dnat', at };
    case 'snat':
    case 'masquerade':
      packet.translated = { ...packet.translated, source: true };
      return { kind: 'snat', at };
    default:
      return { kind: 'accept' };
  }
}

function placeOf(chain: Chain, rule: number | undefined, comment: string | undefined): RulePlace {
  return { chain: chainText(chain), chainName: chain.name, rule, comment };
}

/** `rule 3 of ip filter FORWARD ("…")` or `the policy of ip filter FORWARD` */
export function placeText({ chain, rule, comment }: RulePlace): string {
  if (rule === undefined) return `the policy of ${chain}`;
  return `rule ${rule} of ${chain}${comment === undefined ? '' : ` ("${comment}")`}`;
}
