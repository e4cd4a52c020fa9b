import { type Chain, findChain } from '@cni-ts/nftables/chain';
import { listRules } from '@cni-ts/nftables/rule';
import type { Drift, Lasting, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { ensureInNft, isInNft, removeOwned, ruleText } from '@cni-ts/rules/nft-engine';
import { ownedBy, ownedByNoneOf, type RuleSet, stands } from '@cni-ts/rules/rule-set';
import type { RuleSpec } from '@cni-ts/rules/rule-spec';
import type { Attachment } from '@cni-ts/skeleton/plugin';

const table = { family: 'inet', name: 'cni___word__' } as const;
const chains: readonly [Chain] = [
  { table, name: 'forward', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } },
];

/** Rules of one attachment, in the chain of all of them. */
export class Rules implements Resource {
  readonly #own: readonly RuleSpec[];

  /** Each with the attachment's comment, by which it is found again. */
  constructor(own: readonly Omit<RuleSpec, 'chain'>[]) {
    this.#own = own.map((one) => ({ ...one, chain: chains[0].name }));
  }

  describe(site: Site): string {
    return `rules ${this.#missing(site).join(', ')}`;
  }

  ensure(site: Site): void {
    ensureInNft(site.netfilter, 'rules of __name__', site.request.undo, () => this.#look(site));
  }

  differences(site: Site): Drift[] {
    const where = `table inet ${table.name}`;
    return this.#missing(site).map((rule) => ({ text: `the rule "${rule}" is missing in ${where}` }));
  }

  #missing(site: Site): string[] {
    const there = this.#look(site).there();
    return this.#own.filter((one) => !stands(there, one, false)).map((one) => ruleText(table, one));
  }

  /** What must be there, and what is. */
  #look({ netfilter }: Site) {
    const wanted: RuleSet = { table, chains, shared: [], own: this.#own };
    const isThere = findChain(netfilter, chains[0]) !== undefined;
    const there = {
      has: () => isThere,
      rules: () => (isThere ? listRules(netfilter, table, chains[0].name) : []),
      is: isInNft(table),
    };
    return { tables: isThere ? [] : [table], sets: [wanted], there: () => there, stale: () => [] };
  }
}

/** What DEL and GC take away, known by the attachment's name alone. */
export const rulesLasting: Lasting = {
  name: 'the rules of __name__',
  remove: ({ netfilter, owner }) => removeOwned(netfilter, () => chains, ownedBy(owner)),
  collect: ({ netfilter, request }, valid: readonly Attachment[]) =>
    removeOwned(netfilter, () => chains, ownedByNoneOf(request.network, valid)),
};
