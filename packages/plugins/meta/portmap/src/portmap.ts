/**
 * portmap: ports of the host lead to ports of a container. It stands in a chain behind the plugin that gave the
 * container its address, works on the host alone and makes no interface.
 *
 * A packet is redirected if and only if it is sent to an address of this host and protocol, port and (where one is
 * given) host address agree with a mapping. A port has one owner.
 */
import type { Ip } from '@cni-ts/address/ip';
import { type Backend, defaultBackend, iptablesWorks, nftablesWorks } from '@cni-ts/iptables/backend';
import { findProgram } from '@cni-ts/iptables/program';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import type { ChainName } from '@cni-ts/nftables/chain-presence';
import { retryRaces } from '@cni-ts/nftables/transaction';
import { failOn } from '@cni-ts/resource/drift';
import { ownNamespace, ownNetfilter } from '@cni-ts/resource/namespace';
import { mayBeThere } from '@cni-ts/rules/rule-traces';
import { type Change, type DryRun, definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { cannotServe, errorText, findCniError } from '@cni-ts/spec/cni-error';
import { tryEach } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import { type Config, checkOptions, parse, readRequest, schema } from './config.ts';
import { containerAddresses } from './container-address.ts';
import {
  addToIptables,
  iptablesDifferences,
  iptablesHolder,
  requireIptables,
  variantFor,
} from './iptables.ts';
import { gcIptables, removeFromIptables } from './iptables-removal.ts';
import { endpointText, hostPortText, portTaken, readMappings } from './mapping.ts';
import {
  addToNftables,
  isKnown,
  isUnused,
  look,
  nftablesDifferences,
  nftablesHolder,
  type Sight,
} from './nftables.ts';
import { clearNftables, gcNftables, removeFromNftables, takeBackFromNftables } from './nftables-removal.ts';
import { type Owner, ownChains, referenceChains } from './owner.ts';
import { type Plan, planFor, readConditions } from './plan.ts';
import { allowLoopback, loopbackChange, loopbackDifferences } from './route-localnet.ts';
import { forgetFormerOwners, forgetRedirected, type Host, type Removed } from './stale-flows.ts';

/** What a verb is about, where the container has ports. */
interface Work {
  readonly host: Host;
  readonly config: Config;
  /** The one to begin with. */
  readonly backend: Backend;
  plan(backend: Backend): Plan;
}

/** What ADD, CHECK and a dry run begin with. Failures to read the configuration begin with `prefix`. */
function begin(request: Request<Config>, prefix: string, missing: string): { result: Result; work?: Work } {
  const [config, result] = readRequest(request, prefix);
  if (!result) throw new Error(missing);
  if (!config.portMappings?.length) return { result };
  const host = hostOf(request);
  const backend = config.backend ?? defaultBackend(host.netfilter, 'ip');
  if (!config.backend) checkOptions(backend, config, false);
  const plan = (by: Backend) => planFor(config, ownerOf(request), result, by);
  return { result, work: { host, config, backend, plan } };
}

function beginAdd(request: Request<Config>): ReturnType<typeof begin> {
  return begin(request, 'failed to parse config: ', 'must be called as chained plugin');
}

function add(request: Request<Config>): Result {
  const { result, work } = beginAdd(request);
  if (!work) return result;
  const { host, config, backend } = work;
  try {
    addBy(backend, work, request.undo);
  } catch (error) {
    // iptables may be installed on a host whose kernel does not serve it.
    const isOurs = findCniError(error) !== undefined;
    const final = config.backend || backend === 'nftables' || isOurs || iptablesWorks();
    if (final || !nftablesWorks(host.netfilter, 'ip')) throw error;
    checkOptions('nftables', config, false);
    addBy('nftables', work, request.undo);
  }
  return result;
}

function addBy(backend: Backend, { host, config, plan }: Work, undo: Undo): void {
  const { netfilter, route } = host;
  const planned = plan(backend);
  const { owner, targets } = planned;
  if (!targets.length) return;
  if (backend === 'iptables') requireIptables(targets.map(({ address }) => address.ip.family));

  // The container may have had mappings, so some of its connections may be right already.
  let fresh = true;
  oneAtATime(() =>
    retryRaces(() => {
      // On a host of iptables that is all there is to see of nftables.
      const seen = backend === 'iptables' && isUnused(netfilter) ? undefined : look(netfilter, planned);
      refuseTakenPorts(host, planned, seen, backend);
      const what = 'port mappings';
      if (backend === 'nftables' && seen) {
        fresh = !seen.some(isKnown);
        undo.make(
          what,
          () => addToNftables(netfilter, owner, seen),
          () => void oneAtATime(() => takeBackFromNftables(netfilter, owner)),
        );
      } else {
        fresh = addToIptables(netfilter, planned, (step) => undo.add(what, () => oneAtATime(step)));
      }
    }),
  );
  for (const { address, mappings } of targets) forgetFormerOwners(host, address.ip, mappings, fresh);
  for (const ip of needLoopback(config, planned)) allowLoopback(route, ip, undo);
}

/** The containers' addresses that the host is to reach also when it talks to 127.0.0.1. */
function needLoopback({ snat }: Config, { targets }: Plan): Ip[] {
  return targets.flatMap(({ address: { ip } }) => (snat && ip.family === 4 ? [ip] : []));
}

/** A port that another container has is refused before any change; whichever backend holds it. */
function refuseTakenPorts(
  { netfilter }: Host,
  { owner, targets }: Plan,
  sights: readonly Sight[] | undefined,
  backend: Backend,
): void {
  for (const { address, mappings } of targets) {
    const { family } = address.ip;
    const sight = sights?.find(({ wanted }) => wanted.family === family);
    const variant = backend === 'iptables' ? variantFor(family) : 'nft';
    const inIptables = variant === 'legacy' || !sight || sight.iptablesEntries !== undefined;
    const holder =
      (sight && nftablesHolder(netfilter, owner, sight)) ??
      (inIptables ? iptablesHolder(netfilter, owner, family, mappings, variant) : undefined);
    if (holder) throw portTaken(holder);
  }
}

/**
 * Takes away what carries this attachment's names, in both backends, since programs come and go between ADD and DEL.
 * It does not look into the configuration, which may have changed meanwhile: there may be no mappings any more, another
 * backend, or something that ADD would refuse.
 */
function del(request: Request<Config>): void {
  const host = hostOf(request);
  // That the runtime tells of no ports says nothing about those that ADD was told of, but is usually right.
  if (!saysPorts(request.json) && !mayHaveMappings(host, ownerOf(request))) return;
  removeEverywhere(host, request);
}

/**
 * Whether there may be mappings of an attachment. Most containers publish no port, and that there is nothing to remove
 * shows with one message or two, and a look whether there are older tables.
 */
function mayHaveMappings({ netfilter }: Host, owner: Owner): boolean {
  const names = [...ownChains(owner), ...referenceChains(owner)];
  return mayBeThere(
    netfilter,
    (['ip', 'ip6'] as const).flatMap((family): ChainName[] => [
      [family, 'cni_hostport'], // of nftables, whose maps and rules may be of anybody
      ...names.map((name): ChainName => [family, 'nat', name]),
    ]),
  );
}

/** Whether the runtime says that the container has ports, as far as the configuration is what it should be. */
function saysPorts({ runtimeConfig }: Readonly<Record<string, unknown>>): boolean {
  const { portMappings }: { portMappings?: unknown } = Object(runtimeConfig);
  return Array.isArray(portMappings) && portMappings.length > 0;
}

function removeEverywhere(host: Host, request: Request<Config>): void {
  const [owner, addresses] = [ownerOf(request), addressesIfAny(request)];
  bothBackends(
    host,
    () => removeFromNftables(host.netfilter, owner, addresses),
    () => removeFromIptables(host.netfilter, owner, addresses),
  );
}

function gc(request: Request<Config>): void {
  const { network, validAttachments } = request;
  const host = hostOf(request);
  bothBackends(
    host,
    () => gcNftables(host.netfilter, network, validAttachments),
    () => gcIptables(host.netfilter, network, validAttachments),
  );
}

/** Both are tried whatever the other does, and connections of what is gone are forgotten. */
function bothBackends(host: Host, ...removals: (() => Removed)[]): void {
  tryEach(removals, (removal) => {
    const removed = oneAtATime(removal);
    for (const family of [4, 6] as const) forgetRedirected(host, family, removed[family]);
  });
}

function check(request: Request<Config>): void {
  const { work } = begin(request, '', 'Required prevResult missing');
  if (!work) return;
  const { host, config, backend } = work;
  const planned = work.plan(backend);
  const drift = differencesBy(backend, host, planned);
  const other = backend === 'iptables' ? 'nftables' : 'iptables';
  if (drift.length && !config.backend && holdsBy(other, work)) return;
  failOn([...drift, ...needLoopback(config, planned).flatMap((ip) => loopbackDifferences(host.route, ip))]);
}

function differencesBy(backend: Backend, { netfilter }: Host, planned: Plan): string[] {
  return (backend === 'nftables' ? nftablesDifferences : iptablesDifferences)(netfilter, planned);
}

/** Programs come and go between ADD and CHECK: with no backend asked for by name the other one may have the rules. */
function holdsBy(backend: Backend, { host, plan }: Work): boolean {
  if (backend === 'iptables' && findProgram('iptables-save') === undefined) return false;
  try {
    return differencesBy(backend, host, plan(backend)).length === 0;
  } catch {
    // reason: a backend that cannot even be asked has no rules; the drift found is reported
    return false;
  }
}

/** Which ports of the host would lead to the container. */
function dryRun(request: Request<Config>): DryRun {
  const { result, work } = beginAdd(request);
  if (!work) return { changes: [], result };
  const { host, config, backend } = work;
  const planned = work.plan(backend);
  const localnet = needLoopback(config, planned).flatMap((ip) =>
    loopbackChange(host.route, ip, result.interfaces?.find(({ sandbox }) => !sandbox)?.name),
  );
  if (!differencesBy(backend, host, planned).length) return { changes: localnet, result };
  const changes = planned.targets.flatMap(({ address, mappings }) =>
    mappings.map((one): Change => {
      const to = endpointText({ address: address.ip, port: one.containerPort });
      return { sign: '+', text: `${hostPortText(one)} → ${to} by ${backend}` };
    }),
  );
  return { changes: [...changes, ...localnet], result };
}

/** In place, so that connections go on; where somebody has changed too much for that, from the beginning. */
function addAgain(request: Request<Config>): void {
  try {
    add(request);
  } catch {
    // reason: what stands in the way is removed, and if it is something else the second attempt says so
    const host = hostOf(request);
    removeEverywhere(host, request);
    bothBackends(host, () => clearNftables(host.netfilter, ownerOf(request)));
    add(request);
  }
}

function status(request: Request<Config>): void {
  const cannot = (why: string, details: string, cause?: unknown) =>
    cannotServe('portmap', why, details, cause);
  let config: Config;
  try {
    config = request.config;
    readMappings(config.portMappings ?? []);
    if (config.backend === 'nftables') for (const family of [4, 6] as const) readConditions(family, config);
  } catch (error) {
    throw cannot(errorText(error), findCniError(error)?.details ?? '', error);
  }
  const { netfilter } = hostOf(request);
  if ((config.backend ?? defaultBackend(netfilter, 'ip')) === 'nftables') {
    if (nftablesWorks(netfilter, 'ip')) return;
    const details = 'it may lack CONFIG_NF_TABLES, or CAP_NET_ADMIN is missing';
    throw cannot('the kernel does not take nftables rules', details);
  }
  try {
    requireIptables([4]);
  } catch (error) {
    throw cannot(errorText(error), 'install iptables, or set "backend": "nftables"', error);
  }
  if (iptablesWorks() || (!config.backend && nftablesWorks(netfilter, 'ip'))) return;
  const details = 'run "iptables -S" to see why, or set "backend": "nftables"';
  throw cannot('iptables cannot read its tables', details);
}

/** What is as it must be is not touched; what CHECK complains of is made again, all of it. */
function repair(request: Request<Config>): string[] {
  try {
    check(request);
    return [];
  } catch (error) {
    addAgain(request);
    return [errorText(error)];
  }
}

function addressesIfAny(request: Request<Config>): Ip[] | undefined {
  try {
    const { prevResult, ifname } = request;
    return prevResult && containerAddresses(prevResult, ifname).map(({ ip }) => ip);
  } catch {
    // reason: they only narrow what is removed; a result of another version tells none
    return undefined;
  }
}

function ownerOf({ network, containerId, ifname }: Request<Config>): Owner {
  return { network, containerId, ifname };
}

/** The plugin's own namespace, which is the host. */
function hostOf(request: Request<Config>): Host {
  return { netfilter: ownNetfilter(request), route: ownNamespace(request).route };
}

export const portmap = definePlugin({
  type: 'portmap',
  config: schema,
  configError: 'failed to parse network configuration',
  parse,
  refuse: ({ portMappings }) => void readMappings(portMappings ?? []),
  add,
  check,
  del,
  gc,
  status,
  plan: dryRun,
  repair,
});
