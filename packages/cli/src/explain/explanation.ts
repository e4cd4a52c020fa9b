/** What an object is, as text and as JSON. */
import { formatCidr } from '@cni-ts/address/cidr';
import type { Attached } from '../node/attached.ts';
import { ageText, timeText } from '../node/clock.ts';
import type { Problem } from '../node/problem.ts';
import type { Sight } from '../node/sight.ts';

export type Kind =
  | 'container'
  | 'address'
  | 'host port'
  | 'link'
  | 'rule'
  | 'mark'
  | 'reservation'
  | 'list of blocks'
  | 'configuration'
  | 'network'
  | 'namespace'
  | 'cache entry';

export interface Explanation {
  readonly kind: Kind;
  /** What it is, in one line. */
  readonly title: string;
  /** Whose it is. */
  readonly attached: readonly Attached[];
  /** More of it, a line each. */
  readonly facts: readonly string[];
  readonly problems: readonly Problem[];
  /** What cannot be known, and why. */
  readonly unknown: readonly string[];
}

export function explanationText({ title, attached, facts, problems, unknown }: Explanation): string {
  const lines = [title, ...facts.map((fact) => `  ${fact}`)];
  for (const one of attached) lines.push(...ownerLines(one).map((line) => `  ${line}`));
  for (const { code, message, cure } of problems) lines.push(`✗ ${message} (${code})`, `  cure: ${cure}`);
  for (const what of unknown) lines.push(`? ${what}`);
  return `${lines.join('\n')}\n`;
}

function ownerLines({ network, containerId, ifname, netns, lives, since, pod }: Attached): string[] {
  const added = since === undefined ? '' : `, added ${timeText(since)} (${ageText(since)} ago)`;
  const state = netns === '' ? 'not known' : `${netns} ${lives ? 'lives' : 'is gone'}`;
  return [
    `container ${containerId}${pod === '' ? '' : ` (pod ${pod})`}, interface ${ifname}, network ${network}${added}`,
    `namespace ${state}`,
  ];
}

/** As the schema cnitool-explain.json says. */
export function explanationJson(
  object: string,
  sight: Sight,
  { kind, title, attached, facts, problems, unknown }: Explanation,
): string {
  const report = {
    object,
    kind,
    title,
    attachments: attached.map((one) => attachedJson(sight, one)),
    facts,
    findings: problems.map(({ code, message, cure }) => ({ code, level: 'error', message, cure })),
    unknown,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

function attachedJson(sight: Sight, one: Attached) {
  const { network, containerId, ifname, netns, lives, plugins, addresses, ports, since, pod } = one;
  return {
    network,
    containerId,
    ifname,
    ...(pod !== '' && { pod }),
    netns,
    lives,
    ...(since !== undefined && { added: new Date(since).toISOString() }),
    addresses: addresses.map(formatCidr),
    ports,
    plugins: plugins.map(({ type }) => {
      const place = sight.place(network, String(type));
      return { type: String(type), ...(place !== undefined && { place }) };
    }),
  };
}

/** ` by portmap (10-web.conflist:18)`; '' where nobody knows. */
export function madeBy(sight: Sight, plugin: string | undefined, network: string | undefined): string {
  if (plugin === undefined) return '';
  const place = network === undefined ? undefined : sight.place(network, plugin);
  return ` by ${plugin}${place === undefined ? '' : ` (${place})`}`;
}

/** The type of the first plugin that made the interface. */
export function mainPlugin({ plugins: [first] }: Attached): string | undefined {
  return typeof first?.type === 'string' ? first.type : undefined;
}
