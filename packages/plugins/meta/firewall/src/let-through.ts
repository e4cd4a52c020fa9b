import { formatIp } from '@cni-ts/address/ip';
import { type Backend, defaultBackend, iptablesWorks, nftablesWorks } from '@cni-ts/iptables/backend';
import { type Family, IptablesError } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Drift, Lasting, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { type Owners, ownedBy, ownedByNoneOf } from '@cni-ts/rules/rule-set';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { tryEach } from '@cni-ts/spec/failing';
import { addressesForDel, type BackendName, type Config, parse } from './config.ts';
import { firewalldRuns } from './firewalld.ts';
import { addToFirewalld, differencesInFirewalld, removeFromFirewalld } from './firewalld-sources.ts';
import { addByIptables, differencesInIptables, iptablesProblem, removeByIptables } from './iptables-rules.ts';
import {
  addByNftables,
  differencesInNftables,
  isDroppedElsewhere,
  removeByNftables,
} from './nftables-rules.ts';
import type { Plan } from './plan.ts';

/** By what addresses are let through. */
export function chooseBackend({ backend }: Config, nl: Netlink, used: readonly Family[]): BackendName {
  if (backend) return backend;
  return firewalldRuns() ? 'firewalld' : ruleBackend(nl, used);
}

/** What writes rules where none is named, or firewalld is not enough: iptables if it is there for these families. */
export function ruleBackend(nl: Netlink, used: readonly Family[]): Backend {
  const chosen = defaultBackend(nl);
  const useless = chosen === 'iptables' && iptablesProblem(used) !== undefined;
  return useless && nftablesWorks(nl) ? 'nftables' : chosen;
}

/** That an attachment's traffic passes the host's firewall, and keeps to the policy of its bridge. */
export class LetThrough implements Resource {
  readonly #config: Config;
  readonly #plan: Plan;

  constructor(config: Config, plan: Plan) {
    this.#config = config;
    this.#plan = plan;
  }

  describe(site: Site): string {
    const { addresses, isolation } = this.#plan;
    const { backend } = this.#means(site);
    const lines = addresses.map((ip) => `traffic of ${formatIp(ip)} let through by ${backend}`);
    if (isolation) lines.push(`policy ${this.#config.ingressPolicy} of its bridge`);
    return lines.join('\n');
  }

  ensure(site: Site): void {
    const { netfilter: nl, request } = site;
    const { backend, rules, by } = this.#means(site);
    if (backend === 'firewalld') addToFirewalld(request, this.#config, this.#plan.addresses);
    if (!rules) return;
    try {
      (by === 'nftables' ? addByNftables : addByIptables)(nl, rules, request.undo);
    } catch (error) {
      // iptables may be installed on a host whose kernel does not serve it.
      const useless = error instanceof IptablesError && !this.#config.backend && !iptablesWorks();
      if (!useless || !nftablesWorks(nl)) throw error;
      addByNftables(nl, rules, request.undo);
    }
  }

  differences(site: Site): Drift[] {
    const { netfilter: nl, request } = site;
    const { backend, rules, by } = this.#means(site);
    const drift: string[] = [];
    if (backend === 'firewalld') {
      drift.push(...differencesInFirewalld(request, this.#config, this.#plan.addresses));
    }
    if (rules) drift.push(...this.#missing(nl, rules, by));
    return drift.map((text) => ({ text }));
  }

  #missing(nl: Netlink, rules: Plan, by: Backend): string[] {
    if (by === 'nftables') return differencesInNftables(nl, rules);
    // Programs come and go between ADD and CHECK: whichever backend was not asked for by name may have the rules.
    if (this.#config.backend !== 'iptables' && !differencesInNftables(nl, rules).length) return [];
    return differencesInIptables(nl, rules);
  }

  /** What rules are needed, and by what. firewalld judges in tables of its own: another firewall's may still drop. */
  #means(site: Site) {
    return site.once(this, () => {
      const { netfilter: nl } = site;
      const { families, isolation } = this.#plan;
      const backend = chooseBackend(this.#config, nl, families);
      if (backend !== 'firewalld') return { backend, rules: this.#plan, by: backend };
      const rules = isDroppedElsewhere(nl) ? this.#plan : isolation && { ...this.#plan, addresses: [] };
      return { backend, rules, by: ruleBackend(nl, families) };
    });
  }
}

/** What lets attachments through, in all backends, because the host may have changed since ADD. */
export class LetThroughLasting implements Lasting {
  readonly name = 'what lets traffic through';
  readonly #config: () => Config | undefined;

  constructor(config: () => Config | undefined) {
    this.#config = config;
  }

  /** Everything is tried, whatever is missing or wrong: prevResult only helps to find what carries no owner. */
  remove(site: Site): void {
    this.#remove(site, ownedBy(site.owner), addressesForDel(site.request));
  }

  collect(site: Site, valid: readonly Attachment[]): void {
    this.#remove(site, ownedByNoneOf(site.request.network, valid), []);
  }

  #remove(
    { netfilter: nl, request }: Site,
    owners: Owners,
    addresses: ReturnType<typeof addressesForDel>,
  ): void {
    const removals = [
      () => removeByNftables(nl, owners),
      () => removeByIptables(nl, owners, addresses),
      () => removeFromFirewalld(request, this.#config() ?? parse({}), owners, addresses),
    ];
    tryEach(removals, (remove) => remove());
  }
}
