/** The rules of this host, whoever made them and in whichever kind of table they are: read, never changed. */
import type { Ip } from '@cni-ts/address/ip';
import type { Family } from '@cni-ts/iptables/program';
import { legacyTable } from '@cni-ts/iptables/save';
import { joinWords } from '@cni-ts/iptables/words';
import { Netlink } from '@cni-ts/netlink/socket';
import { type Chain, listChains } from '@cni-ts/nftables/chain';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { listElements } from '@cni-ts/nftables/set';
import { type Table, tableText } from '@cni-ts/nftables/table';
import { objects } from '@cni-ts/portmap/nftables-table';
import { ruleText } from '@cni-ts/rules/nft-engine';
import { readRule } from '@cni-ts/rules/read-rule';
import type { ReadRule } from '@cni-ts/rules/rule-spec';
import { readWords, ruleWords } from '@cni-ts/rules/words-language';
import { errorText } from '@cni-ts/spec/cni-error';
import { grouped } from '../grouped.ts';

/** Of nf_tables `ip nat`, of the older kind `iptables nat`. */
export interface HostChain {
  readonly table: string;
  readonly name: string;
  /** The address families whose packets it sees; none of a bridge's. */
  readonly families: readonly (4 | 6)[];
  readonly comment: string | undefined;
  readonly hook: string | undefined;
  readonly type: string | undefined;
  readonly priority: number;
  readonly policy: 'accept' | 'drop' | undefined;
}

export interface HostRule {
  readonly table: string;
  readonly chain: string;
  /** Its place in the chain, from 0. */
  readonly at: number;
  /** Of nf_tables. */
  readonly handle: number | undefined;
  readonly comment: string | undefined;
  readonly spec: ReadRule;
  /** In the words of nft or iptables, as far as it is understood, without the comment; of the older kind as iptables-save
   *  has it. */
  readonly text: string;
}

/** An element of one of portmap's maps: what it is about, and the chain that it leads to. */
export interface HostElement {
  readonly table: string;
  readonly map: string;
  readonly protocol: string | undefined;
  readonly port: number | undefined;
  readonly address: Ip | undefined;
  readonly to: string;
}

export interface HostRules {
  /** Those of one chain, in order. */
  of(table: string, chain: string): readonly HostRule[];
  readonly chains: readonly HostChain[];
  readonly rules: readonly HostRule[];
  readonly elements: readonly HostElement[];
  /** What could not be read, as sentences. */
  readonly unread: readonly string[];
}

const iptablesTables = ['filter', 'nat', 'mangle', 'raw'] as const;

/** In the calling thread's network namespace. Each table is one listing, however many containers there are. */
export function rulesHere(): HostRules {
  const [chains, rules, elements, unread]: [HostChain[], HostRule[], HostElement[], string[]] = [
    [],
    [],
    [],
    [],
  ];
  const attempt = (what: string, work: () => void) => {
    try {
      work();
    } catch (error) {
      unread.push(`${what}: ${errorText(error)}`);
    }
  };
  const nl = Netlink.open('netfilter');
  try {
    let found: Chain[] = [];
    attempt('rules of nftables', () => {
      found = listChains(nl);
    });
    const tables = new Map(found.map(({ table }) => [tableText(table), table]));
    chains.push(...found.map(chainOf));
    for (const [text, table] of tables) {
      attempt(`table ${text}`, () => void rules.push(...rulesOf(table, listRules(nl, table))));
    }
    for (const family of [4, 6] as const) {
      if (!tables.has(tableText(objects[family].table))) continue;
      attempt('ports of portmap', () => void elements.push(...elementsOf(nl, family)));
    }
  } finally {
    nl.close();
  }
  for (const family of [4, 6] as const) {
    for (const table of iptablesTables) {
      attempt(`iptables' table ${table}`, () => readLegacy(family, table, chains, rules));
    }
  }
  return hostRules({ chains, rules, elements, unread });
}

export function hostRules(all: Omit<HostRules, 'of'>): HostRules {
  const byChain = grouped(all.rules, ({ table, chain }) => `${table} ${chain}`);
  return { ...all, of: (table, chain) => byChain.get(`${table} ${chain}`) ?? [] };
}

function familiesOf({ family }: Table): (4 | 6)[] {
  if (family === 'inet') return [4, 6];
  return family === 'ip' ? [4] : family === 'ip6' ? [6] : [];
}

function chainOf({ table, name, comment, base }: Chain): HostChain {
  return {
    table: tableText(table),
    name,
    families: familiesOf(table),
    comment,
    hook: base?.hook,
    type: base?.type,
    priority: base?.priority ?? 0,
    policy: base && (base.policy ?? 'accept'),
  };
}

function rulesOf(table: Table, listed: readonly ListedRule[]): HostRule[] {
  const places = new Map<string, number>();
  return listed.map((one) => {
    const at = places.get(one.chain) ?? 0;
    places.set(one.chain, at + 1);
    const spec = readRule(table.family === 'ip6' ? 6 : 4, one);
    const { chain, handle, comment } = one;
    const text = nftText(table, chain, spec) ?? textOf(spec);
    return { table: tableText(table), chain, at, handle: Number(handle), comment, spec, text };
  });
}

/** In nft's words, where nobody looks at the table with iptables; undefined for what is not understood as a whole. */
function nftText(table: Table, chain: string, { when, except, action, whole }: ReadRule): string | undefined {
  const isOfIptables = table.family !== 'inet' && iptablesTables.some((name) => name === table.name);
  if (isOfIptables || !whole || !action) return undefined;
  return ruleText(table, { chain, when, except, action });
}

/** Without its comment, which stands beside it. */
function textOf(spec: ReadRule): string {
  try {
    const words = joinWords(ruleWords({ ...spec, comment: undefined }));
    return spec.whole ? words : `${words} …`.trim();
  } catch {
    return 'a rule that only nft can show'; // iptables has no words for what it asks
  }
}

function elementsOf(nl: Netlink, family: 4 | 6): HostElement[] {
  const { maps, table } = objects[family];
  const of = (
    map: string,
    [protocol, port]: readonly unknown[],
    address: unknown,
    to: string,
  ): HostElement => ({
    table: tableText(table),
    map,
    protocol: typeof protocol === 'string' ? protocol : undefined,
    port: typeof port === 'number' ? port : undefined,
    // reason: the map's declaration says that this part of its key is an address
    address: address as Ip | undefined,
    to,
  });
  return [
    ...listElements(nl, maps.byAddress).map(({ key: [address, ...rest], jump = '' }) =>
      of(maps.byAddress.name, rest, address, jump),
    ),
    ...listElements(nl, maps.byPort).map(({ key, jump = '' }) => of(maps.byPort.name, key, undefined, jump)),
    ...listElements(nl, maps.masq).map(({ key: [address], jump = '' }) =>
      of(maps.masq.name, [], address, jump),
    ),
  ];
}

/** Only where somebody uses the older kind; a program is started then. */
function readLegacy(
  family: Family,
  table: (typeof iptablesTables)[number],
  chains: HostChain[],
  rules: HostRule[],
): void {
  const saved = legacyTable(family, table);
  if (!saved) return;
  const text = `${family === 4 ? 'iptables' : 'ip6tables'} ${table}`;
  for (const name of saved.chains) {
    const hook = legacyHooks[name];
    const more = { comment: undefined, type: hook && (table === 'nat' ? 'nat' : 'filter'), priority: 0 };
    const policy = hook === undefined ? undefined : (saved.policies[name] ?? 'accept');
    chains.push({ table: text, name, families: [family], hook, ...more, policy });
  }
  const places = new Map<string, number>();
  for (const { chain, words, text: said } of saved.rules) {
    const at = places.get(chain) ?? 0;
    places.set(chain, at + 1);
    const spec = readWords(family, words);
    rules.push({ table: text, chain, at, handle: undefined, comment: spec.comment, spec, text: said });
  }
}

const legacyHooks: Readonly<Record<string, string>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
  POSTROUTING: 'postrouting',
};

/** `nft ip nat CNI-… handle 5`, or `iptables nat CNI-…` */
export function ruleName({ table, chain, handle }: Pick<HostRule, 'table' | 'chain' | 'handle'>): string {
  const isNft = !/^ip6?tables /.test(table);
  return `${isNft ? 'nft ' : ''}${table} ${chain}${handle === undefined ? '' : ` handle ${handle}`}`;
}
