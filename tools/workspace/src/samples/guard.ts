import { parseCidr } from '@cni-ts/address/cidr';
import type { Chain } from '@cni-ts/nftables/chain';
import { findChain } from '@cni-ts/nftables/chain';
import { listRules } from '@cni-ts/nftables/rule';
import { chainedPlugin } from '@cni-ts/resource/chained-plugin';
import type { Drift, Lasting, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { ensureInNft, isInNft, removeOwned, ruleText } from '@cni-ts/rules/nft-engine';
import { ownedBy, ownedByNoneOf, type RuleSet, stands } from '@cni-ts/rules/rule-set';
import { drop, hostCidr } from '@cni-ts/rules/rule-spec';
import { networkConfig } from '@cni-ts/skeleton/config';
import { type Owner, ownerComment } from '@cni-ts/skeleton/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Result } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

const table = { family: 'inet', name: 'cni_guard' } as const;
const hook: Chain = {
  table,
  name: 'forward',
  base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
};

/** Two rules for each address: nothing goes to that port of the container, and nothing from it to that port. */
function guardRules(port: number, { ips = [] }: Result, owner: Owner): RuleSet {
  const comment = ownerComment(owner);
  const own = ips.flatMap(({ address }) => {
    const ip = parseCidr(address)?.ip;
    const one = { chain: hook.name, action: drop, comment };
    const mail = { protocol: 'tcp', port } as const;
    return ip
      ? [
          { ...one, when: { ...mail, from: hostCidr(ip) } },
          { ...one, when: { ...mail, to: hostCidr(ip) } },
        ]
      : [];
  });
  return { table, chains: [hook], shared: [], own };
}

class Guarded implements Resource {
  readonly #wanted: RuleSet;

  constructor(wanted: RuleSet) {
    this.#wanted = wanted;
  }

  describe(site: Site): string {
    return this.#missing(site)
      .map((text) => `rule ${text}`)
      .join(', ');
  }

  ensure(site: Site): void {
    ensureInNft(site.netfilter, 'rules of guard', site.request.undo, () => this.#look(site));
  }

  differences(site: Site): Drift[] {
    return this.#missing(site).map((rule) => ({
      text: `the rule "${rule}" is missing in table inet ${table.name}`,
    }));
  }

  #missing(site: Site): string[] {
    const there = this.#look(site).there();
    return this.#wanted.own.filter((one) => !stands(there, one, false)).map((one) => ruleText(table, one));
  }

  /** What of the set is there. */
  #look({ netfilter }: Site) {
    const isThere = findChain(netfilter, hook) !== undefined;
    const there = {
      has: () => isThere,
      rules: () => (isThere ? listRules(netfilter, table, hook.name) : []),
      is: isInNft(table),
    };
    return { tables: isThere ? [] : [table], sets: [this.#wanted], there: () => there, stale: () => [] };
  }
}

const guardLasting: Lasting = {
  name: 'the rules of guard',
  remove: ({ netfilter, owner }) => removeOwned(netfilter, () => [hook], ownedBy(owner)),
  collect: ({ netfilter, request }, valid: readonly Attachment[]) =>
    removeOwned(netfilter, () => [hook], ownedByNoneOf(request.network, valid)),
};

/** A sample: a meta plugin with two rules. */
export const guard = chainedPlugin({
  type: 'guard',
  config: z.object({ ...networkConfig, port: z.int() }),
  parse: ({ port }) => port,
  missing: 'guard must be called as chained plugin',
  plan: (port, { owner }, previous) => ({ resources: [new Guarded(guardRules(port, previous, owner))] }),
  lasting: () => [guardLasting],
});
