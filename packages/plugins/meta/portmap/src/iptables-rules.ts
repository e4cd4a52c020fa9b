import { parseCidr } from '@cni-ts/address/cidr';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import type { Family } from '@cni-ts/iptables/program';
import type { ChainRule } from '@cni-ts/rules/chain-rules';
import type { RuleSet } from '@cni-ts/rules/rule-set';
import { hostCidr, jump, masquerade, type RuleSpec, toCaller } from '@cni-ts/rules/rule-spec';
import { sources } from './nftables-rules.ts';
import { loopback6 } from './nftables-table.ts';
import { chainComment, iptablesComment } from './owner.ts';
import type { Plan, Target } from './plan.ts';
import type { Redirection } from './stale-flows.ts';

/**
 * Port mappings in iptables' nat table, with the reference's names and rules: entry rules in CNI-HOSTPORT-DNAT, which
 * sees only packets for an address of this host, lead to a chain per attachment, which marks what has to be
 * masqueraded and redirects.
 */
export const entries = 'CNI-HOSTPORT-DNAT';
export const setMark = 'CNI-HOSTPORT-SETMARK';
export const masq = 'CNI-HOSTPORT-MASQ';
/** What one multiport match can hold. */
const portsPerRule = 15;
const loopback = parseCidr('127.0.0.1/32');

/** `chain`: the attachment's. First come its own rules, then those that lead there. */
export function setOf(plan: Plan, target: Target, shared: readonly RuleSpec[], chain: string): RuleSet {
  const { family } = target.address.ip;
  const table = iptablesNftTable(family, 'nat');
  const names = new Set(
    [...shared.map((one) => one.chain), entries].filter((name) => name.startsWith('CNI-')),
  );
  return {
    table,
    chains: [
      ...[...names].map((name) => ({ table, name })),
      { table, name: chain, comment: chainComment(plan.owner) },
    ],
    shared,
    own: [...chainRules(plan, target, chain), ...entryRules(plan, family, chain)],
  };
}

/** The chain that marks packets to be masqueraded; undefined when none are. */
function markChain({ config: { snat, externalSetMarkChain } }: Plan): string | undefined {
  if (!snat) return undefined;
  return externalSetMarkChain || setMark;
}

/** Rules that all attachments of a family share. */
export function sharedRules(plan: Plan, family: Family): RuleSpec[] {
  const toEntries = { when: { local: true }, action: jump(entries) } as const;
  const top: RuleSpec[] = [
    { chain: 'PREROUTING', ...toEntries },
    { chain: 'OUTPUT', ...toEntries },
  ];
  if (family === 6) {
    const when = { to: hostCidr(loopback6) };
    top.unshift({ chain: entries, place: 'first', when, action: toCaller, ours: true });
  }
  if (markChain(plan) !== setMark) return top;
  const mark = { value: plan.config.mark, mask: plan.config.mark };
  return [
    { chain: setMark, action: { kind: 'mark', ...mark }, comment: 'CNI portfwd masquerade mark' },
    { chain: masq, when: { mark }, action: masquerade },
    // Before others' masquerading, which would hide that the source has to change.
    {
      chain: 'POSTROUTING',
      place: 'first',
      action: jump(masq),
      comment: 'CNI portfwd requiring masquerade',
    },
    ...top,
  ];
}

/** Protocols in order, fifteen ports a rule; ports of mappings for the other family stand there as well. */
function entryRules({ owner, config, mappings }: Plan, family: Family, chain: string): RuleSpec[] {
  const rules: RuleSpec[] = [];
  for (const protocol of ['sctp', 'tcp', 'udp'] as const) {
    const ports = mappings.filter((one) => one.protocol === protocol).map(({ port }) => port);
    for (let at = 0; at < ports.length; at += portsPerRule) {
      rules.push({
        chain: entries,
        when: { protocol, ports: ports.slice(at, at + portsPerRule) },
        words: config.conditions[family],
        action: jump(chain),
        comment: iptablesComment(owner),
      });
    }
  }
  return rules;
}

function chainRules(plan: Plan, { address, mappings }: Target, chain: string): RuleSpec[] {
  const marking = markChain(plan);
  return mappings.flatMap(({ protocol, port, address: host, containerPort }): RuleSpec[] => {
    const when = { to: host && hostCidr(host), protocol, port };
    const marks = marking === undefined ? [] : sources(address, plan.config.masqAll, loopback);
    return [
      ...marks.map((from): RuleSpec => ({ chain, when: { from, ...when }, action: jump(marking ?? '') })),
      { chain, when, action: { kind: 'dnat', address: address.ip, port: containerPort } },
    ];
  });
}

/** What a packet has to be sent to for a rule to apply, and where the rule sends it if it does. */
export function portsIn({ spec: { when, action } }: ChainRule): Redirection[] {
  const { protocol, port, ports, to } = when;
  if (!protocol) return [];
  const numbers = port === undefined ? (ports ?? []) : [port];
  const target = action?.kind === 'dnat' ? action.address : undefined;
  return numbers.map((one) => ({ protocol, port: one, address: to?.ip, to: target }));
}

/** What a rule redirects. */
export function redirectionsOf(rule: ChainRule): Redirection[] {
  return rule.spec.action?.kind === 'dnat' ? portsIn(rule) : [];
}
