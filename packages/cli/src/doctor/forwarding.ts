/** Whether the rules of this host let what containers send and get through: policies and rules that drop. */
import { contains } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { targetChain } from '@cni-ts/rules/rule-spec';
import type { HostChain, HostRule, HostRules } from '../node/rules-here.ts';

/** The first packet of a connection. */
export interface Packet {
  readonly from: Ip | undefined;
  readonly to: Ip | undefined;
  /** Names of the links that it may come in and leave by; undefined for one that is not known. */
  readonly input: string | undefined;
  readonly output: string | undefined;
}

export type Verdict = 'accept' | 'drop' | 'unknown';

/** Chains that decide about forwarded packets, and drop what no rule accepts. */
export function droppingChains({ chains }: HostRules, family: 4 | 6): HostChain[] {
  return chains.filter(
    ({ hook, type, policy, families }) =>
      hook === 'forward' && type === 'filter' && policy === 'drop' && families.includes(family),
  );
}

/** What becomes of the packet in such a chain. `unknown`: a rule asks what is not understood here. */
export function verdictOf(packet: Packet, base: HostChain, rules: HostRules): Verdict {
  const walk = new Walk(packet, rules);
  const said = walk.chain(base.table, base.name, 0);
  if (said === 'accept' || said === 'drop') return walk.isSure ? said : 'unknown';
  return walk.isSure ? 'drop' : 'unknown';
}

/** The kernel allows sixteen. */
const mostJumps = 16;

class Walk {
  readonly #packet: Packet;
  readonly #rules: HostRules;
  /** Nothing that is not understood could have accepted it before. */
  isSure = true;

  constructor(packet: Packet, rules: HostRules) {
    this.#packet = packet;
    this.#rules = rules;
  }

  chain(table: string, chain: string, depth: number): 'accept' | 'drop' | undefined {
    if (depth > mostJumps) return undefined;
    for (const rule of this.#rules.of(table, chain)) {
      const fit = fits(rule, this.#packet);
      if (fit === 'no') continue;
      const { action } = rule.spec;
      const next = targetChain(action);
      if (next !== undefined) {
        const said = this.#maybe(fit, () => this.chain(table, next, depth + 1));
        if (said) return said;
        continue;
      }
      if (action?.kind === 'return') {
        if (fit === 'yes') return undefined;
        continue;
      }
      if (action?.kind === 'drop' && fit === 'yes') return 'drop';
      if (action?.kind !== 'accept') continue;
      if (fit === 'yes') return 'accept';
      this.isSure = false;
    }
    return undefined;
  }

  /** What stands behind a condition that is not understood counts only as what may be. */
  #maybe(fit: 'yes' | 'maybe', look: () => 'accept' | 'drop' | undefined): 'accept' | 'drop' | undefined {
    const said = look();
    if (fit === 'yes' || said !== 'accept') return fit === 'yes' ? said : undefined;
    this.isSure = false;
    return undefined;
  }
}

function fits({ spec: { when, except, whole, action } }: HostRule, packet: Packet): 'yes' | 'no' | 'maybe' {
  if (when.state && !when.state.includes('new')) return 'no';
  // Of a range of ports, a mark or a hardware address one packet may have it, and others have not.
  if (when.mark || when.mac || when.local) return 'no';
  const sides = [
    [when.from, except.from, packet.from],
    [when.to, except.to, packet.to],
  ] as const;
  let sure = whole || action !== undefined;
  for (const [wanted, not, ip] of sides) {
    if (wanted && ip && !contains(wanted, ip)) return 'no';
    if (not && ip && contains(not, ip)) return 'no';
    // To some places only: it is not let through as a whole.
    if ((wanted && !ip && wanted.prefix > 0) || (not && !ip)) return 'no';
  }
  const links = [
    [when.input, except.input, packet.input],
    [when.output, except.output, packet.output],
  ] as const;
  for (const [wanted, not, name] of links) {
    if (wanted !== undefined && name !== undefined && !isNamed(wanted, name)) return 'no';
    if (not !== undefined && name !== undefined && isNamed(not, name)) return 'no';
    if (wanted !== undefined && name === undefined) sure = false;
  }
  if (when.protocol !== undefined || when.port !== undefined || when.ports) return 'no';
  return sure && whole ? 'yes' : 'maybe';
}

/** With a + at its end it is the beginning of a name. */
function isNamed(wanted: string, name: string): boolean {
  return wanted.endsWith('+') ? name.startsWith(wanted.slice(0, -1)) : wanted === name;
}
