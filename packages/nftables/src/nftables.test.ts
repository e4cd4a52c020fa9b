import { execFileSync } from 'node:child_process';
import { parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { parseMac } from '@cni-ts/address/mac';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  accept,
  counter,
  dnat,
  dnatByMap,
  drop,
  goto,
  jump,
  jumpTarget,
  masquerade,
  setMark,
  toCaller,
  vmap,
} from './action.ts';
import { addChain, type Chain, chainQuestion, deleteChain, findChain, listChains } from './chain.ts';
import { destinationAddress, destinationPort, l4proto, originalPort, sourceAddress } from './field.ts';
import {
  ctState,
  ctStatus,
  daddr,
  daddrIsLocal,
  dport,
  etherSaddr,
  iifname,
  inSet,
  is,
  l4,
  mark,
  oifname,
  saddr,
} from './match.ts';
import { ask } from './question.ts';
import {
  addRule,
  comment,
  deleteRule,
  flushChain,
  insertRule,
  listRules,
  type Rule,
  rule,
  sameRule,
} from './rule.ts';
import {
  addElements,
  addSet,
  deleteElements,
  deleteSet,
  findElement,
  flushSet,
  listElements,
  type NftSet,
  setQuestion,
} from './set.ts';
import { addTable, countQuestion, deleteTable, findTable, type Table } from './table.ts';
import { transaction } from './transaction.ts';

const ip = (text: string) => parseIp(text)!;
const cidr = (text: string) => parseCidr(text)!;
const nft = (...args: string[]) =>
  execFileSync('nft', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

let nl: Netlink;
beforeAll(() => Netns.unshareThread());
beforeEach(() => {
  nl = Netlink.open('netfilter');
});
afterEach(() => {
  nl.close();
  onKernelWrite(undefined);
  nft('flush', 'ruleset');
});

const inet: Table = { family: 'inet', name: 'ours' };
const v4: Table = { family: 'ip', name: 'ours' };
const v6: Table = { family: 'ip6', name: 'ours' };
const bridge: Table = { family: 'bridge', name: 'ours' };
const to: Chain = { table: inet, name: 'to' };
const pairs: NftSet = { table: v4, name: 'pairs', key: ['ipv4_addr', 'ipv4_addr'] };
const ports: NftSet = {
  table: v4,
  name: 'ports',
  key: ['ipv4_addr', 'inet_proto', 'inet_service'],
  value: ['ipv4_addr', 'inet_service'],
};
const ports6: NftSet = {
  table: v6,
  name: 'ports',
  key: ['ipv6_addr', 'inet_proto', 'inet_service'],
  value: ['ipv6_addr', 'inet_service'],
};

const owners: NftSet = {
  table: v4,
  name: 'owners',
  key: ['ipv4_addr', 'inet_proto', 'inet_service'],
  value: 'verdict',
};

const rules: [Table, Rule][] = [
  [inet, rule(saddr(ip('10.1.2.2')), daddr('!=', cidr('10.1.2.0/24')), masquerade, comment('net: a, if: b'))],
  [inet, rule(saddr(ip('2001:db8::2')), daddr('!=', cidr('2001:db8::/61')), masquerade)],
  [inet, rule(daddr(cidr('224.0.0.0/4')), toCaller)],
  [inet, rule(daddr(cidr('ff00::/8')), toCaller)],
  [inet, rule(saddr(cidr('10.0.0.0/12')), accept)],
  [inet, rule(goto(to))],
  [inet, rule(jump(to))],
  [inet, rule(ctState('established', 'related'), accept)],
  [inet, rule(ctStatus('dnat'), accept)],
  [inet, rule(iifname('br0'), oifname('!=', 'br0'), counter, drop)],
  [inet, rule(mark(0x2000, 0x2000), masquerade)],
  [inet, rule(setMark(0x2000, 0x2000))],
  [inet, rule(l4('udp'), is(originalPort, '==', 53), accept)],
  [v4, rule(saddr(cidr('0.0.0.0/0')), daddr(ip('10.1.2.2')), masquerade)],
  [v4, rule(daddr(ip('192.168.0.2')), dport('tcp', 8080), dnat(ip('10.1.2.2'), 80))],
  [v6, rule(dport('sctp', 8080), dnat(ip('2001:db8::2'), 80))],
  [v4, rule(inSet([sourceAddress[4], destinationAddress[4]], pairs), accept)],
  [v4, rule(inSet([sourceAddress[4], destinationAddress[4]], pairs, '!='), drop)],
  [v4, rule(daddrIsLocal, dnatByMap(4, [destinationAddress[4], l4proto, destinationPort], ports))],
  [v4, rule(daddrIsLocal, vmap([destinationAddress[4], l4proto, destinationPort], owners))],
  [v6, rule(daddrIsLocal, dnatByMap(6, [destinationAddress[6], l4proto, destinationPort], ports6))],
  [bridge, rule(iifname('veth1a2b'), etherSaddr('!=', parseMac('02:00:00:00:00:01')!), drop)],
  [bridge, rule(saddr(ip('10.1.2.2')), accept)],
];

/** Nat rules only load into chains that nat hooks reach. */
function frame(table: Table): { chain: Chain; setup: () => void } {
  const nat = table.family !== 'bridge';
  const chain: Chain = {
    table,
    name: 'c',
    base: nat
      ? { type: 'filter', hook: 'prerouting', priority: -150, policy: 'accept' }
      : { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
  };
  const regular: Chain = { table, name: 'r' };
  return {
    chain: regular,
    setup: () => {
      transaction(nl, [
        addTable(table),
        addChain(chain),
        addChain(regular),
        ...(table === inet ? [addChain(to)] : []),
        ...(table === v4 ? [addSet(pairs), addSet(ports), addSet(owners)] : []),
        ...(table === v6 ? [addSet(ports6)] : []),
      ]);
    },
  };
}

describe('a rule', () => {
  test.for(rules.map(([table, ours]) => [`${table.family}: ${ours.text}`, table, ours] as const))(
    'is what nft makes of the same words: %s',
    ([, table, ours]) => {
      const { chain, setup } = frame(table);
      setup();
      nft('add', 'rule', table.family, table.name, chain.name, ours.text);
      transaction(nl, [addRule(chain, ours)]);
      const listed = listRules(nl, table, chain.name);
      expect(listed).toHaveLength(2);
      expect(listed[1]!.expressions).toEqual(listed[0]!.expressions);
      expect(listed.map((one) => one.comment)).toEqual([listed[0]!.comment, listed[0]!.comment]);
      expect(listed.every((one) => sameRule(table.family, ours, one))).toBe(true);
      const lines = nft('list', 'chain', table.family, table.name, chain.name)
        .split('\n')
        .filter((line) => line.startsWith('\t\t'));
      expect(lines[0]).toBe(lines[1]);
    },
  );

  test('that differs in one address, operator or comment is another', () => {
    const { chain, setup } = frame(inet);
    setup();
    const ours = rule(saddr(ip('10.1.2.2')), daddr('!=', cidr('10.1.2.0/24')), masquerade, comment('a'));
    transaction(nl, [addRule(chain, ours)]);
    const [listed] = listRules(nl, inet, chain.name);
    const others = [
      rule(saddr(ip('10.1.2.3')), daddr('!=', cidr('10.1.2.0/24')), masquerade, comment('a')),
      rule(saddr(ip('10.1.2.2')), daddr(cidr('10.1.2.0/24')), masquerade, comment('a')),
      rule(saddr(ip('10.1.2.2')), daddr('!=', cidr('10.1.2.0/24')), accept, comment('a')),
      rule(saddr(ip('10.1.2.2')), daddr('!=', cidr('10.1.2.0/24')), masquerade, comment('b')),
      rule(saddr(ip('10.1.2.2')), daddr('!=', cidr('10.1.2.0/24')), comment('a')),
    ];
    expect(others.map((other) => sameRule('inet', other, listed!))).toEqual(others.map(() => false));
  });

  test('is put at the end or at the start, and taken away by its handle', () => {
    const { chain, setup } = frame(inet);
    setup();
    transaction(nl, [
      addRule(chain, rule(accept, comment('second'))),
      insertRule(chain, rule(drop, comment('first'))),
      addRule(chain, rule(jump(to), comment('third'))),
    ]);
    const listed = listRules(nl, inet, chain.name);
    expect(listed.map((one) => one.comment)).toEqual(['first', 'second', 'third']);
    expect(jumpTarget(listed[2]!.expressions)).toBe('to');
    transaction(nl, [deleteRule(inet, listed[1]!)]);
    expect(listRules(nl, inet, chain.name).map((one) => one.comment)).toEqual(['first', 'third']);
    expect(() => transaction(nl, [deleteRule(inet, listed[1]!)])).toThrow(/delete rule inet ours r handle/);
    transaction(nl, [flushChain(chain)]);
    expect(listRules(nl, inet)).toEqual([]);
  });
});

describe('a transaction', () => {
  test('that fails leaves nothing behind and names what failed', () => {
    const missing: Chain = { table: inet, name: 'missing' };
    const attempt = () =>
      transaction(nl, [addTable(inet), addChain(to), addRule(to, rule(jump(missing))), addTable(v4)]);
    expect(attempt).toThrow(/could not add rule inet ours to jump missing: no such file or directory/);
    expect(nft('list', 'ruleset')).toBe('');
  });

  test('of nothing sends nothing', () => {
    onKernelWrite(() => {
      throw new Error('written');
    });
    transaction(nl, []);
  });

  test('of ten thousand rules is answered whole, and so is the list of them', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => addRule(to, rule(accept, comment(`number ${i}`))));
    transaction(nl, [addTable(inet), addChain(to), ...many]);
    expect(listRules(nl, inet, 'to').map((one) => one.comment)).toEqual(
      Array.from({ length: 10_000 }, (_, i) => `number ${i}`),
    );
    transaction(
      nl,
      listRules(nl, inet, 'to').map((one) => deleteRule(inet, one)),
    );
    expect(listRules(nl, inet, 'to')).toEqual([]);
  });

  test('asked to do what is done already changes nothing', () => {
    const base: Chain = {
      table: inet,
      name: 'base',
      base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
    };
    const changes = () => transaction(nl, [addTable(inet), addChain(base), addChain(to)]);
    changes();
    const before = nft('list', 'ruleset');
    changes();
    expect(nft('list', 'ruleset')).toBe(before);
  });
});

describe('tables and chains', () => {
  test('are read back with comment, hook and priority, and are undefined when absent', () => {
    const table: Table = { ...bridge, comment: 'of a table' };
    const chain: Chain = {
      table,
      name: 'base',
      comment: 'of a chain',
      base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'drop' },
    };
    expect(findTable(nl, table)).toBeUndefined();
    expect(findChain(nl, chain)).toBeUndefined();
    expect(listRules(nl, table, 'base')).toEqual([]);
    transaction(nl, [addTable(table), addChain(chain)]);
    expect(findTable(nl, table)).toEqual(table);
    expect(findChain(nl, chain)).toEqual({ ...chain, table, use: 0 });
    expect(listChains(nl, 'bridge')).toEqual([{ ...chain, table: bridge }]);
    expect(nft('list', 'table', 'bridge', 'ours')).toContain('comment "of a chain"');
    expect(ask(nl, [countQuestion(table)])[0]).toBe(1);
    transaction(nl, [deleteChain(chain), deleteTable(table)]);
    expect(ask(nl, [countQuestion(table)])[0]).toBe(0);
    expect(nft('list', 'ruleset')).toBe('');
  });
});

describe('a map with a joined key', () => {
  const entry = {
    key: [ip('10.0.0.1'), 'tcp', 8080],
    value: [ip('10.1.2.2'), 80],
    comment: 'container c1',
  };

  test('is listed by nft as nft would have written it', () => {
    transaction(nl, [addTable(v4), addSet({ ...ports, comment: 'mappings' }), addElements(ports, [entry])]);
    const listed = nft('list', 'table', 'ip', 'ours').replace(/\s+/g, ' ');
    expect(listed).toContain('type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service');
    expect(listed).toContain('comment "mappings"');
    expect(listed).toContain('10.0.0.1 . tcp . 8080 comment "container c1" : 10.1.2.2 . 80');
  });

  test('gives an element by its key, lists, and takes one away', () => {
    const other = { key: [ip('10.0.0.1'), 'udp', 53], value: [ip('10.1.2.3'), 53] };
    expect(ask(nl, [setQuestion(ports)])[0]).toBe(false);
    expect(findElement(nl, ports, entry.key)).toBeUndefined();
    expect(listElements(nl, ports)).toEqual([]);
    transaction(nl, [addTable(v4), addSet(ports), addElements(ports, [entry, other])]);
    expect(ask(nl, [setQuestion(ports)])[0]).toBe(true);
    expect(findElement(nl, ports, entry.key)).toEqual(entry);
    expect(findElement(nl, ports, [ip('10.0.0.1'), 'tcp', 8081])).toBeUndefined();
    expect(listElements(nl, ports)).toHaveLength(2);
    transaction(nl, [deleteElements(ports, [entry])]);
    expect(listElements(nl, ports)).toEqual([other]);
    transaction(nl, [flushSet(ports), deleteSet(ports)]);
    expect(ask(nl, [setQuestion(ports)])[0]).toBe(false);
  });

  test('refuses a key that has an owner', () => {
    transaction(nl, [addTable(v4), addSet(ports), addElements(ports, [entry])]);
    expect(() => transaction(nl, [addElements(ports, [entry])])).toThrow(
      /add element ip ours ports \{ 10\.0\.0\.1 \. tcp \. 8080 \}: file exists/,
    );
  });

  test('leads to chains when its values are verdicts, and nft shows them', () => {
    const chain: Chain = { table: v4, name: 'of_c1' };
    const element = { key: entry.key, jump: 'of_c1', comment: 'container c1' };
    transaction(nl, [addTable(v4), addChain(chain), addSet(owners), addElements(owners, [element])]);
    expect(findElement(nl, owners, entry.key)).toEqual(element);
    const listed = nft('list', 'map', 'ip', 'ours', 'owners').replace(/\s+/g, ' ');
    expect(listed).toContain('type ipv4_addr . inet_proto . inet_service : verdict');
    expect(listed).toContain('10.0.0.1 . tcp . 8080 comment "container c1" : jump of_c1');
  });
});

test('questions of all kinds are asked at once, hundreds too, and answered in their places', () => {
  const chain: Chain = { table: v4, name: 'there' };
  const from: Chain = { table: v4, name: 'from' };
  transaction(nl, [addTable(v4), addChain(chain), addChain(from), addRule(from, rule(jump(chain)))]);
  const many = Array.from({ length: 300 }, (_, i) => chainQuestion({ table: v4, name: `chain${i}` }));
  const answers = ask(nl, {
    objects: countQuestion(v4),
    chains: [chainQuestion(chain), chainQuestion({ table: v4, name: 'missing' }), chainQuestion(from)],
    many,
    elsewhere: { table: countQuestion({ family: 'ip6', name: 'ours' }) },
  });
  expect(answers.objects).toBe(2);
  expect(answers.chains.map((one) => one?.use)).toEqual([1, undefined, 1]);
  expect(answers.many).toEqual(many.map(() => undefined));
  expect(answers.elsewhere).toEqual({ table: 0 });
});
