/** Whose a link is, of the host or in a container. */
import { formatCidr } from '@cni-ts/address/cidr';
import type { Attached } from '../node/attached.ts';
import { hostEndOf, type LinkHere, rateOf } from '../node/links-here.ts';
import { attachmentProblems, eachProblems, type Problem, unique } from '../node/problem.ts';
import type { Sight } from '../node/sight.ts';
import { type Explanation, madeBy, mainPlugin } from './explanation.ts';
import { stateProblems } from './of-container.ts';

/** A link of the host by its name. */
export function explainHostLink(sight: Sight, name: string): Explanation | undefined {
  const link = sight.host.links.find((one) => one.name === name);
  if (!link) return undefined;
  const said = sight.whose(link.alias, link.name);
  const inside = insideOf(sight, link);
  const recorded = sight.attached.filter((one) => isRecorded(one, link));
  const attached = said.attached.length > 0 ? said.attached : inside.length > 0 ? inside : recorded;
  const ports = sight.host.links.filter(({ master }) => master === name);
  const users = ports.length === 0 ? [] : sight.attached.filter((one) => usesBridge(one, name));
  const [first] = attached;
  const network = first?.network ?? said.said?.network ?? users[0]?.network;
  const plugin = said.plugin ?? (first ? mainPlugin(first) : users[0] && mainPlugin(users[0]));
  const facts = linkFacts(link);
  const rate = rateOf(link);
  if (rate !== undefined) facts.push(`lets ${rate * 8n} bit/s pass`);
  const maker = madeBy(sight, plugin, network);
  if (maker !== '') facts.push(`made${maker}`);
  if (ports.length > 0) facts.push(`its ports: ${ports.map((one) => one.name).join(', ')}`);
  if (link.alias !== '') facts.push(`alias ${link.alias}`);
  const unknown: string[] = [];
  const problems: Problem[] = eachProblems(attached, (one) => [
    ...attachmentProblems(sight, one),
    ...stateProblems(sight, one),
  ]);
  if (attached.length === 0 && said.said?.containerId !== undefined) {
    const { containerId, network: of } = said.said;
    problems.push({
      code: 'CNI3013',
      message: `link ${name} says it is of ${containerId} of ${of ?? 'a network'}, of which nothing is remembered`,
      cure: of === undefined ? `ip link delete ${name}` : `cnitool gc ${of} --stale`,
    });
  } else if (attached.length === 0 && users.length === 0) {
    unknown.push('whose it is: no alias, name or attachment that is remembered tells');
  }
  return {
    kind: 'link',
    title: `link ${name} of this host`,
    attached: attached.length > 0 ? attached : users,
    facts,
    problems: unique(problems),
    unknown,
  };
}

/** Links in containers by their name; those of one container where `containerId` is given. */
export function explainInnerLink(sight: Sight, name: string, containerId?: string): Explanation | undefined {
  const found = sight.attached
    .filter((one) => one.ifname === name && (containerId === undefined || one.containerId === containerId))
    .map((one) => {
      const place = sight.inside.get(one.netns);
      const links = place === undefined || place instanceof Error ? [] : place.links;
      return { one, link: links.find((inner) => inner.name === name) };
    });
  if (found.length === 0) return undefined;
  return {
    kind: 'link',
    title: `link ${name} in ${found.length === 1 ? 'a container' : `${found.length} containers`}`,
    attached: found.map(({ one }) => one),
    facts: found.flatMap(({ one, link }) => {
      if (!link) return [`${one.containerId}: it is not there`];
      const end = hostEndOf(link, sight.host.links);
      const maker = madeBy(sight, mainPlugin(one), one.network);
      const to = end ? `, host's end ${end.name}` : '';
      return [...linkFacts(link).map((fact) => `${one.containerId}: ${fact}${to}`), `made${maker}`];
    }),
    problems: unique(
      eachProblems(
        found.map(({ one }) => one),
        (one) => [...attachmentProblems(sight, one), ...stateProblems(sight, one)],
      ),
    ),
    unknown: [],
  };
}

function linkFacts({ kind, mac, mtu, isUp, master, addresses }: LinkHere): string[] {
  const port = master === '' ? '' : `, port of ${master}`;
  const has = addresses.length === 0 ? '' : `, ${addresses.map(formatCidr).join(', ')}`;
  return [`${kind || 'device'} ${mac} mtu ${mtu} ${isUp ? 'up' : 'down'}${port}${has}`];
}

/** Attachments whose interface is the other end, or stands on top of it. */
function insideOf(sight: Sight, link: LinkHere): Attached[] {
  return sight.attached.filter((one) => {
    const place = sight.inside.get(one.netns);
    if (place === undefined || place instanceof Error) return false;
    const inner = place.links.find(({ name }) => name === one.ifname);
    return inner !== undefined && hostEndOf(inner, [link]) !== undefined;
  });
}

/** What the result of ADD names as a link of the host, by name and hardware address. */
function isRecorded({ result: { interfaces = [] } }: Attached, link: LinkHere): boolean {
  return (
    link.kind !== 'bridge' &&
    interfaces.some(
      ({ name, mac = '', sandbox }) => !sandbox && name === link.name && mac.toLowerCase() === link.mac,
    )
  );
}

function usesBridge({ result: { interfaces = [] } }: Attached, name: string): boolean {
  return interfaces.some((one) => !one.sandbox && one.name === name);
}
