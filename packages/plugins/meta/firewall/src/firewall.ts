/**
 * firewall: lets a container's traffic through the host's forwarding firewall, whatever that does with others'. Per
 * address there are two rules: what comes from it passes, and what answers it does. With an ingress policy, networks
 * behind different bridges are kept apart as well.
 *
 * Three ways to write it down: iptables, nftables, or firewalld where that runs. DEL looks for the attachment's rules
 * in all of them, because the host may have changed since ADD.
 */

import { formatIp } from '@cni-ts/address/ip';
import { type Backend, defaultBackend, iptablesWorks, nftablesWorks } from '@cni-ts/iptables/backend';
import { type Family, IptablesError } from '@cni-ts/iptables/program';
import type { Netlink } from '@cni-ts/netlink/socket';
import { failOn } from '@cni-ts/resource/drift';
import { ownNetfilter } from '@cni-ts/resource/namespace';
import { type Change, type DryRun, definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { repairByCheck } from '@cni-ts/skeleton/repair-by-check';
import { cannotServe, errorText } from '@cni-ts/spec/cni-error';
import { tryAll } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import {
  addressesForDel,
  addressesOf,
  type BackendName,
  type Config,
  checkConfig,
  parse,
  schema,
} from './config.ts';
import { firewalldRuns } from './firewalld-presence.ts';
import {
  addToFirewalld,
  differencesInFirewalld,
  gcInFirewalld,
  removeFromFirewalld,
} from './firewalld-sources.ts';
import { isolationOf } from './ingress-policy.ts';
import {
  addByIptables,
  differencesInIptables,
  gcByIptables,
  iptablesProblem,
  removeByIptables,
} from './iptables-rules.ts';
import {
  addByNftables,
  differencesInNftables,
  gcByNftables,
  isDroppedElsewhere,
  removeByNftables,
} from './nftables-rules.ts';
import { families, familiesOf, type Plan } from './plan.ts';

/** Throws for what cannot work, before anything is changed. */
function plan(request: Request<Config>): Plan {
  const { config, prevResult, network, containerId, ifname } = request;
  checkConfig(config);
  if (!prevResult) throw new Error('missing prevResult from earlier plugin');
  return {
    owner: { network, containerId, ifname },
    addresses: addressesOf(prevResult),
    adminChain: config.adminChain,
    isolation: isolationOf(config.ingressPolicy, prevResult),
  };
}

function chooseBackend({ backend }: Config, nl: Netlink, used: readonly Family[]): BackendName {
  if (backend) return backend;
  return firewalldRuns() ? 'firewalld' : ruleBackend(nl, used);
}

/** What writes rules where none is named, or firewalld is not enough: iptables if it is there for these families. */
function ruleBackend(nl: Netlink, used: readonly Family[]): Backend {
  const chosen = defaultBackend(nl);
  const useless = chosen === 'iptables' && iptablesProblem(used) !== undefined;
  return useless && nftablesWorks(nl) ? 'nftables' : chosen;
}

function add(request: Request<Config>): Result {
  const { config, prevResult } = request;
  const planned = plan(request);
  if (planned.addresses.length) {
    const nl = ownNetfilter(request);
    const backend = chooseBackend(config, nl, familiesOf(planned));
    if (backend === 'firewalld') addToFirewalld(request, planned);
    const part = partOf(nl, planned, backend);
    if (part) addRules(nl, planned, request, ...part);
  }
  return prevResult ?? {};
}

/** Which rules are needed, and by what. firewalld judges in tables of its own: another firewall's may still drop. */
function partOf(nl: Netlink, planned: Plan, backend: BackendName): [Backend, Part] | undefined {
  if (backend !== 'firewalld') return [backend, {}];
  const isolationOnly = !isDroppedElsewhere(nl);
  if (isolationOnly && !planned.isolation) return undefined;
  return [ruleBackend(nl, familiesOf(planned)), { isolationOnly }];
}

interface Part {
  readonly isolationOnly?: boolean;
}

function addRules(
  nl: Netlink,
  planned: Plan,
  { config, undo }: Request<Config>,
  backend: Backend,
  part: Part,
): void {
  if (backend === 'nftables') {
    addByNftables(nl, planned, undo, part);
    return;
  }
  try {
    addByIptables(nl, planned, undo, part);
  } catch (error) {
    // iptables may be installed on a host whose kernel does not serve it.
    const useless =
      error instanceof IptablesError && !config.backend && !iptablesWorks() && nftablesWorks(nl);
    if (!useless) throw error;
    addByNftables(nl, planned, undo, part);
  }
}

/** Everything is tried, whatever is missing or wrong: prevResult only helps to find what carries no owner. */
async function del(request: Request<Config>): Promise<void> {
  const { network, containerId, ifname } = request;
  const leaving = { owner: { network, containerId, ifname }, addresses: addressesForDel(request) };
  const nl = ownNetfilter(request);
  await tryAll([
    () => removeByNftables(nl, leaving),
    () => removeByIptables(nl, leaving),
    () => removeFromFirewalld(request, configForDel(request), leaving),
  ]);
}

/** What cannot be read is as if it were not there. */
function configForDel(request: Request<Config>): Config {
  try {
    return request.config;
  } catch (error) {
    request.log(`firewall: DEL goes on with the usual configuration: ${errorText(error)}`);
    return parse({});
  }
}

function check(request: Request<Config>): void {
  const { config } = request;
  const planned = plan(request);
  if (!planned.addresses.length) return;
  const nl = ownNetfilter(request);
  const backend = chooseBackend(config, nl, familiesOf(planned));
  const drift = backend === 'firewalld' ? differencesInFirewalld(request, planned) : [];
  const part = partOf(nl, planned, backend);
  if (part) drift.push(...ruleDifferences(nl, planned, config, ...part));
  failOn(drift);
}

function ruleDifferences(nl: Netlink, planned: Plan, config: Config, chosen: Backend, part: Part): string[] {
  if (chosen === 'nftables') return differencesInNftables(nl, planned, part);
  // Programs come and go between ADD and CHECK: whichever backend was not asked for by name may have the rules.
  if (config.backend !== 'iptables' && !differencesInNftables(nl, planned, part).length) return [];
  return differencesInIptables(nl, planned, part);
}

async function gc(request: Request<Config>): Promise<void> {
  const { network, validAttachments } = request;
  const nl = ownNetfilter(request);
  await tryAll([
    () => gcByNftables(nl, network, validAttachments),
    () => gcByIptables(nl, network, validAttachments),
    () => gcInFirewalld(request),
  ]);
}

/** Whose traffic would be let through, and by what. */
function dryRun(request: Request<Config>): DryRun {
  const { config, prevResult = {} } = request;
  const planned = plan(request);
  if (planned.addresses.length === 0) return { changes: [], result: prevResult };
  const nl = ownNetfilter(request);
  const backend = chooseBackend(config, nl, familiesOf(planned));
  const part = partOf(nl, planned, backend);
  const drift = backend === 'firewalld' ? differencesInFirewalld(request, planned) : [];
  if (part) drift.push(...ruleDifferences(nl, planned, config, ...part));
  if (drift.length === 0) return { changes: [], result: prevResult };
  const changes = planned.addresses.map(
    (address): Change => ({ sign: '+', text: `traffic of ${formatIp(address)} let through by ${backend}` }),
  );
  if (planned.isolation) changes.push({ sign: '+', text: `policy ${config.ingressPolicy} of its bridge` });
  return { changes, result: prevResult };
}

function status(request: Request<Config>): void {
  const problem = problemOf(request);
  if (problem === undefined) return;
  throw cannotServe('firewall', problem);
}

function problemOf(request: Request<Config>): string | undefined {
  try {
    const { config } = request;
    checkConfig(config);
    const nl = ownNetfilter(request);
    const backend = chooseBackend(config, nl, families);
    if (backend === 'firewalld' && config.backend && !firewalldRuns()) {
      return 'backend is "firewalld", but that is not on the system bus; start it, or choose another backend';
    }
    const isolating = config.ingressPolicy === 'same-bridge' || config.ingressPolicy === 'isolated';
    if (backend === 'firewalld' && !isolating) return undefined;
    const chosen = backend === 'firewalld' ? ruleBackend(nl, families) : backend;
    if (chosen === 'iptables') return iptablesProblem();
    return nftablesWorks(nl) ? undefined : 'the kernel takes no nftables tables from us';
  } catch (error) {
    return errorText(error);
  }
}

export const firewall = definePlugin({
  type: 'firewall',
  config: schema,
  parse,
  add,
  check,
  del,
  gc,
  status,
  plan: dryRun,
  repair: (request) =>
    repairByCheck(
      () => check(request),
      () => add(request),
    ),
});
