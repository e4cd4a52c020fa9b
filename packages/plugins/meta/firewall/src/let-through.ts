import { formatIp } from '@cni-ts/address/ip';
import { firewalldRuns } from '@cni-ts/dbus/firewalld';
import { type Backend, defaultBackend, iptablesWorks, nftablesWorks } from '@cni-ts/iptables/backend';
import { type Family, IptablesError } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Lasting, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { type Owners, ownedBy, ownedByNoneOf } from '@cni-ts/rules/rule-set';
import { tryEach } from '@cni-ts/spec/failing';
import { addressesForDel, type BackendName, type Config, parse } from './config.ts';
import { addToFirewalld, differencesInFirewalld, removeFromFirewalld } from './firewalld-sources.ts';
import { addByIptables, differencesInIptables, iptablesProblem, removeByIptables } from './iptables-rules.ts';
import {
  addByNftables,
  differencesInNftables,
  isDroppedElsewhere,
  removeByNftables,
} from './nftables-rules.ts';
import type { Plan } from './plan.ts';

/** By what addresses are let through, and by what rules are made: iptables, if none is named and it is there for these
 *  families. */
export function backendsFor(
  { backend }: Config,
  nl: Netlink,
  used: readonly Family[],
): { backend: BackendName; by: Backend } {
  const wanted = backend ?? (firewalldRuns() ? 'firewalld' : undefined);
  if (wanted === 'iptables' || wanted === 'nftables') return { backend: wanted, by: wanted };
  const usual = defaultBackend(nl);
  const useless = usual === 'iptables' && iptablesProblem(used) !== undefined;
  const by = useless && nftablesWorks(nl) ? 'nftables' : usual;
  return { backend: wanted ?? by, by };
}

/** That an attachment's traffic passes the host's firewall, and keeps to the policy of its bridge. */
export function letThrough({ netfilter: nl, request }: Site, config: Config, plan: Plan): Resource {
  const { addresses, families, isolation } = plan;
  const { backend, by } = backendsFor(config, nl, families);
  const isFirewalld = backend === 'firewalld';
  // firewalld judges in tables of its own: another firewall's may still drop.
  const all = !isFirewalld || isDroppedElsewhere(nl);
  const rules = all ? plan : isolation && { ...plan, addresses: [] };

  function missing(wanted: Plan): string[] {
    if (by === 'nftables') return differencesInNftables(nl, wanted);
    // Programs come and go between ADD and CHECK: whichever backend was not asked for by name may have the rules.
    if (config.backend !== 'iptables' && !differencesInNftables(nl, wanted).length) return [];
    return differencesInIptables(nl, wanted);
  }

  return {
    describe() {
      const lines = addresses.map((ip) => `traffic of ${formatIp(ip)} let through by ${backend}`);
      if (isolation) lines.push(`policy ${config.ingressPolicy} of its bridge`);
      return lines.join('\n');
    },
    ensure() {
      if (isFirewalld) addToFirewalld(request, config, addresses);
      if (!rules) return;
      try {
        (by === 'nftables' ? addByNftables : addByIptables)(nl, rules, request.undo);
      } catch (error) {
        // iptables may be installed on a host whose kernel does not serve it.
        const useless = error instanceof IptablesError && !config.backend && !iptablesWorks();
        if (!useless || !nftablesWorks(nl)) throw error;
        addByNftables(nl, rules, request.undo);
      }
    },
    differences() {
      const drift = isFirewalld ? differencesInFirewalld(request, config, addresses) : [];
      if (rules) drift.push(...missing(rules));
      return drift.map((text) => ({ text }));
    },
  };
}

/** What lets attachments through, in all backends, because the host may have changed since ADD. */
export function letThroughLasting(config: () => Config | undefined): Lasting {
  const remove = ({ netfilter: nl, request }: Site, owners: Owners, addresses: Plan['addresses']) =>
    tryEach(
      [
        () => removeByNftables(nl, owners),
        () => removeByIptables(nl, owners, addresses),
        () => removeFromFirewalld(request, config() ?? parse({}), owners, addresses),
      ],
      (step) => step(),
    );
  return {
    name: 'what lets traffic through',
    // prevResult only helps to find what carries no owner.
    remove: (site) => remove(site, ownedBy(site.owner), addressesForDel(site.request)),
    collect: (site, valid) => remove(site, ownedByNoneOf(site.request.network, valid), []),
  };
}
