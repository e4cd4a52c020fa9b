/**
 * portmap: ports of the host lead to ports of a container. It stands in a chain behind the plugin that gave the
 * container its address, works on the host alone and makes no interface.
 *
 * A packet is redirected if and only if it is sent to an address of this host and protocol, port and (where one is
 * given) host address agree with a mapping. A port has one owner.
 */
import { formatIp, type Ip } from '@cni-ts/address/ip';
import { type Backend, defaultBackend, iptablesWorks, nftablesWorks } from '@cni-ts/iptables/backend';
import { findProgram } from '@cni-ts/iptables/program';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import type { Netlink } from '@cni-ts/netlink/socket';
import { retryRaces } from '@cni-ts/nftables/transaction';
import { failOn } from '@cni-ts/resource/drift';
import { ownNamespace, ownNetfilter } from '@cni-ts/resource/namespace';
import { type Change, type DryRun, definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { repairByCheck } from '@cni-ts/skeleton/repair-by-check';
import { cannotServe, errorText, findCniError } from '@cni-ts/spec/cni-error';
import { tryEach } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import { type Config, checkOptions, parse, readRequest, schema } from './config.ts';
import { containerAddresses } from './container-address.ts';
import { portTaken } from './holder.ts';
import {
  addToIptables,
  iptablesDifferences,
  iptablesHolder,
  requireIptables,
  variantFor,
} from './iptables.ts';
import { gcIptables, removeFromIptables } from './iptables-removal.ts';
import { hostPortText, readMappings } from './mapping.ts';
import {
  addToNftables,
  isKnown,
  isUnused,
  look,
  nftablesDifferences,
  nftablesHolder,
  type Sight,
} from './nftables.ts';
import { readConditions } from './nftables-conditions.ts';
import { clearNftables, gcNftables, removeFromNftables, takeBackFromNftables } from './nftables-removal.ts';
import type { Owner } from './owner.ts';
import { type Plan, planFor } from './plan.ts';
import { allowLoopback, loopbackDifferences } from './route-localnet.ts';
import { forgetFormerOwners, forgetRedirected, type Removed } from './stale-flows.ts';
import { mayHaveMappings, saysPorts } from './traces.ts';

/** The host as portmap sees it. */
interface Host {
  readonly netfilter: Netlink;
  readonly route: Netlink;
}

function add(request: Request<Config>): Result {
  const [config, prevResult] = readRequest(request, 'failed to parse config: ');
  if (!prevResult) throw new Error('must be called as chained plugin');
  if (!config.portMappings?.length) return prevResult;
  const host = hostOf(request);
  const first = config.backend ?? chooseBackend(host, config);
  try {
    addBy(first, host, config, request, prevResult);
  } catch (error) {
    // iptables may be installed on a host whose kernel does not serve it.
    const second = config.backend || first === 'nftables' || isOurs(error) || iptablesWorks();
    if (second || !nftablesWorks(host.netfilter, 'ip')) throw error;
    checkOptions('nftables', config, false);
    addBy('nftables', host, config, request, prevResult);
  }
  return prevResult;
}

function isOurs(error: unknown): boolean {
  return findCniError(error) !== undefined;
}

function addBy(
  backend: Backend,
  host: Host,
  config: Config,
  request: Request<Config>,
  prevResult: Result,
): void {
  const { netfilter, route } = host;
  const { undo } = request;
  const planned = planFor(config, ownerOf(request), prevResult, backend);
  if (!planned.targets.length) return;
  if (backend === 'iptables') requireIptables(planned.targets.map(({ address }) => address.ip.family));

  // The container may have had mappings, so some of its connections may be right already.
  let fresh = true;
  oneAtATime(() =>
    retryRaces(() => {
      // On a host of iptables that is all there is to see of nftables.
      const seen = backend === 'iptables' && isUnused(netfilter) ? undefined : look(netfilter, planned);
      refuseTakenPorts(host, planned, seen?.sights, backend);
      if (backend === 'nftables' && seen) {
        fresh = !seen.sights.some(isKnown);
        undo.make(
          'port mappings',
          () => addToNftables(netfilter, planned.owner, seen),
          () => void oneAtATime(() => takeBackFromNftables(netfilter, planned.owner)),
        );
      } else {
        fresh = addToIptables(netfilter, planned, (step) =>
          undo.add('port mappings', () => oneAtATime(step)),
        );
      }
    }),
  );
  for (const { address, mappings } of planned.targets) {
    forgetFormerOwners(host, address.ip, mappings, fresh);
  }
  const v4 = planned.targets.find(({ address }) => address.ip.family === 4);
  if (v4 && config.snat) allowLoopback(route, v4.address.ip, undo);
}

/** A port that another container has is refused before any change; whichever backend holds it. */
function refuseTakenPorts(
  { netfilter }: Host,
  { owner, targets }: Plan,
  sights: readonly Sight[] | undefined,
  backend: Backend,
): void {
  for (const [i, { address, mappings }] of targets.entries()) {
    const { family } = address.ip;
    const sight = sights?.[i];
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
  const owner = ownerOf(request);
  const host = hostOf(request);
  // That the runtime tells of no ports says nothing about those that ADD was told of, but is usually right.
  if (!saysPorts(request.json) && !mayHaveMappings(host.netfilter, owner)) return;
  removeEverywhere(host, owner, addressesIfAny(request));
}

function removeEverywhere(host: Host, owner: Owner, addresses: readonly Ip[] | undefined): void {
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
  const [config, prevResult] = readRequest(request, '');
  if (!prevResult) throw new Error('Required prevResult missing');
  if (!config.portMappings?.length) return;
  const host = hostOf(request);
  const backend = config.backend ?? chooseBackend(host, config);
  const owner = ownerOf(request);
  const planned = planFor(config, owner, prevResult, backend);
  const drift = differencesBy(backend, host, planned);
  const other = backend === 'iptables' ? 'nftables' : 'iptables';
  if (drift.length && !config.backend && holdsBy(other, host, config, request, prevResult)) return;
  const v4 = planned.targets.find(({ address }) => address.ip.family === 4);
  if (v4 && config.snat) drift.push(...loopbackDifferences(host.route, v4.address.ip));
  failOn(drift);
}

function differencesBy(backend: Backend, { netfilter }: Host, planned: Plan): string[] {
  return backend === 'nftables'
    ? nftablesDifferences(netfilter, planned)
    : iptablesDifferences(netfilter, planned);
}

/** Programs come and go between ADD and CHECK: with no backend asked for by name the other one may have the rules. */
function holdsBy(
  backend: Backend,
  host: Host,
  config: Config,
  request: Request<Config>,
  prevResult: Result,
): boolean {
  if (backend === 'iptables' && findProgram('iptables-save') === undefined) return false;
  try {
    return differencesBy(backend, host, planFor(config, ownerOf(request), prevResult, backend)).length === 0;
  } catch {
    // reason: a backend that cannot even be asked has no rules; the drift found is reported
    return false;
  }
}

/** Which ports of the host would lead to the container. */
function dryRun(request: Request<Config>): DryRun {
  const [config, prevResult] = readRequest(request, 'failed to parse config: ');
  if (!prevResult) throw new Error('must be called as chained plugin');
  if (!config.portMappings?.length) return { changes: [], result: prevResult };
  const host = hostOf(request);
  const backend = config.backend ?? chooseBackend(host, config);
  const planned = planFor(config, ownerOf(request), prevResult, backend);
  if (differencesBy(backend, host, planned).length === 0) return { changes: [], result: prevResult };
  const changes = planned.targets.flatMap(({ address, mappings }) =>
    mappings.map((one): Change => {
      const to = address.ip.family === 4 ? formatIp(address.ip) : `[${formatIp(address.ip)}]`;
      return { sign: '+', text: `${hostPortText(one)} → ${to}:${one.containerPort} by ${backend}` };
    }),
  );
  return { changes, result: prevResult };
}

/** In place, so that connections go on; where somebody has changed too much for that, from the beginning. */
function addAgain(request: Request<Config>): void {
  try {
    add(request);
  } catch {
    // reason: what stands in the way is removed, and if it is something else the second attempt says so
    const [host, owner] = [hostOf(request), ownerOf(request)];
    removeEverywhere(host, owner, addressesIfAny(request));
    bothBackends(host, () => clearNftables(host.netfilter, owner));
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
    if (config.backend === 'nftables')
      for (const family of [4, 6] as const) readConditions(family, config.conditions[family]);
  } catch (error) {
    throw cannot(errorText(error), findCniError(error)?.details ?? '', error);
  }
  const host = hostOf(request);
  const backend = config.backend ?? defaultBackend(host.netfilter, 'ip');
  if (backend === 'nftables') {
    if (nftablesWorks(host.netfilter, 'ip')) return;
    throw cannot(
      'the kernel does not take nftables rules',
      'it may lack CONFIG_NF_TABLES, or CAP_NET_ADMIN is missing',
    );
  }
  try {
    requireIptables([4]);
  } catch (error) {
    throw cannot(errorText(error), 'install iptables, or set "backend": "nftables"', error);
  }
  if (iptablesWorks()) return;
  if (!config.backend && nftablesWorks(host.netfilter, 'ip')) return;
  throw cannot(
    'iptables cannot read its tables',
    'run "iptables -S" to see why, or set "backend": "nftables"',
  );
}

/** The backend for a configuration that names none, and whether its options fit. */
function chooseBackend({ netfilter }: Host, config: Config): Backend {
  const backend = defaultBackend(netfilter, 'ip');
  checkOptions(backend, config, false);
  return backend;
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
  add,
  check,
  del,
  gc,
  status,
  plan: dryRun,
  repair: (request) =>
    repairByCheck(
      () => check(request),
      () => addAgain(request),
    ),
});
