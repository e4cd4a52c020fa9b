import { hostCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { openFile, openFlags } from '@cni-ts/libc/file';
import { lockFile } from '@cni-ts/libc/file-lock';
import { isAnotherContainers } from '@cni-ts/resource/container-link';
import { findNamespace } from '@cni-ts/resource/namespace';
import { recordedAddresses } from '@cni-ts/resource/recorded-interfaces';
import type { Drift, Lasting, Resource } from '@cni-ts/resource/resource';
import { containerRules } from '@cni-ts/resource/routing-tables';
import type { Site } from '@cni-ts/resource/site';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import { findLink } from '@cni-ts/rtnetlink/link';
import { addRule, deleteRule, listRules, type Rule } from '@cni-ts/rtnetlink/rule';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';

/** By the calls that have them. */
const locks = new WeakMap<object, { unlock(): void }>();

/**
 * One call at a time in a namespace, until `unlockNamespace` or the call's end: which tables are free must still be so when
 * they are used. The lock is the reference's, on the namespace's file.
 */
export function lockNamespace({ container, request }: Site): void {
  if (locks.has(request)) return;
  // Opened, so it is there: a file that the reference makes where there is none is not wanted.
  void container;
  const existing: typeof openFile = (path, flags) => openFile(path, flags & ~openFlags.create);
  locks.set(request, lockFile(request.netns, 0, existing));
  request.onEnd(() => unlockNamespace({ request }));
}

export function unlockNamespace({ request }: Pick<Site, 'request'>): void {
  locks.get(request)?.unlock();
  locks.delete(request);
}

export const describeRule = (ip: Ip, table: number): string => `rule from ${formatIp(ip)} lookup ${table}`;

/** Adds the rule for an address, whose undo removes it and its copies. */
export function makeRule(
  site: Site,
  ip: Ip,
  table: number,
  priority: number | undefined,
  failure: string,
): void {
  const { container, request } = site;
  request.undo.make(
    describeRule(ip, table),
    () => failing(failure, () => addRule(container.route, { source: hostCidr(ip), table, priority })),
    () => {
      for (const one of listRules(container.route, ip.family))
        if (isFrom(one, ip) && (table === 0 || one.table === table)) deleteRule(container.route, one);
    },
  );
}

/** Whether the rule is about this address and no other. */
export function isFrom({ source }: Rule, ip: Ip): boolean {
  return source !== undefined && equalIp(source.ip, ip);
}

/** That what comes from an address is routed by a table that the configuration names. */
export class SourceRule implements Resource {
  readonly #ip: Ip;
  readonly #table: number;
  readonly #priority: number | undefined;

  constructor(ip: Ip, table: number, priority: number | undefined) {
    this.#ip = ip;
    this.#table = table;
    this.#priority = priority;
  }

  describe(): string {
    return describeRule(this.#ip, this.#table);
  }

  #isThere(site: Site): boolean {
    return containerRules(site).some(
      (one) => isFrom(one, this.#ip) && (this.#table === 0 || one.table === this.#table),
    );
  }

  ensure(site: Site): void {
    lockNamespace(site);
    if (!this.#isThere(site)) makeRule(site, this.#ip, this.#table, this.#priority, 'failed to add rule');
    unlockNamespace(site);
  }

  differences(site: Site): Drift[] {
    return this.#isThere(site) ? [] : [{ text: `${this.describe()} is missing` }];
  }
}

/** The rules of the attachment: those that name an address that its link has, or that the result gave it. */
export class SourceRulesLasting implements Lasting {
  readonly name = 'the rules';
  readonly #table: () => number | undefined;

  /** `table`: whose rules alone are taken away; undefined or 0: of every table. */
  constructor(table: () => number | undefined) {
    this.#table = table;
  }

  remove(site: Site): void {
    const { request, ifname } = site;
    const inside = findNamespace(request);
    if (!inside) return;
    const link = findLink(inside.route, ifname);
    if (link && isAnotherContainers(site, link)) return;
    const addresses = [
      ...(link ? listAddresses(inside.route, link).map(({ cidr }) => cidr.ip) : []),
      ...(recordedAddresses(request) ?? []).map(({ ip }) => ip),
    ];
    const table = this.#table();
    const failures: string[] = [];
    for (const family of [4, 6] as const) {
      if (!addresses.some((ip) => ip.family === family)) continue;
      for (const rule of listRules(inside.route, family)) {
        if ((table && rule.table !== table) || !addresses.some((ip) => isFrom(rule, ip))) continue;
        try {
          deleteRule(inside.route, rule);
        } catch (error) {
          failures.push(errorText(error));
        }
      }
    }
    if (failures.length) throw new Error(`Failed to delete rule ${failures.join('; ')}`);
  }
}
