/** Whose a file is: a reservation, a configuration, a namespace, an entry of the cache; and what a network has. */
import { formatIp } from '@cni-ts/address/ip';
import { tryStat } from '@cni-ts/libc/file-status';
import { namespaceLives } from '@cni-ts/libc/netns';
import { objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { attachedIn } from '../node/attached.ts';
import { timeText } from '../node/clock.ts';
import type { ConfigFile } from '../node/config-places.ts';
import { attachmentProblems, eachProblems, type Problem, unique } from '../node/problem.ts';
import { reservationAt } from '../node/reservations.ts';
import type { Sight } from '../node/sight.ts';
import { clusterIpam } from '../validate/plugin-types.ts';
import { type Explanation, madeBy } from './explanation.ts';
import { staleReservation } from './of-address.ts';
import { explainContainer } from './of-container.ts';
import { explainBlocks } from './of-pool.ts';

/** Undefined for a file that has nothing to do with CNI, and for none. */
export function explainFile(sight: Sight, path: string): Explanation | undefined {
  return (
    ofNamespace(sight, path) ??
    ofReservation(sight, path) ??
    explainBlocks(sight, path) ??
    ofCacheEntry(sight, path) ??
    ofConfig(sight, path)
  );
}

/** What is attached in a namespace, also in one that is gone. */
export function ofNamespace(sight: Sight, path: string): Explanation | undefined {
  const attached = attachedIn(sight.attached, path);
  if (attached.length === 0) {
    if (tryStat(path) === undefined || !namespaceLives(path)) return undefined;
    return {
      kind: 'namespace',
      title: `namespace ${path} lives, and nothing that is remembered is attached to it`,
      attached,
      facts: [],
      problems: [],
      unknown: [],
    };
  }
  const { facts, problems, unknown } = explainContainer(sight, attached);
  const state = attached.some(({ lives }) => lives) ? 'lives' : 'is gone';
  return { kind: 'namespace', title: `namespace ${path} ${state}`, attached, facts, problems, unknown };
}

function ofReservation(sight: Sight, path: string): Explanation | undefined {
  const found = tryStat(path)?.isFile ? reservationAt(path) : undefined;
  if (!found || found.containerId === '') return undefined;
  const { network, containerId, ifname, since, ip } = found;
  const attached = sight.attached.filter(
    (one) =>
      one.network === network && one.containerId === containerId && (ifname === '' || one.ifname === ifname),
  );
  const stale = staleReservation(sight, found);
  return {
    kind: 'reservation',
    title: `reservation of ${formatIp(ip)} of network ${network} for ${containerId}${ifname === '' ? '' : `/${ifname}`}`,
    attached,
    facts: [
      `made${madeBy(sight, ipamOf(sight, network), network)}${since === undefined ? '' : `, ${timeText(since)}`}`,
      ...(ifname === '' ? ['in the form of an old version: the interface is not told'] : []),
    ],
    problems: unique([
      ...attached.flatMap((one) => attachmentProblems(sight, one)),
      ...(stale ? [stale] : []),
    ]),
    unknown:
      attached.length === 0
        ? [`whether ${containerId} lives: ${sight.cacheDir} has nothing of it on ${network}`]
        : [],
  };
}

/** Reservations are in one format, whichever plugin makes them. */
function ipamOf({ files, attached }: Sight, network: string): string {
  const types = [
    ...files.filter((one) => one.network === network).flatMap(({ ipam }) => ipam.map(({ type }) => type)),
    ...attached
      .filter((one) => one.network === network)
      .flatMap(({ plugins }) => plugins.map((one) => textMember(objectMember(one, 'ipam'), 'type'))),
  ];
  return types.find((one) => clusterIpam.includes(one)) ?? 'host-local';
}

function ofCacheEntry(sight: Sight, path: string): Explanation | undefined {
  const at = path.lastIndexOf('/');
  if (at < 0 || !path.slice(0, at).endsWith('/results')) return undefined;
  const name = path.slice(at + 1);
  const attached = sight.attached.filter(
    ({ network, containerId, ifname }) => `${network}-${containerId}-${ifname}` === name,
  );
  if (attached.length === 0) {
    if (tryStat(path) === undefined) return undefined;
    const problem: Problem = {
      code: 'CNI4011',
      message: `${path} cannot be read as an entry of the cache`,
      cure: 'restart the container it is of, then remove the file',
    };
    return { kind: 'cache entry', title: path, attached, facts: [], problems: [problem], unknown: [] };
  }
  return { ...explainContainer(sight, attached), kind: 'cache entry', title: `entry ${path}` };
}

/** A file of the node's folder, or one anywhere whose network it has. */
function ofConfig(sight: Sight, path: string): Explanation | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const file = sight.files.find((one) => one.path === path || (!path.includes('/') && one.file === name));
  return file && ofNetworkFile(sight, file, 'configuration');
}

export function explainNetwork(sight: Sight, name: string): Explanation | undefined {
  const file = sight.files.find(({ network }) => network === name);
  return file && ofNetworkFile(sight, file, 'network');
}

function ofNetworkFile(sight: Sight, file: ConfigFile, kind: 'configuration' | 'network'): Explanation {
  const attached = sight.attached.filter(({ network }) => network === file.network);
  const living = attached.filter(({ lives }) => lives);
  const first = sight.files.find(({ network }) => network === file.network);
  const winner = sight.files[0];
  const facts = [
    ...file.plugins.map(({ type, line }) => `plugin ${type} (${file.file}:${line})`),
    `attachments: ${attached.length}, of which ${living.length} live`,
    winner === file ? 'runtimes take this file: it is the first by name' : `runtimes take ${winner?.file}`,
  ];
  if (first !== file)
    facts.push(`network ${file.network} is defined by ${first?.file}, which comes before it`);
  return {
    kind,
    title: `${kind === 'network' ? 'network' : 'configuration'} ${file.network} in ${file.path}`,
    attached,
    facts,
    problems: unique(eachProblems(attached, (one) => attachmentProblems(sight, one))),
    unknown: [],
  };
}
