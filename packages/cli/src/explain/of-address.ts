/** Whose an address is: a container's, a reservation's, or the host's own. */
import { formatCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { textMember } from '@cni-ts/skeleton/config-findings';
import { timeText } from '../node/clock.ts';
import { attachmentProblems, eachProblems, nameOf, type Problem, unique } from '../node/problem.ts';
import type { Sight } from '../node/sight.ts';
import { type Explanation, madeBy } from './explanation.ts';
import { stateProblems } from './of-container.ts';
import { clusterOf } from './of-pool.ts';

export function explainAddress(sight: Sight, ip: Ip): Explanation | undefined {
  const attached = sight.attached.filter(({ addresses }) => addresses.some((one) => equalIp(one.ip, ip)));
  const reserved = sight.reservations.filter((one) => equalIp(one.ip, ip));
  const links = sight.host.links.filter(({ addresses }) => addresses.some((one) => equalIp(one.ip, ip)));
  const isHere = attached.length > 0 || reserved.length > 0;
  const cluster = clusterOf(sight, ip, isHere);
  const text = formatIp(ip);
  if (!isHere && links.length === 0) {
    const { facts, problems, unknown } = cluster;
    if (facts.length === 0 && unknown.length === 0) return undefined;
    return { kind: 'address', title: `address ${text} of the cluster`, attached, facts, problems, unknown };
  }
  const facts = [
    ...links.map(({ name, kind }) => `on link ${name} of this host${kind === '' ? '' : `, a ${kind}`}`),
    ...reserved.map(({ path, containerId, ifname, since }) => {
      const when = since === undefined ? '' : ` since ${timeText(since)}`;
      return `reserved for ${containerId}${ifname === '' ? '' : `/${ifname}`}${when}: ${path}`;
    }),
    ...attached.flatMap(({ network, plugins }) => {
      const ipam = plugins.find(({ ipam: given }) => typeof given === 'object' && given !== null);
      const type = textMember(ipam?.ipam, 'type');
      return type === '' ? [] : [`given${madeBy(sight, type, network)}`];
    }),
    ...cluster.facts,
    ...portsTo(sight, ip),
  ];
  const problems: Problem[] = eachProblems(attached, (one) => [
    ...attachmentProblems(sight, one),
    ...stateProblems(sight, one),
  ]);
  const living = attached.filter(({ lives }) => lives);
  if (living.length > 1) {
    problems.push({
      code: 'CNI3014',
      message: `${living.map(nameOf).join(' and ')} both have ${text}`,
      cure: 'restart one of them, after "cnitool doctor" finds their networks to be apart',
    });
  }
  problems.push(...reserved.flatMap((one) => staleReservation(sight, one) ?? []), ...cluster.problems);
  const [owner] = attached;
  const title = owner
    ? `address ${text} of ${owner.ifname} of ${owner.containerId}`
    : reserved[0]
      ? `address ${text}, reserved for ${reserved[0].containerId}`
      : `address ${text} of this host's ${links.map(({ name }) => name).join(', ')}`;
  const unknown = [...cluster.unknown];
  if (attached.length === 0 && reserved.length > 0) {
    unknown.push(`whether ${reserved[0]?.containerId} lives: ${sight.cacheDir} has nothing of it`);
  }
  const own = attached[0]?.addresses.find((one) => equalIp(one.ip, ip));
  if (own) facts.unshift(`as ${formatCidr(own)}`);
  return { kind: 'address', title, attached, facts, problems: unique(problems), unknown };
}

function portsTo({ rules: { rules } }: Sight, ip: Ip): string[] {
  const found = rules.flatMap(({ spec: { when, action } }) =>
    action?.kind === 'dnat' && equalIp(action.address, ip) && when.port !== undefined
      ? [`host port ${when.port}/${when.protocol} leads to its port ${action.port}`]
      : [],
  );
  return [...new Set(found)];
}

/** A reservation of an attachment that is remembered, of this network, and whose namespace is gone. */
export function staleReservation(
  sight: Sight,
  { network, containerId, path, ip }: Sight['reservations'][number],
): Problem | undefined {
  const owners = sight.attached.filter((one) => one.network === network && one.containerId === containerId);
  if (owners.length === 0 || owners.some(({ lives }) => lives)) return undefined;
  return {
    code: 'CNI2020',
    message: `${formatIp(ip)} is still reserved (${path}), and the namespace of ${containerId} is gone`,
    cure: `cnitool gc ${network} --stale`,
  };
}
