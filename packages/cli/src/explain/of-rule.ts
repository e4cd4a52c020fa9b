/** Whose a rule or chain is, and what a mark on packets means. */
import { formatIp } from '@cni-ts/address/ip';
import { targetChain } from '@cni-ts/rules/rule-spec';
import { attachmentProblems, eachProblems, type Problem, unique } from '../node/problem.ts';
import { type HostRule, ruleName } from '../node/rules-here.ts';
import type { Sight, Whose } from '../node/sight.ts';
import { type Explanation, madeBy } from './explanation.ts';
import { makerOf } from './maker.ts';
import { unreadRules } from './of-port.ts';

/** `CNI-…`, `nft ip nat CNI-…`, `nft inet cni_hostport … handle 5`, `handle 5` after a chain's name. */
export function explainRule(sight: Sight, words: readonly string[]): Explanation | undefined {
  const asked = readAsked(words);
  if (!asked) return undefined;
  const { table, chain, handle } = asked;
  const { rules, chains, elements } = sight.rules;
  const inTable = (one: { table: string }) => table === undefined || one.table === table;
  const standing = chains.filter((one) => inTable(one) && (chain === undefined || one.name === chain));
  const within = rules.filter(
    (one) =>
      inTable(one) &&
      (chain === undefined || one.chain === chain) &&
      (handle === undefined || one.handle === handle),
  );
  if (handle === undefined ? standing.length === 0 : within.length === 0) return undefined;
  const leading = chain === undefined ? [] : rules.filter((one) => inTable(one) && leadsTo(one, chain));
  const mapped = chain === undefined ? [] : elements.filter((one) => inTable(one) && one.to === chain);
  const whose = ownerOf(sight, within, handle === undefined ? standing : [], leading);
  const [first] = whose.attached;
  const maker = madeBy(
    sight,
    whose.plugin ?? makerOf(within, standing),
    first?.network ?? whose.said?.network,
  );
  const facts = [
    ...(maker === '' ? [] : [`made${maker}`]),
    ...within.slice(0, most).map((one) => `${ruleName(one)}: ${one.text}`),
    ...(within.length > most ? [`and ${within.length - most} more rules`] : []),
    ...(handle === undefined ? leading.map((one) => `reached from ${ruleName(one)}`) : []),
    ...mapped.map(
      ({ map, protocol, port, address }) =>
        `reached by map ${map}: ${[address && formatIp(address), protocol, port].filter((one) => one !== undefined).join(' ')}`,
    ),
  ];
  const problems: Problem[] = eachProblems(whose.attached, (one) => attachmentProblems(sight, one));
  const unknown: string[] = [];
  if (whose.attached.length === 0) {
    const { containerId, network } = whose.said ?? {};
    if (containerId !== undefined || network !== undefined) {
      problems.push({
        code: 'CNI3013',
        message: `it says it is of ${containerId ?? 'a container'} of ${network ?? 'a network'}, of which nothing is remembered`,
        cure: network === undefined ? 'cnitool doctor' : `cnitool gc ${network} --stale`,
      });
    } else if (!standing.some(({ name }) => isShared(name))) {
      unknown.push("whose it is: its name is no attachment's that is remembered, and no comment tells");
    } else facts.push('shared by all attachments');
  }
  const title =
    handle === undefined
      ? `chain ${chain ?? ''} of ${once(standing.map((one) => nftName(one.table))).join(', ')}`
      : `rule ${within[0] ? ruleName(within[0]) : words.join(' ')}`;
  return {
    kind: 'rule',
    title: chain === undefined && handle === undefined ? `table ${nftName(table ?? '')}` : title,
    attached: whose.attached,
    facts,
    problems: unique(problems),
    unknown: [...unknown, ...unreadRules(sight)],
  };
}

/** So many rules of a chain are told. */
const most = 20;

interface Asked {
  readonly table: string | undefined;
  readonly chain: string | undefined;
  readonly handle: number | undefined;
}

function readAsked(words: readonly string[]): Asked | undefined {
  const rest = words[0] === 'nft' ? words.slice(1) : [...words];
  let handle: number | undefined;
  const at = rest.indexOf('handle');
  if (at >= 0) {
    handle = Number(rest[at + 1]);
    if (!Number.isInteger(handle) || rest.length !== at + 2) return undefined;
    rest.length = at;
  }
  const first = rest[0] ?? '';
  if (['inet', 'ip', 'ip6', 'bridge'].includes(first) || /^ip6?tables$/.test(first)) {
    const [family, name, chain, ...more] = rest;
    if (name === undefined || more.length > 0) return undefined;
    return { table: `${family} ${name}`, chain, handle };
  }
  if (rest.length > 1 || (rest.length === 0 && handle === undefined)) return undefined;
  return { table: undefined, chain: rest[0], handle };
}

function leadsTo({ spec: { action } }: HostRule, chain: string): boolean {
  return targetChain(action) === chain;
}

function ownerOf(
  sight: Sight,
  within: readonly HostRule[],
  standing: readonly { name: string; comment: string | undefined }[],
  leading: readonly HostRule[],
): Whose {
  let best: Whose | undefined;
  const texts = [
    ...standing.map((one) => [one.name, one.comment]),
    ...(within.length === 1 ? within.map((one) => [one.comment, one.chain]) : []),
    ...leading.map((one) => [one.comment]),
  ];
  for (const given of texts) {
    const found = sight.whose(...given);
    if (found.attached.length > 0) return found;
    if (found.said && !best) best = found;
  }
  // A chain for all has rules of many.
  return best ?? { attached: [], said: undefined, plugin: undefined };
}

const sharedChains =
  /^(CNI-(HOSTPORT-|FORWARD|ADMIN|ISOLATION)|masq_checks$|hostip_hostports$|hostports|PREROUTING$|INPUT$|FORWARD$|OUTPUT$|POSTROUTING$|prerouting$|output$|postrouting$|forward$|masquerading$)/;

function isShared(name: string): boolean {
  return sharedChains.test(name);
}

/** `mark 0x2000`, `0x2000`: a bit that tells a rule something about a packet. */
export function explainMark(sight: Sight, value: number): Explanation | undefined {
  const found = sight.rules.rules.filter(({ spec: { when, action } }) => {
    const set = action?.kind === 'mark' ? action.value : undefined;
    const asked = when.mark && when.mark.value & when.mark.mask;
    return set === value || asked === value;
  });
  if (found.length === 0) return undefined;
  const maker = makerOf(found, []);
  const network = sight.attached.find(({ plugins }) => plugins.some(({ type }) => type === maker))?.network;
  return {
    kind: 'mark',
    title: `mark 0x${value.toString(16)} on packets`,
    attached: [],
    facts: [
      ...(maker === undefined ? [] : [`used${madeBy(sight, maker, network)}`]),
      ...found.map((one) => {
        const { action } = one.spec;
        return `${action?.kind === 'mark' ? 'set' : 'asked'} by ${ruleName(one)}: ${one.text}`;
      }),
    ],
    problems: [],
    unknown: maker === undefined ? ['who sets it: no rule of a plugin does'] : [],
  };
}

function nftName(table: string): string {
  return /^ip6?tables /.test(table) ? table : `nft ${table}`;
}

function once(names: readonly string[]): string[] {
  return [...new Set(names)];
}
