/** All that a container has: interfaces, addresses, ports, rules, limits, reservations, and what is wrong with it. */
import { type Cidr, formatCidr, isHost } from '@cni-ts/address/cidr';
import { equalIp, formatIp, isLinkLocal6 } from '@cni-ts/address/ip';
import type { Attached } from '../node/attached.ts';
import { hostEndOf, type LinkHere, rateOf } from '../node/links-here.ts';
import { attachmentProblems, type Problem, unique } from '../node/problem.ts';
import { ruleName } from '../node/rules-here.ts';
import type { Sight } from '../node/sight.ts';
import { type Explanation, mainPlugin } from './explanation.ts';
import { portState, unreadRules } from './of-port.ts';

/** Attachments of one container. */
export function explainContainer(sight: Sight, attached: readonly Attached[]): Explanation {
  const [first] = attached;
  const facts: string[] = [];
  const problems: Problem[] = [];
  const unknown: string[] = [];
  for (const one of attached) {
    facts.push(...pluginFacts(sight, one), ...linkFacts(sight, one, unknown), ...portFacts(one));
    facts.push(...ruleFacts(sight, one), ...reservationFacts(sight, one));
    problems.push(...attachmentProblems(sight, one), ...stateProblems(sight, one));
    for (const { protocol, port } of one.ports)
      problems.push(...portState(sight, { protocol, port }).problems);
  }
  const networks = attached.map(({ network, ifname }) => `${ifname} on ${network}`).join(', ');
  return {
    kind: 'container',
    title: `container ${first?.containerId ?? ''}: ${networks}`,
    attached,
    facts,
    problems: unique(problems),
    unknown: [...unknown, ...unreadRules(sight)],
  };
}

function pluginFacts(sight: Sight, { network, plugins }: Attached): string[] {
  if (plugins.length === 0) return ['plugins: not known, the entry in the cache has no configuration'];
  const each = plugins.map(({ type }) => {
    const place = sight.place(network, String(type));
    return `${type}${place === undefined ? '' : ` (${place})`}`;
  });
  return [`plugins ${each.join(', ')}`];
}

function linkFacts(sight: Sight, one: Attached, unknown: string[]): string[] {
  const given = one.addresses.map(formatCidr).join(', ') || 'no address';
  const place = sight.inside.get(one.netns);
  if (place instanceof Error) unknown.push(`what is in its namespace: ${place.message}`);
  if (place === undefined || place instanceof Error) return [`interface ${one.ifname} was given ${given}`];
  const inner = place.links.find(({ name }) => name === one.ifname);
  if (!inner) return [`interface ${one.ifname} was given ${given}, and is not there`];
  const has =
    inner.addresses
      .filter(({ ip }) => !isLinkLocal6(ip))
      .map(formatCidr)
      .join(', ') || 'no address';
  const facts = [
    `interface ${inner.name} ${inner.kind || 'device'} ${inner.mac} mtu ${inner.mtu} has ${has}`,
  ];
  const end = hostEndOf(inner, sight.host.links);
  if (end) {
    facts.push(`host's end ${end.name}${end.master === '' ? '' : `, port of ${end.master}`}`);
    const rate = rateOf(end);
    if (rate !== undefined) facts.push(`limited to ${rate * 8n} bit/s towards the container, on ${end.name}`);
    for (const link of sight.host.links) {
      if (link.kind !== 'ifb' || !sight.whose(link.alias, link.name).attached.includes(one)) continue;
      facts.push(`limited to ${(rateOf(link) ?? 0n) * 8n} bit/s from the container, on ${link.name}`);
    }
  }
  if (!end && inner.lower > 0 && inner.kind !== 'veth') {
    const lower = sight.host.links.find(({ index }) => index === inner.lower);
    if (lower) facts.push(`on top of ${lower.name}`);
  }
  for (const { dst, hops } of place.routes) {
    const gateway = hops.flatMap(({ gateway: by }) => (by ? [formatIp(by)] : []));
    if (gateway.length === 0 || !hops.some(({ index }) => index === inner.index)) continue;
    facts.push(`route ${dst.prefix === 0 ? 'default' : formatCidr(dst)} by ${gateway.join(', ')}`);
  }
  return facts;
}

function portFacts({ ports, addresses }: Attached): string[] {
  const [to] = addresses;
  return ports.map(({ protocol, port, containerPort, hostIP }) => {
    const host = hostIP === '' ? '' : `${hostIP}:`;
    return `host port ${host}${port}/${protocol} → ${to ? formatIp(to.ip) : 'the container'}:${containerPort}`;
  });
}

/** Where its rules stand; how many, where these are many. */
function ruleFacts(sight: Sight, one: Attached): string[] {
  const counts = new Map<string, number>();
  for (const rule of sight.rules.rules) {
    if (!sight.whose(rule.comment, rule.chain).attached.includes(one) && !namesAddress(rule.spec, one))
      continue;
    const name = ruleName({ ...rule, handle: undefined });
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} rule${count === 1 ? '' : 's'} in ${name}`);
}

/** The firewall's rules in iptables name no owner. */
function namesAddress({ when }: { when: { from?: Cidr | undefined; to?: Cidr | undefined } }, one: Attached) {
  const is = (cidr: Cidr | undefined) =>
    cidr !== undefined && isHost(cidr) && one.addresses.some(({ ip }) => equalIp(ip, cidr.ip));
  return is(when.from) || is(when.to);
}

function reservationFacts(sight: Sight, one: Attached): string[] {
  return sight.reservations
    .filter(
      ({ network, containerId, ifname }) =>
        network === one.network &&
        containerId === one.containerId &&
        (ifname === '' || ifname === one.ifname),
    )
    .map(({ path }) => `reservation ${path}`);
}

/** What of it is not there any more, as far as one look tells; `cnitool check` and doctor ask the plugins. */
export function stateProblems(sight: Sight, one: Attached): Problem[] {
  const place = sight.inside.get(one.netns);
  if (place === undefined || place instanceof Error) return [];
  const differs = (message: string): Problem => ({ code: 'CNI3005', message, cure: 'cnitool repair --plan' });
  const inner = place.links.find(({ name }) => name === one.ifname);
  if (!inner) return [differs(`interface ${one.ifname} of ${one.containerId} is not in ${one.netns}`)];
  const problems: Problem[] = [];
  if (!inner.isUp) problems.push(differs(`interface ${one.ifname} of ${one.containerId} is down`));
  for (const address of ownAddresses(one)) {
    if (inner.addresses.some(({ ip }) => equalIp(ip, address.ip))) continue;
    problems.push(differs(`address ${formatCidr(address)} is not on ${one.ifname} of ${one.containerId}`));
  }
  const end: LinkHere | undefined = hostEndOf(inner, sight.host.links);
  if (end && !end.isUp)
    problems.push(differs(`link ${end.name}, the host's end of ${one.containerId}, is down`));
  if (end && end.master === '' && mainPlugin(one) === 'bridge') {
    problems.push(differs(`link ${end.name}, the host's end of ${one.containerId}, is in no bridge`));
  }
  return problems;
}

/** Those of the result that are of this very interface. */
function ownAddresses({ result, addresses, ifname }: Attached): Cidr[] {
  const { ips = [], interfaces = [] } = result;
  return addresses.filter((_, i) => {
    const at = ips[i]?.interface;
    return at === undefined || interfaces[at]?.name === ifname;
  });
}
