import { parseCidr } from '@cni-ts/address/cidr';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { createChain, restore } from '@cni-ts/iptables/restore';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { addChain, type Chain, findChain } from '@cni-ts/nftables/chain';
import { comparedNetwork, firstCompared } from '@cni-ts/nftables/comparison';
import { addRule, listRules } from '@cni-ts/nftables/rule';
import { addTable } from '@cni-ts/nftables/table';
import { transaction } from '@cni-ts/nftables/transaction';
import { ownerComment } from '@cni-ts/skeleton/owner-comment';
import { Undo } from '@cni-ts/skeleton/undo';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readNftChains } from './chain-rules.ts';
import { nativeChanges, thereIn, wordChanges } from './iptables-engine.ts';
import { ensureInNft, isInNft, removeOwned } from './nft-engine.ts';
import { nftRule } from './nft-language.ts';
import { isRule, readRule } from './read-rule.ts';
import { holdsExactly, lacking, ownedBy, ownedByNoneOf, type RuleSet, useOf } from './rule-set.ts';
import { accept, drop, hostCidr, jump, masquerade, type RuleSpec, toCaller } from './rule-spec.ts';
import { readWords, ruleWords } from './words-language.ts';

let nl: Netlink;
beforeEach(() => {
  Netns.unshareThread();
  nl = Netlink.open('netfilter');
});
afterEach(() => nl.close());

const subnet = parseCidr('10.1.16.0/20')!;
const host = hostCidr(parseCidr('10.1.17.2/20')!.ip);
const chain = 'MINE';
/** What each language can say, one thing a rule, and some together. */
const specs: RuleSpec[] = [
  { chain, when: { from: host }, except: { to: subnet }, action: toCaller, comment: 'name: "net" id: "c1"' },
  { chain, when: { from: subnet, to: host, protocol: 'tcp', port: 8080 }, action: accept },
  { chain, when: { protocol: 'udp', port: 53, to: host }, action: jump('OTHER'), comment: 'dns' },
  { chain, when: { to: host, state: ['established', 'related'] }, action: accept },
  { chain, when: { state: ['dnat'] }, action: jump('OTHER') },
  { chain, when: { mark: { value: 0x2000, mask: 0x2000 } }, action: accept },
  { chain, when: { local: true }, action: jump('OTHER') },
  { chain, except: { from: subnet }, action: drop },
  { chain, action: { kind: 'goto', chain: 'OTHER' } },
];
/** Of a program alone. */
const links: RuleSpec[] = [
  {
    chain,
    when: { input: 'br0', state: ['new'] },
    except: { output: 'br0' },
    action: drop,
    comment: 'between',
  },
  { chain, when: { output: 'br0' }, action: toCaller },
];

/** Makes the chains, writes the rules, and tells what is read back as each. */
function readBack(wanted: readonly RuleSpec[]): boolean[] {
  const listed = readNftChains(nl, 4, 'filter', [chain]).rules;
  expect(listed).toHaveLength(wanted.length);
  return wanted.map((one, i) => isRule(one, listed[i]!.spec));
}

describe('a rule as a value', () => {
  test('is read from nft’s language as it was written', () => {
    const table = { family: 'inet', name: 'trial' } as const;
    const all = [...specs, ...links];
    transaction(nl, [
      addTable(table),
      addChain({ table, name: 'OTHER' }),
      addChain({ table, name: chain }),
      ...all.map((one) => addRule({ table, name: chain }, nftRule(one))),
    ]);
    const listed = listRules(nl, table, chain);
    for (const [i, one] of all.entries()) {
      const { when, except, action, comment } = readRule(4, listed[i]!);
      // In a table of both families a comparison of the family stands before that of an address.
      expect(
        isRule(one, { when, except, action, comment, whole: true }),
        JSON.stringify(ruleWords(one)),
      ).toBe(true);
      expect(isInNft(table)(one, listed[i]!, false)).toBe(true);
    }
    expect(sh('nft list table inet trial')).toContain('ip saddr 10.1.17.2 ip daddr != 10.1.16.0/20 return');
  });

  test('is read from iptables-nft’s as it was written by netlink, and by the program', () => {
    restore(4, { filter: [createChain('OTHER')] });
    const chains = [{ table: iptablesNftTable(4, 'filter'), name: chain }];
    transaction(nl, nativeChanges(4, 'filter', { chains, rules: specs })!);
    const before = sh('iptables-nft -S MINE');
    expect(readBack(specs)).toEqual(specs.map(() => true));
    sh('iptables-nft -F MINE; iptables-nft -X MINE');
    restore(4, { filter: wordChanges({ chains, rules: specs }) });
    expect(sh('iptables-nft -S MINE')).toBe(before);
    expect(readBack(specs)).toEqual(specs.map(() => true));
  });

  test('with links is left to the program, and read all the same', () => {
    const chains = [{ table: iptablesNftTable(4, 'filter'), name: chain }];
    expect(nativeChanges(4, 'filter', { chains, rules: links })).toBeUndefined();
    restore(4, { filter: wordChanges({ chains, rules: links }) });
    expect(readBack(links)).toEqual([true, true]);
  });

  test('is read from iptables’ words as it was written, and what is not understood makes it no whole one', () => {
    for (const one of [...specs, ...links]) expect(isRule(one, readWords(4, ruleWords(one)))).toBe(true);
    const odd = readWords(4, ['-d', '10.1.17.2/32', '-m', 'statistic', '--mode', 'nth', '-j', 'ACCEPT']);
    expect(odd).toMatchObject({ whole: false, action: accept, when: { to: { prefix: 32 } } });
    expect(isRule({ when: { to: host }, action: accept }, odd)).toBe(false);
  });

  test.for([
    ['ip saddr 10.1.16.0/20 accept', 'saddr', 20],
    ['ip saddr 10.1.0.0/16 accept', 'saddr', 16],
    ['ip6 daddr 2001:db8::/61 accept', 'daddr', 61],
  ] as const)('“%s”: what is compared is known for any prefix', ([text, field, prefix]) => {
    sh(`nft add table inet t; nft add chain inet t c; nft add rule inet t c ${text}`);
    const [listed] = listRules(nl, { family: 'inet', name: 't' }, 'c');
    expect(comparedNetwork(firstCompared(listed!.expressions, field)!)?.prefix).toBe(prefix);
  });
});

describe('a set of rules', () => {
  const table = { family: 'inet', name: 'trial' } as const;
  const base: Chain = {
    table,
    name: 'base',
    base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
  };
  const owner = (containerId: string) => ({ network: 'net', containerId, ifname: 'eth0' });
  /** All that a plugin with two rules has to say. */
  const setOf = (containerId: string): RuleSet => {
    const comment = ownerComment(owner(containerId));
    return {
      table,
      chains: [base, { table, name: chain }],
      shared: [{ chain: base.name, place: 'first', action: jump(chain), comment: 'shared' }],
      own: [
        { chain, when: { from: host }, action: accept, comment },
        { chain, when: { to: host }, action: drop, comment },
      ],
    };
  };
  const is = isInNft(table);
  const there = () => ({
    has: (name: string) => findChain(nl, { table, name }) !== undefined,
    rules: (name: string) => listRules(nl, table, name),
    is,
  });
  const ensure = (containerId: string, undo = new Undo()) => {
    ensureInNft(nl, 'the trial', undo, () => ({
      tables: there().has(base.name) ? [] : [table],
      sets: [setOf(containerId)],
      there,
      stale: () => [],
    }));
    return undo;
  };

  test('is made, found whole, and removed by its owner', () => {
    ensure('c1');
    ensure('c1');
    ensure('c2');
    expect(lacking(setOf('c1'), there())).toMatchObject({ chains: [], shared: [], own: [], stale: [] });
    removeOwned(nl, () => [{ table, name: chain }], ownedBy(owner('c1')));
    expect(lacking(setOf('c1'), there()).own).toHaveLength(2);
    expect(lacking(setOf('c2'), there()).own).toEqual([]);
    removeOwned(nl, () => [{ table, name: chain }], ownedByNoneOf('net', [owner('c2')]));
    expect(listRules(nl, table, chain)).toHaveLength(2);
    removeOwned(nl, () => [{ table, name: chain }], ownedByNoneOf('net', []));
    expect(listRules(nl, table, chain)).toEqual([]);
  });

  test('goes with all it made when an ADD is undone, unless somebody else uses it', async () => {
    const undo = ensure('c1');
    expect(await undo.run()).toEqual([]);
    expect(sh('nft list ruleset')).toBe('');
    const first = ensure('c1');
    ensure('c2');
    expect(await first.run()).toEqual([]);
    expect(lacking(setOf('c1'), there())).toMatchObject({ chains: [], shared: [], own: [{}, {}] });
    expect(lacking(setOf('c2'), there()).own).toEqual([]);
  });

  test('uses its chains as often as the kernel counts', () => {
    ensure('c1');
    const { shared, own } = setOf('c1');
    for (const name of [base.name, chain]) {
      expect(findChain(nl, { table, name })?.use).toBe(useOf(name, [...shared, ...own]).use);
    }
    expect(useOf(chain, [...shared, ...own])).toEqual({ rules: 2, leading: 1, use: 3 });
  });

  test('holds its rules exactly while no other stands among them', () => {
    ensure('c1');
    expect(holdsExactly(there(), chain, setOf('c1').own)).toBe(true);
    sh('nft insert rule inet trial MINE accept');
    expect(holdsExactly(there(), chain, setOf('c1').own)).toBe(false);
    const exact = { ...setOf('c1'), exact: [base] };
    sh('nft add rule inet trial base accept');
    expect(lacking(exact, there())).toMatchObject({ emptied: [base], shared: exact.shared });
  });

  test('in words leaves one that lost its comment as it is', () => {
    const one: RuleSpec = { chain, action: masquerade, comment: 'whose' };
    sh('iptables-nft -t nat -N MINE; iptables-nft -t nat -A MINE -j MASQUERADE');
    const now = thereIn(readNftChains(nl, 4, 'nat', [chain]));
    const set = { table, chains: [], shared: [one], own: [one] };
    expect(lacking(set, now)).toMatchObject({ shared: [], own: [one] });
  });
});
