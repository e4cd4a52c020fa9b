import { parseIp } from '@cni-ts/address/ip';
import { blockKey } from '@cni-ts/cluster/block';
import { describe, expect, test } from 'vitest';
import { check } from './checker.ts';
import type { AddEvent, DelEvent, HistoryEvent, Law, LedgerKey, LookEvent } from './history.ts';

const law: Law = {
  networks: {
    net: { space: 'default', ranges: [{ start: '10.0.0.1', end: '10.0.0.254' }], exclude: ['10.0.0.248/29'] },
    // Of the same addresses.
    other: { space: 'default', ranges: [{ start: '10.0.0.0', end: '10.0.1.255' }], exclude: [] },
    apart: { space: 'apart', ranges: [{ start: '10.0.0.0', end: '10.0.1.255' }], exclude: [] },
  },
  emptyBlocksReturnIn: 10,
};

const add = (
  node: string,
  id: string,
  address: string,
  asked: number,
  more: Partial<AddEvent> = {},
): AddEvent => ({
  ...{ kind: 'add', node, network: 'net', id, asked, answered: asked + 0.01, addresses: [address] },
  onDisk: true,
  ...more,
});
const del = (node: string, id: string, asked: number, more: Partial<DelEvent> = {}): DelEvent => ({
  ...{ kind: 'del', node, network: 'net', id, asked, answered: asked + 0.01 },
  ...more,
});
/** The plugin was killed. */
const unanswered = (kind: 'add' | 'del', node: string, id: string, asked: number) =>
  ({ kind, node, network: 'net', id, asked }) as const;
const key = (node: string, first: string, length: number, network = 'net', space = 'default'): LedgerKey => {
  const ip = parseIp(first);
  if (!ip) throw new Error(first);
  return { space, node, network, key: blockKey({ first: ip, length }) };
};
const look = (at: number, more: Partial<LookEvent> = {}): LookEvent => ({
  ...{ kind: 'look', at, keys: [], stores: [], quietFor: 0 },
  ...more,
});
const store = (node: string, reservations: Record<string, string>, live?: string[], network = 'net') => ({
  node,
  network,
  reservations: Object.entries(reservations).map(([address, id]) => ({ address, id })),
  ...(live && { live }),
});

/** What a run without faults looks like: an address goes from one node to another, containers come and go. */
const sound: readonly HistoryEvent[] = [
  add('n1', 'a', '10.0.0.1', 1),
  add('n2', 'b', '10.0.0.65', 1),
  unanswered('add', 'n1', 'killed', 2),
  look(3, {
    keys: [key('n1', '10.0.0.0', 26), key('n2', '10.0.0.64', 26)],
    stores: [store('n1', { '10.0.0.1': 'a', '10.0.0.2': 'killed' }), store('n2', { '10.0.0.65': 'b' })],
  }),
  { kind: 'gc', node: 'n1', network: 'net', asked: 4, answered: 4.1, valid: ['a'] },
  look(5, {
    keys: [key('n1', '10.0.0.0', 26), key('n2', '10.0.0.64', 26)],
    stores: [store('n1', { '10.0.0.1': 'a' }, ['a']), store('n2', { '10.0.0.65': 'b' })],
  }),
  del('n1', 'a', 6),
  { kind: 'check', node: 'n2', network: 'net', id: 'b', asked: 6, answered: 6.1 },
  { kind: 'off', node: 'n2', at: 7 },
  add('n3', 'c', '10.0.0.1', 20),
  add('n3', 'd', '10.0.0.65', 20),
  add('n3', 'e', '10.0.0.2', 20),
  add('n1', 'f', '10.0.0.1', 21, { network: 'apart' }),
  look(40, {
    keys: [
      key('n3', '10.0.0.0', 26),
      key('n3', '10.0.0.64', 26),
      key('n1', '10.0.0.0', 26, 'apart', 'apart'),
    ],
    stores: [
      store('n3', { '10.0.0.1': 'c', '10.0.0.65': 'd', '10.0.0.2': 'e' }, ['c', 'd', 'e']),
      store('n1', { '10.0.0.1': 'f' }, ['f'], 'apart'),
      store('n1', {}, []),
    ],
    quietFor: 15,
  }),
];

const found = (more: readonly HistoryEvent[]) =>
  check([...sound, ...more], law).map(({ invariant, what }) => `${invariant} ${what}`);

test('a history without faults has nothing to complain of', () => {
  expect(found([])).toEqual([]);
});

describe('each planted fault is found, and nothing else', () => {
  test.each<[string, HistoryEvent[], RegExp]>([
    [
      'the same address on two nodes',
      [add('n1', 'x', '10.0.0.65', 30)],
      /^I1 default 10\.0\.0\.65 was given to n1 net x/,
    ],
    [
      'overlap within a node',
      [add('n3', 'x', '10.0.0.1', 30)],
      /^I1 default 10\.0\.0\.1 .* while n3 net c had it/,
    ],
    [
      'the same address in two networks of one space',
      [add('n1', 'x', '10.0.0.1', 30, { network: 'other' })],
      /^I1 .* n1 other x/,
    ],
    [
      'an address given while DEL of its holder was not asked yet',
      [add('n1', 'x', '10.0.0.7', 30), add('n2', 'y', '10.0.0.7', 30.5), del('n1', 'x', 31)],
      /^I1/,
    ],
    [
      'an address that an ADD without an answer keeps',
      [
        unanswered('add', 'n1', 'x', 30),
        look(31, { keys: [key('n1', '10.0.0.128', 26)], stores: [store('n1', { '10.0.0.130': 'x' })] }),
        add('n2', 'y', '10.0.0.130', 32),
      ],
      /^I1/,
    ],
    [
      'a block inside a block',
      [look(30, { keys: [key('n1', '10.0.0.128', 26), key('n2', '10.0.0.160', 28)] })],
      /^I2 in space default 10\.0\.0\.160\/28 of n2 lies in 10\.0\.0\.128\/26 of n1/,
    ],
    [
      'a fixed address inside a block',
      [
        look(30, {
          keys: [
            key('n1', '10.0.0.128', 26),
            { space: 'default', node: 'n2', network: 'net', key: '00000000000000000000ffff0a000081' },
          ],
        }),
      ],
      /^I2/,
    ],
    [
      'a reservation in a foreign block',
      [
        look(30, {
          keys: [key('n1', '10.0.0.128', 26), key('n2', '10.0.0.192', 26)],
          stores: [store('n1', { '10.0.0.193': 'x' })],
        }),
      ],
      /^I3 n1 has reserved 10\.0\.0\.193/,
    ],
    ['an answer without a file', [add('n1', 'x', '10.0.0.99', 30, { onDisk: false })], /^I4 ADD of n1 net x/],
    [
      'a stale reservation after GC',
      [look(30, { keys: [key('n1', '10.0.0.128', 26)], stores: [store('n1', { '10.0.0.129': 'x' }, [])] })],
      /^I5 after GC n1 keeps an address of net for x, which is gone/,
    ],
    [
      'a live reservation that GC took',
      [look(30, { stores: [store('n1', {}, ['x'])] })],
      /^I5 after GC n1 keeps no address of net for x, which lives/,
    ],
    [
      'what an ADD that failed left',
      [
        { kind: 'add', node: 'n1', network: 'net', id: 'x', asked: 30, error: '999: no' },
        look(31, { keys: [key('n1', '10.0.0.128', 26)], stores: [store('n1', { '10.0.0.129': 'x' })] }),
      ],
      /^I5 n1 keeps 10\.0\.0\.129 of net for x, whose ADD failed/,
    ],
    [
      'an empty block never returned',
      [look(50, { keys: [key('n1', '10.0.0.128', 26)], stores: [store('n1', {})], quietFor: 11 })],
      /^I6 n1 keeps 10\.0\.0\.128\/26 of net/,
    ],
    ['a DEL that fails', [del('n1', 'x', 30, { error: 'no agent' })], /^I7 DEL of n1 net x failed: no agent/],
    ['an excluded address', [add('n1', 'x', '10.0.0.250', 30)], /^I8 .* 10\.0\.0\.250, which is excluded/],
    [
      'an address of a foreign range',
      [add('n1', 'x', '10.0.2.1', 30)],
      /^I8 .* 10\.0\.2\.1, which is of no range/,
    ],
    [
      'a CHECK that fails for what lives',
      [{ kind: 'check', node: 'n3', network: 'net', id: 'c', asked: 30, answered: 31, error: 'no' }],
      /^CHECK/,
    ],
  ])('%s', (_fault, planted, says) => {
    const complaints = found(planted);
    expect(complaints).toEqual([expect.stringMatching(says)]);
  });
});

test('what ends before it is told to have begun is held by nobody', () => {
  expect(
    found([
      add('n1', 'x', '10.0.0.99', 30, { answered: 40 }),
      del('n1', 'x', 31),
      add('n2', 'y', '10.0.0.99', 35),
    ]),
  ).toEqual([]);
});

test('a block of a node that is not looked at may be empty', () => {
  expect(found([look(50, { keys: [key('n9', '10.0.0.128', 26)], quietFor: 11 })])).toEqual([]);
});

test('a killed DEL is no failed one, and its address is free from when it was asked', () => {
  expect(
    found([
      add('n1', 'x', '10.0.0.99', 30),
      unanswered('del', 'n1', 'x', 31),
      add('n2', 'y', '10.0.0.99', 32),
      del('n2', 'y', 33),
    ]),
  ).toEqual([]);
});
