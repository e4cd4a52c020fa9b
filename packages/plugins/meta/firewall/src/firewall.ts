/**
 * firewall: lets a container's traffic through the host's forwarding firewall, whatever that does with others'. Per
 * address there are two rules: what comes from it passes, and what answers it does. With an ingress policy, networks
 * behind different bridges are kept apart as well.
 *
 * Three ways to write it down: iptables, nftables, or firewalld where that runs. DEL looks for the attachment's rules
 * in all of them, because the host may have changed since ADD.
 */

import { firewalldRuns } from '@cni-ts/dbus/firewalld';
import { nftablesWorks } from '@cni-ts/iptables/backend';
import { chainedPlugin } from '@cni-ts/resource/chained-plugin';
import { addressesOf, checkConfig, parse, schema } from './config.ts';
import { isolates, isolationOf } from './ingress-policy.ts';
import { iptablesProblem } from './iptables-rules.ts';
import { backendsFor, letThrough, letThroughLasting } from './let-through.ts';
import { families } from './plan.ts';

export const firewall = chainedPlugin({
  type: 'firewall',
  config: schema,
  parse,
  refuse: checkConfig,
  missing: 'missing prevResult from earlier plugin',
  check: checkConfig,
  status(config, { netfilter }) {
    const { backend, by } = backendsFor(config, netfilter, families);
    if (backend === 'firewalld') {
      if (config.backend && !firewalldRuns()) {
        throw new Error(
          'backend is "firewalld", but that is not on the system bus; start it, or choose another backend',
        );
      }
      if (!isolates(config.ingressPolicy)) return;
    }
    const missing = by === 'iptables' ? iptablesProblem(families) : undefined;
    if (missing) throw new Error(missing);
    if (by === 'nftables' && !nftablesWorks(netfilter)) {
      throw new Error('the kernel takes no nftables tables from us');
    }
  },
  plan(config, site, previous) {
    checkConfig(config); // in CHECK, too
    const addresses = addressesOf(previous);
    const { adminChain, ingressPolicy } = config;
    const isolation = isolationOf(ingressPolicy, previous);
    if (!addresses.length) return { resources: [] };
    const used = families.filter((family) => addresses.some((ip) => ip.family === family));
    const plan = { owner: site.owner, families: used, addresses, adminChain, isolation };
    return { resources: [letThrough(site, config, plan)] };
  },
  lasting: (config) => [letThroughLasting(config)],
});
