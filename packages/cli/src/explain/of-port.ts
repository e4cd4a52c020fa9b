/** What a port of the host is: which container answers, by whose rule, and whether that is the one that published it. */
import { equalIp, formatIp } from '@cni-ts/address/ip';
import type { SaidOwner } from '@cni-ts/skeleton/owner-of';
import type { Attached } from '../node/attached.ts';
import { type AskedPort, portText, type Redirect, redirectsOf, targetText } from '../node/host-port.ts';
import { attachmentProblems, eachProblems, nameOf, type Problem } from '../node/problem.ts';
import { ruleName } from '../node/rules-here.ts';
import type { Sight, Whose } from '../node/sight.ts';
import { type Explanation, madeBy } from './explanation.ts';
import { makerOf } from './maker.ts';

/** Undefined where no rule has it and no attachment asked for it. */
export function explainPort(sight: Sight, asked: AskedPort): Explanation | undefined {
  const { redirects, publishers, problems } = portState(sight, asked);
  const [first, ...others] = redirects;
  if (!first && publishers.length === 0) return undefined;
  if (!first) {
    return {
      kind: 'host port',
      title: `host port ${portText(asked)} leads nowhere`,
      attached: publishers,
      facts: [],
      problems,
      unknown: unreadRules(sight),
    };
  }
  const { attached, plugin, said } = whoseRedirect(sight, first);
  const [network = said?.network] = attached.map((one) => one.network);
  const facts = [
    `made${madeBy(sight, plugin ?? makerOf([first.rule], []), network) || ' by somebody else'}: ${ruleName(first.rule)}: ${first.rule.text}`,
  ];
  if (first.element) {
    facts.push(`found by map ${first.element.map} of nft ${first.element.table}, chain ${first.element.to}`);
  }
  for (const other of others) facts.push(`never reached: ${targetText(other)} by ${ruleName(other.rule)}`);
  const isKnown = attached.length > 0;
  if (!isKnown && said) facts.push(saidText({ ...commented(sight, first), ...said }));
  return {
    kind: 'host port',
    title: `host port ${portText(asked)} → ${targetText(first)}`,
    attached,
    facts,
    problems: [...eachProblems(attached, (one) => attachmentProblems(sight, one)), ...problems],
    unknown: [
      ...(isKnown ? [] : [`no attachment that is remembered in ${sight.cacheDir} has ${formatIp(first.to)}`]),
      ...unreadRules(sight),
    ],
  };
}

/** A container's chain of portmap in nftables has the container for its comment. */
function commented({ rules: { chains } }: Sight, { rule }: Redirect): SaidOwner {
  if (!/ cni_hostport$/.test(rule.table)) return {};
  const containerId = chains.find(({ table, name }) => table === rule.table && name === rule.chain)?.comment;
  return containerId === undefined ? {} : { containerId };
}

/** What a comment or alias says, of an attachment that is not remembered. */
export function saidText({ network, containerId, ifname }: SaidOwner): string {
  const parts = [
    containerId === undefined ? '' : `container ${containerId}`,
    ifname === undefined ? '' : `interface ${ifname}`,
    network === undefined ? '' : `network ${network}`,
  ];
  return `it says of itself: ${parts.filter((one) => one !== '').join(', ') || 'nothing but a hash'}`;
}

export interface PortState {
  /** In the order in which the kernel asks. */
  readonly redirects: readonly Redirect[];
  /** Who asked for the port. */
  readonly publishers: readonly Attached[];
  readonly problems: readonly Problem[];
}

/** Who answers at a port, who asked for it, and what is wrong where these are not the same. */
export function portState(sight: Sight, asked: AskedPort): PortState {
  const redirects = redirectsOf(asked, sight.rules);
  const publishers = sight.attached.filter(({ ports }) =>
    ports.some(({ port, protocol }) => port === asked.port && protocol === asked.protocol),
  );
  const problems: Problem[] = [];
  for (const family of [4, 6] as const) {
    const [first] = redirects.filter(({ to }) => to.family === family);
    for (const one of publishers) {
      const own = one.addresses.find(({ ip }) => ip.family === family);
      if (!one.lives || !own) continue;
      if (!first) {
        // The IPv6 half may be missing on purpose: only a port that leads nowhere is told.
        if (redirects.length === 0) problems.push(missing(asked, one));
      } else if (
        !equalIp(first.to, own.ip) &&
        publishers.every((other) => !leadsTo(first, other) || !other.lives)
      ) {
        problems.push(taken(sight, asked, first, one));
      }
    }
  }
  return { redirects, publishers, problems };
}

function leadsTo({ to }: Redirect, { addresses }: Attached): boolean {
  return addresses.some(({ ip }) => equalIp(ip, to));
}

function missing(asked: AskedPort, one: Attached): Problem {
  return {
    code: 'CNI3006',
    message: `${nameOf(one)} published port ${portText(asked)}, and no rule leads there`,
    cure: 'cnitool repair --plan',
  };
}

function taken(sight: Sight, asked: AskedPort, first: Redirect, one: Attached): Problem {
  const { attached } = whoseRedirect(sight, first);
  const [stale] = attached.filter(({ lives }) => !lives);
  const [living] = attached.filter(({ lives }) => lives);
  const who = stale
    ? `${nameOf(stale)}, whose namespace is gone`
    : living
      ? nameOf(living)
      : 'nobody that is remembered';
  return {
    code: 'CNI3004',
    message:
      `port ${portText(asked)} is answered by ${targetText(first)}, which is ${who}: ` +
      `${ruleName(first.rule)} comes before the rule of ${nameOf(one)}`,
    cure: stale ? `cnitool gc ${stale.network} --stale` : removal(first),
  };
}

/** The command that takes a rule of somebody else away. */
export function removal({ rule: { table, chain, handle, text } }: Pick<Redirect, 'rule'>): string {
  if (handle !== undefined) return `nft delete rule ${table} ${chain} handle ${handle}`;
  const [program, name] = table.split(' ');
  return `${program} -t ${name} -D ${chain} ${text}`;
}

/** By the texts on the rule and on what leads there, and else by the address it leads to. */
export function whoseRedirect(sight: Sight, { rule, by, to }: Redirect): Whose {
  const said = sight.whose(rule.comment, rule.chain, ...by.map(({ comment }) => comment).reverse());
  const here = said.attached.filter(({ addresses }) => addresses.some(({ ip }) => equalIp(ip, to)));
  if (here.length > 0) return { ...said, attached: here };
  if (said.attached.length > 0) return said;
  const byAddress = sight.attached.filter(({ addresses }) => addresses.some(({ ip }) => equalIp(ip, to)));
  // What is made by nobody that we know may still lead to somebody.
  return {
    ...said,
    attached: byAddress.filter(({ lives }, _, all) => lives || !all.some((one) => one.lives)),
  };
}

export function unreadRules({ rules: { unread } }: Sight): string[] {
  return unread.map((why) => `could not be read: ${why}`);
}
