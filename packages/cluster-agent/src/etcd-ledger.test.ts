/** The ledger against a real etcd: each compare, and what many do at once. */
import { type Ip, parseIp } from '@cni-ts/address/ip';
import { type Block, blockOf, isInside } from '@cni-ts/cluster/block';
import { EtcdClient } from '@cni-ts/etcd/etcd-client';
import { EtcdServer } from '@cni-ts/testing/etcd-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EtcdLedger } from './etcd-ledger.ts';
import type { NewBlock, NewPin } from './ledger.ts';

let server: EtcdServer;
let ledger: EtcdLedger;
let etcd: EtcdClient;
let spaces = 0;

beforeAll(async () => {
  server = await EtcdServer.start();
  ledger = new EtcdLedger({ endpoints: [server.endpoint] }, '/cni/v1/');
  etcd = new EtcdClient({ endpoints: [server.endpoint] });
});
afterAll(async () => {
  await ledger.close();
  etcd.close();
  await server[Symbol.asyncDispose]();
});

const ip = (text: string): Ip => {
  const found = parseIp(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};
const block = (text: string): Block => {
  const [first = '', length] = text.split('/');
  return blockOf(ip(first), Number(length));
};
const largest = (family: 4 | 6) => (family === 4 ? 24 : 118);

/** Claims in a space of the test's own. */
function inSpace(name = `s${++spaces}`) {
  const who = (node: string) => ({
    space: name,
    network: 'n',
    node,
    uid: `uid-${node}`,
    claim: `${node}-${Math.random()}`,
  });
  const wanted = (text: string, node: string): NewBlock => {
    const one = block(text);
    return { ...one, ...who(node), largest: largest(one.first.family) };
  };
  const wantedPin = (text: string, node: string, owner: string, sticky: boolean): NewPin => {
    const address = ip(text);
    return { ...who(node), address, owner, sticky, largest: largest(address.family) };
  };
  return {
    name,
    wanted,
    claim: (text: string, node = 'a') => ledger.claim(wanted(text, node)),
    pin: (text: string, { node = 'a', owner = 'x', sticky = false } = {}) =>
      ledger.pin(wantedPin(text, node, owner, sticky)),
  };
}

const revisionOf = (answer: { revision: string } | 'taken' | { takenBy: string }): string => {
  if (typeof answer === 'object' && 'revision' in answer) return answer.revision;
  throw new Error(`not taken: ${JSON.stringify(answer)}`);
};

test('a claim is kept as it was made, by both families', async () => {
  const space = inSpace('a/b');
  for (const text of ['10.0.0.64/26', '2001:db8::40/122']) {
    const wanted = space.wanted(text, 'node/1');
    const revision = revisionOf(await ledger.claim(wanted));
    const { largest: _, ...kept } = wanted;
    expect(await ledger.look('a/b', wanted)).toEqual({
      ...kept,
      time: expect.any(String),
      revision,
      modified: revision,
    });
  }
  expect((await ledger.entries({ space: 'a/b' })).map(({ length }) => length)).toEqual([26, 122]);
});

test.each([
  ['the same block', '10.0.0.0/26', '10.0.0.0/26'],
  ['a block inside it, at its beginning', '10.0.0.0/28', '10.0.0.0/26'],
  ['a block inside it, at its end', '10.0.0.63/32', '10.0.0.0/26'],
  ['a block around it that begins where it does', '10.0.0.0/24', '10.0.0.0/26'],
  ['a block around it that begins before', '10.0.0.0/24', '10.0.0.64/26'],
  ['a block of IPv6 around it', '2001:db8::/118', '2001:db8::40/122'],
])('a claim is refused where somebody has %s', async (_, first, second) => {
  const space = inSpace();
  revisionOf(await space.claim(first, 'a'));
  expect(await space.claim(second, 'b')).toBe('taken');
  expect(await space.claim(second, 'a')).toBe('taken');
});

test.each(['10.0.0.0', '10.0.0.33', '10.0.0.63'])(
  'a claim is refused where somebody has the pin %s inside',
  async (address) => {
    const space = inSpace();
    revisionOf(await space.pin(address));
    expect(await space.claim('10.0.0.0/26', 'b')).toBe('taken');
    revisionOf(await space.claim('10.0.0.64/26', 'b'));
  },
);

test.each(['10.0.0.0/24', '10.0.0.0/26', '10.0.0.7/32'])(
  'a pin is refused in a block %s, and told is whose it is',
  async (around) => {
    const space = inSpace();
    revisionOf(await space.claim(around, 'b'));
    expect(await space.pin('10.0.0.7')).toEqual({ takenBy: 'node b (network n)' });
  },
);

test('neighbours and other spaces are nothing to a claim', async () => {
  const space = inSpace();
  for (const text of ['10.0.0.0/26', '10.0.0.64/26', '10.0.0.192/26', '10.0.1.0/24'])
    revisionOf(await space.claim(text));
  revisionOf(await space.claim('10.0.0.128/26', 'b'));
  revisionOf(await inSpace().claim('10.0.0.0/26', 'b'));
});

test('a block is given back only by who has its revision', async () => {
  const space = inSpace();
  const revision = revisionOf(await space.claim('10.0.0.0/26'));
  expect(await ledger.giveBack(space.name, block('10.0.0.0/26'), String(BigInt(revision) - 1n))).toBe(false);
  expect(await ledger.giveBack(space.name, block('10.0.0.0/26'), revision)).toBe(true);
  revisionOf(await space.claim('10.0.0.0/26', 'b'));
  expect(await ledger.giveBack(space.name, block('10.0.0.0/26'), revision)).toBe(false);
});

test('what was confirmed is not taken away by who looked before', async () => {
  const space = inSpace();
  const revision = revisionOf(await space.claim('10.0.0.0/26'));
  const [entry] = await ledger.entries({ space: space.name });
  expect(await ledger.confirm(entry!)).toEqual({ revision });
  expect(await ledger.confirm(entry!)).toBe('changed');
  expect(await ledger.giveBack(space.name, block('10.0.0.0/26'), revision)).toBe(true);
});

test('a sticky pin stays its owner’s when it is freed, and goes with it to another node', async () => {
  const space = inSpace();
  const first = revisionOf(await space.pin('10.0.0.7', { owner: 'ns/web-0', sticky: true }));
  const unpin = (revision: string, keep: boolean) => ledger.unpin(space.name, ip('10.0.0.7'), revision, keep);
  expect(await space.pin('10.0.0.7', { node: 'b', owner: 'ns/web-0', sticky: true })).toEqual({
    takenBy: 'node a (network n, of ns/web-0)',
  });
  expect(await unpin(first, true)).toBe(true);
  expect(await space.pin('10.0.0.7', { node: 'b', owner: 'ns/other', sticky: true })).toEqual({
    takenBy: 'nobody at the moment (network n, of ns/web-0)',
  });
  expect(await space.claim('10.0.0.0/26', 'b')).toBe('taken');
  const second = revisionOf(await space.pin('10.0.0.7', { node: 'b', owner: 'ns/web-0', sticky: true }));
  expect(await unpin(first, true)).toBe(false);
  expect(await unpin(first, false)).toBe(false);
  expect(await unpin(second, false)).toBe(true);
  expect(await ledger.entries({ space: space.name })).toEqual([]);
});

test('a name belongs to the first who takes it, until it is taken over', async () => {
  const of = (uid: string, version = '1') => ({ node: 'twin', uid, version });
  expect(await ledger.registerNode(of('1'), false)).toBe('ok');
  expect(await ledger.registerNode(of('1', '2'), false)).toBe('ok');
  expect(await ledger.registerNode(of('2'), false)).toEqual({ uid: '1', since: expect.any(String) });
  expect(await ledger.registerNode(of('2'), true)).toBe('ok');
  expect(await ledger.registerNode(of('1'), false)).toMatchObject({ uid: '2' });
});

test('a fence by a person’s word is refused for a node that is alive, and takes all of one that is not', async () => {
  const space = inSpace();
  const own = new EtcdLedger({ endpoints: [server.endpoint] }, '/cni/v1/');
  await own.registerNode({ node: 'dead', uid: '1', version: '1' }, false);
  await own.keepAlive('dead');
  for (let i = 0; i < 130; i++) revisionOf(await space.claim(`10.1.${i}.0/26`, 'dead'));
  revisionOf(await space.claim('10.2.0.0/26', 'living'));
  revisionOf(await space.pin('10.2.1.1', { node: 'dead', owner: 'ns/web-0', sticky: true }));
  await ledger.askToFence('dead');
  expect(await ledger.fenceAsked('dead')).toBe(true);
  expect(await ledger.fenceOff('dead')).toBe('alive');
  expect((await ledger.nodes()).find(({ node }) => node === 'dead')).toMatchObject({
    alive: true,
    fencing: true,
  });
  await own.close();
  expect(await ledger.fenceOff('dead')).toBe('alive'); // its containers may run
  await etcd.remove('/cni/v1/alive/dead'); // as a minute later
  const returned = await ledger.fenceOff('dead');
  expect(returned).toHaveLength(131);
  const left = (await ledger.entries({ space: space.name })).map(({ node, owner }) => [node, owner]);
  expect(left).toEqual([
    ['living', undefined],
    ['', 'ns/web-0'],
  ]);
  expect((await ledger.nodes()).map(({ node }) => node)).not.toContain('dead');
  expect(await ledger.fenceAsked('dead')).toBe(false);
  expect(await ledger.fenceOff('dead')).toBe('unknown node');
});

test('the first agent’s grid holds for all', async () => {
  const grid = { largest: { 4: 20, 6: 110 }, created: 'now' };
  expect(await ledger.grid('gridded', grid)).toEqual(grid);
  expect(await ledger.grid('gridded', { largest: { 4: 26, 6: 122 }, created: 'later' })).toEqual(grid);
  await etcd.put('/cni/v1/space/gridded/config', 'broken');
  await expect(ledger.grid('gridded', grid)).rejects.toThrow(
    /space\/gridded\/config is damaged: it holds "broken"/,
  );
});

test('a value that somebody has damaged still keeps its block from being taken', async () => {
  const space = inSpace();
  revisionOf(await space.claim('10.0.0.0/26'));
  await etcd.put(`/cni/v1/space/${space.name}/block/00000000000000000000ffff0a000000/122`, '{');
  expect(await ledger.entries({ space: space.name })).toMatchObject([{ node: '', length: 26 }]);
  expect(await space.claim('10.0.0.0/28', 'b')).toBe('taken');
});

test('an etcd that is put back to an earlier time is noticed by its first answer, and is of no use until it is taken as it is', async () => {
  await using own = await EtcdServer.start();
  const one = new EtcdLedger({ endpoints: [own.endpoint], tryFor: 3000 }, '/cni/v1/');
  const space = inSpace();
  const record = { node: 'a', uid: '1', version: '1' };
  const place = await one.place();
  await one.registerNode(record, false);
  revisionOf(await one.claim(space.wanted('10.0.0.0/26', 'a')));
  await own.kill();
  own.copyData('keep');
  await own.startAgain();
  revisionOf(await one.claim(space.wanted('10.0.0.64/26', 'a')));
  await own.kill();
  own.copyData('put back');
  await own.startAgain();
  const claim = () => one.claim(space.wanted('10.0.0.128/26', 'a'));
  await expect(claim()).rejects.toMatchObject({
    trouble: 'restored',
    unknown: true,
    message: expect.stringMatching(/revision went back from \d+ to \d+\. Was it restored/),
  });
  await expect(one.entries({})).rejects.toMatchObject({ trouble: 'restored' });
  expect(await one.place()).toEqual({ clusterId: place.clusterId, revision: '0' });
  await expect(one.look(space.name, block('10.0.0.0/26'))).rejects.toMatchObject({ trouble: 'restored' });
  expect(await one.registerNode(record, false)).toBe('ok');
  expect(await one.look(space.name, block('10.0.0.64/26'))).toBeUndefined();
  revisionOf(await one.claim(space.wanted('10.0.0.64/26', 'a')));
  await one.close();
});

test('keys of somebody else below the prefix are no entries and no nodes', async () => {
  const space = inSpace();
  revisionOf(await space.claim('10.0.0.0/26'));
  const keys = ['space/%zz/block/00000000000000000000ffff0a000000/122', `space/${space.name}/block/x`, 'x'];
  for (const key of [...keys, 'node/%zz', 'alive/%zz']) await etcd.put(`/cni/v1/${key}`, 'x');
  expect(await ledger.entries({ space: space.name })).toHaveLength(1);
  expect((await ledger.entries({})).length).toBeGreaterThan(0);
  expect((await ledger.nodes()).map(({ node }) => node)).not.toContain('%zz');
  expect(await ledger.fenceOff('nobody')).toBe('unknown node');
});

test('the longest claim is within what etcd takes in a transaction', async () => {
  const space = inSpace();
  const one = { ...space.wanted('2001:db8::7/128', 'a'), largest: 2 };
  revisionOf(await ledger.claim(one));
  const { claim, node, uid, network } = one;
  const pin = { space: inSpace().name, network, node, uid, claim, owner: 'x', sticky: false };
  revisionOf(await ledger.pin({ ...pin, address: ip('2001:db8::7'), largest: 2 }));
});

test('names with any characters are kept as they are', async () => {
  for (const name of ['c/d', 'ä%2f', '../x', ' ', '\ud800']) {
    const space = inSpace(name);
    revisionOf(await space.claim('10.0.0.0/26', name));
    expect(await ledger.entries({ space: name })).toMatchObject([{ space: name.toWellFormed() }]);
  }
});

test('fifty who claim at once blocks of every size get none that lies in another', async () => {
  const space = inSpace();
  let state = 7;
  const chance = (below: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  const claimers = Array.from({ length: 50 }, async (_, i) => {
    for (let tries = 0; tries < 12; tries++) {
      const text = `10.0.0.${chance(256)}/${24 + chance(9)}`;
      const address = `10.0.0.${chance(256)}`;
      if (chance(4) === 0) await space.pin(address, { node: `n${i}` });
      else if ((await space.claim(text, `n${i}`)) !== 'taken' && chance(2) === 0) {
        const entry = await ledger.look(space.name, block(text));
        if (entry) await ledger.giveBack(space.name, entry, entry.revision);
      }
    }
  });
  await Promise.all(claimers);
  const all = await ledger.entries({ space: space.name });
  expect(all.length).toBeGreaterThan(3);
  for (const one of all) expect(all.filter((other) => isInside(one, other))).toEqual([one]);
});
