/** Where a port of the host leads, by the rules as the kernel asks them: the first that fits has it. */

import { contains } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { targetChain } from '@cni-ts/rules/rule-spec';
import type { HostElement, HostRule, HostRules } from './rules-here.ts';

export interface AskedPort {
  readonly protocol: string;
  readonly port: number;
  /** To which address of the host; undefined for any. */
  readonly address?: Ip | undefined;
}

/** A rule that redirects the port. */
export interface Redirect {
  readonly rule: HostRule;
  /** What led to its chain, outermost first. */
  readonly by: readonly HostRule[];
  /** The element of a map that led to its chain. */
  readonly element: HostElement | undefined;
  readonly to: Ip;
  readonly port: number;
}

/** All that would redirect it, in the order in which the kernel asks. Rules for some senders alone are left out. */
export function redirectsOf(asked: AskedPort, rules: HostRules): Redirect[] {
  const found: Redirect[] = [];
  const bases = rules.chains.filter(({ hook, type }) => hook === 'prerouting' && type === 'nat');
  // Of the same priority in the order in which the kernel lists them.
  for (const base of [...bases].sort((a, b) => a.priority - b.priority)) {
    new Walk(asked, rules, found).chain(base.table, base.name, [], undefined);
  }
  return found;
}

class Walk {
  readonly #asked: AskedPort;
  readonly #rules: HostRules;
  readonly #found: Redirect[];

  constructor(asked: AskedPort, rules: HostRules, found: Redirect[]) {
    this.#asked = asked;
    this.#rules = rules;
    this.#found = found;
  }

  chain(table: string, chain: string, by: readonly HostRule[], element: HostElement | undefined): void {
    if (by.length > mostJumps) return;
    for (const rule of this.#rules.of(table, chain)) {
      if (!fits(rule, this.#asked)) continue;
      const { action } = rule.spec;
      if (action?.kind === 'dnat') {
        this.#found.push({ rule, by, element, to: action.address, port: action.port });
        continue;
      }
      const next = targetChain(action);
      if (next !== undefined) this.chain(table, next, [...by, rule], element);
      else if (action === undefined) this.#map(table, [...by, rule]);
    }
  }

  /** A look-up in a map: portmap's are read, of others nothing is known. */
  #map(table: string, by: readonly HostRule[]): void {
    const { protocol, port, address } = this.#asked;
    for (const element of this.#rules.elements) {
      if (element.table !== table || element.protocol !== protocol || element.port !== port) continue;
      if (element.address && address && !equalIp(element.address, address)) continue;
      // Two rules look things up, and each element is in one map: once is enough.
      if (this.#found.some((one) => one.element === element)) continue;
      this.chain(table, element.to, by, element);
    }
  }
}

/** The kernel allows sixteen. */
const mostJumps = 16;

/** Whether a packet from anywhere to that port of this host comes through. */
function fits({ spec: { when, except } }: HostRule, { protocol, port, address }: AskedPort): boolean {
  if (when.protocol !== undefined && when.protocol !== protocol) return false;
  if (when.port !== undefined && when.port !== port) return false;
  if (when.ports && !when.ports.includes(port)) return false;
  if (when.to && address && !contains(when.to, address)) return false;
  if (except.protocol === protocol) return false;
  return !when.from && !when.mark && !when.input && !when.mac;
}

/** `8080/tcp`, `192.0.2.1:8080/tcp` */
export function portText({ protocol, port, address }: AskedPort): string {
  const host =
    address === undefined ? '' : `${address.family === 4 ? formatIp(address) : `[${formatIp(address)}]`}:`;
  return `${host}${port}/${protocol}`;
}

/** `10.22.0.7:80` */
export function targetText({ to, port }: Pick<Redirect, 'to' | 'port'>): string {
  return to.family === 4 ? `${formatIp(to)}:${port}` : `[${formatIp(to)}]:${port}`;
}
