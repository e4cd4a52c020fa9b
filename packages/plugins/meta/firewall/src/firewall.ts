/**
 * firewall: lets a container's traffic through the host's forwarding firewall, whatever that does with others'. Per
 * address there are two rules: what comes from it passes, and what answers it does. With an ingress policy, networks
 * behind different bridges are kept apart as well.
 *
 * Three ways to write it down: iptables, nftables, or firewalld where that runs. DEL looks for the attachment's rules
 * in all of them, because the host may have changed since ADD.
 */

import { nftablesWorks } from '@cni-ts/iptables/backend';
import { chainedPlugin } from '@cni-ts/resource/chained-plugin';
import type { Site } from '@cni-ts/resource/site';
import { addressesOf, type Config, checkConfig, parse, schema } from './config.ts';
import { firewalldRuns } from './firewalld.ts';
import { isolates, isolationOf } from './ingress-policy.ts';
import { iptablesProblem } from './iptables-rules.ts';
import { chooseBackend, LetThrough, LetThroughLasting, ruleBackend } from './let-through.ts';
import { families } from './plan.ts';

/** Why the host cannot do what ADD will ask of it. */
function problemOf(config: Config, { netfilter }: Site): string | undefined {
  const backend = chooseBackend(config, netfilter, families);
  if (backend === 'firewalld' && config.backend && !firewalldRuns()) {
    return 'backend is "firewalld", but that is not on the system bus; start it, or choose another backend';
  }
  if (backend === 'firewalld' && !isolates(config.ingressPolicy)) return undefined;
  const by = backend === 'firewalld' ? ruleBackend(netfilter, families) : backend;
  if (by === 'iptables') return iptablesProblem(families);
  return nftablesWorks(netfilter) ? undefined : 'the kernel takes no nftables tables from us';
}

export const firewall = chainedPlugin({
  type: 'firewall',
  config: schema,
  parse,
  missing: 'missing prevResult from earlier plugin',
  check: checkConfig,
  status(config, site) {
    const problem = problemOf(config, site);
    if (problem !== undefined) throw new Error(problem);
  },
  plan(config, { owner: { network, containerId, ifname } }, previous) {
    checkConfig(config); // in CHECK, too
    const addresses = addressesOf(previous);
    const plan = {
      owner: { network, containerId, ifname },
      families: families.filter((family) => addresses.some((ip) => ip.family === family)),
      addresses,
      adminChain: config.adminChain,
      isolation: isolationOf(config.ingressPolicy, previous),
    };
    return { resources: addresses.length ? [new LetThrough(config, plan)] : [] };
  },
  lasting: (config) => [new LetThroughLasting(config)],
});
