import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { formatIp, nextIp } from '@cni-ts/address/ip';
import type { AgentStatus, FenceAnswer, ImportAnswer, SpacesAnswer } from '@cni-ts/cluster/agent-talk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MemoryEtcd } from '../test/memory-ledger.ts';
import { type Node, Stage } from '../test/stage.ts';

let stage: Stage;
let etcd: MemoryEtcd;
const node = (name: string, settings = {}, home = name) =>
  stage.node(name, () => etcd.ledger(), settings, home).start();
const soon = (check: () => void, timeout = 5000) => vi.waitFor(check, { timeout, interval: 20 });
const held = (one: string) => etcd.all().filter(({ node }) => node === one);

beforeEach(() => {
  stage = new Stage();
  etcd = new MemoryEtcd();
});
afterEach(() => stage.end());

describe('blocks', () => {
  test('a question is answered once a block of the range is in the file', async () => {
    const a = await node('a');
    expect(await a.ask(a.block())).toEqual({ ok: true });
    expect(a.blocks()).toEqual([expect.stringMatching(/^held 10\.0\.0\.\d+\/28$/)]);
    expect(a.file()).toMatchObject({ node: 'a', boot: 'boot-1' });
    expect(held('a')).toHaveLength(1);
  });

  test('fifty plugins that ask at once get four blocks of sixteen, not fifty', async () => {
    const a = await node('a');
    const answers = await Promise.all(Array.from({ length: 50 }, () => a.ask(a.block())));
    expect(answers).toEqual(Array.from({ length: 50 }, () => ({ ok: true })));
    expect(held('a').length).toBeGreaterThanOrEqual(4);
    expect(held('a').length).toBeLessThanOrEqual(5);
  });

  test('a block whose free addresses rest is none for who asks next', async () => {
    const a = await node('a');
    const wish = a.block({ length: 30, cooldown: 60 });
    await a.ask(wish);
    let ip = a.file()!.blocks[0]!.first;
    mkdirSync(a.reservations(), { recursive: true });
    for (let i = 0; i < 4; i++, ip = nextIp(ip)) {
      const line = `${formatIp(ip)} ${Math.floor(Date.now() / 1000)}\n`;
      appendFileSync(join(a.reservations(), 'resting'), line);
    }
    expect(await a.ask(wish)).toEqual({ ok: true });
    expect(held('a')).toHaveLength(2);
  });

  test('two nodes share a range until nothing is left, and then are told who has it', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const wish = (one: Node) => one.ask(one.block({ cidr: '10.0.0.0/29', length: 31 }));
    for (const one of [a, b, a, b]) {
      expect(await wish(one)).toEqual({ ok: true });
      one.fill();
    }
    expect(await wish(a)).toMatchObject({
      error: {
        code: 11,
        message: expect.stringContaining(
          'no block is free in 10.0.0.1-10.0.0.7 of space default: 4 are held by 2 nodes',
        ),
        details: expect.stringContaining('cnitool ipam spaces'),
      },
    });
    expect(held('a')).toHaveLength(2);
  });

  test('a hint claims one block ahead, and no second one while that is empty', async () => {
    const a = await node('a');
    await a.ask(a.block());
    a.reserve(a.firstAddress());
    for (let i = 0; i < 3; i++) {
      const socket = connect(a.socket);
      socket.end(`${JSON.stringify(a.block({ now: false }))}\n`);
    }
    await soon(() => expect(held('a')).toHaveLength(2));
    await new Promise((done) => setTimeout(done, 100));
    expect(held('a')).toHaveLength(2);
  });

  test('an empty block returns once the cooldown is over (I6)', async () => {
    const a = await node('a');
    await a.ask(a.block({ cooldown: 1 }));
    const address = a.firstAddress();
    a.reserve(address);
    await new Promise((done) => setTimeout(done, 300));
    a.free(address);
    writeFileSync(join(a.reservations(), 'resting'), `${address} ${Math.floor(Date.now() / 1000)}\n`);
    const freed = performance.now();
    await soon(() => expect(held('a')).toEqual([]));
    expect(performance.now() - freed).toBeGreaterThan(900);
    expect(performance.now() - freed).toBeLessThan(2500);
    expect(a.blocks()).toEqual([]);
  });
});

test('an empty block stays where the others are nearly full, and goes where they are not', async () => {
  const a = await node('a', { period: 0.05 });
  await a.ask(a.block());
  a.fill();
  await a.ask(a.block());
  const spare = a.blocks()[1];
  // Longer than a block that was never used is left alone would be too long for a test: it was used.
  a.reserve(a.firstAddress(1));
  await new Promise((done) => setTimeout(done, 300));
  a.free(a.firstAddress(1));
  await new Promise((done) => setTimeout(done, 500));
  expect(a.blocks()[1]).toBe(spare);
  for (let i = 0, ip = a.file()!.blocks[0]!.first; i < 12; i++, ip = nextIp(ip)) a.free(formatIp(ip));
  await soon(() => expect(a.blocks()).toHaveLength(1));
});

test('a network that moved while it has blocks is refused: they would be given back under their containers', async () => {
  const a = await node('a');
  await a.ask(a.block());
  a.fill();
  const moved = { ...a.block(), folder: join(a.folder, 'elsewhere') };
  expect(await a.ask(moved)).toMatchObject({
    error: {
      message: expect.stringMatching(
        /has blocks with folder .*networks\/net on this node, and now wants folder/,
      ),
    },
  });
  expect(a.blocks()).toHaveLength(1);
});

describe('etcd', () => {
  test('that is out of reach is told within two seconds, with a cure, and the blocks stay', async () => {
    const a = await node('a');
    await a.ask(a.block());
    a.fill();
    const blocks = a.blocks();
    for (const weather of ['refused', 'silent'] as const) {
      etcd.weather = weather;
      const asked = performance.now();
      expect(await a.ask(a.block({ length: 30 }))).toMatchObject({
        error: {
          code: 11,
          message: expect.stringContaining('etcd'),
          details: expect.stringContaining('etcd'),
        },
      });
      expect(performance.now() - asked).toBeLessThan(1900);
    }
    expect(a.blocks()).toEqual(blocks);
    const status = await a.ask<AgentStatus>({ ask: 'status' });
    expect(status).toMatchObject({ ok: true, etcd: { reachable: false } });
  });

  test('whose answer was lost has its own claim found', async () => {
    const a = await node('a');
    await a.ask({ ask: 'confirm', ...a.network() });
    etcd.lose = 'claim';
    const asked = a.ask(a.block());
    expect(await asked).toEqual({ ok: true });
    expect(held('a')).toHaveLength(1);
    expect(a.blocks()).toHaveLength(1);
  });

  test('that was restored is refused until a person accepts it; then used blocks are claimed again', async () => {
    const a = await node('a');
    await a.ask(a.block());
    a.reserve(a.firstAddress());
    const before = a.blocks();
    await a.stop();
    etcd.clusterId = '2';
    etcd.etcd = {};
    await a.start();
    expect(await a.ask(a.block({ length: 30 }))).toMatchObject({
      error: { message: expect.stringContaining('--accept-restored') },
    });
    expect(a.blocks()).toEqual(before);
    expect(etcd.all()).toEqual([]);
    writeFileSync(join(a.settings.stateFolder, 'agent', 'accept-restored'), '{}');
    await soon(() => expect(held('a')).toHaveLength(1));
    await soon(() => expect(a.blocks()).toEqual(before));
  });
});

describe('nodes', () => {
  test('a second one of a name claims nothing and says so, until the first is gone', async () => {
    const a = await node('a');
    await a.ask(a.block());
    const other = await node('a', {}, 'other');
    expect(await other.ask(other.block())).toMatchObject({
      error: { message: expect.stringContaining('another node is called a') },
    });
    const status = await other.ask<AgentStatus>({ ask: 'status' });
    expect(status).toMatchObject({ trouble: [expect.stringContaining('--take-over')] });
    await a.stop();
    writeFileSync(join(other.settings.stateFolder, 'agent', 'take-over'), '{}');
    await soon(() => expect(held('a').every(({ uid }) => uid !== '')).toBe(true));
    await soon(async () => expect(await other.ask(other.block())).toEqual({ ok: true }));
  });

  test('after a boot the file counts once etcd has confirmed it; a fenced block is lost', async () => {
    const a = await node('a', { compare: 60 });
    await a.ask(a.block());
    await a.ask(a.block({ network: 'other' }));
    await a.stop();
    etcd.alive.clear();
    const b = await node('b');
    expect(await b.ask<FenceAnswer>({ ask: 'fence', node: 'a', off: true })).toMatchObject({
      returned: [expect.any(String), expect.any(String)],
    });
    a.boot = 'boot-2';
    etcd.weather = 'silent';
    await a.start();
    expect(a.file()?.boot).toBe('boot-1');
    etcd.weather = 'fair';
    expect(await a.ask({ ask: 'confirm', ...a.network() })).toEqual({ ok: true });
    expect(a.file()?.boot).toBe('boot-2');
    expect(a.blocks().filter((one) => one.startsWith('held'))).toEqual([]);
  });

  test('after a boot without a fence all is as before', async () => {
    const a = await node('a', { compare: 60 });
    await a.ask(a.block());
    const before = a.blocks();
    await a.stop();
    a.boot = 'boot-2';
    await a.start();
    await soon(() => expect(a.file()?.boot).toBe('boot-2'));
    expect(a.blocks()).toEqual(before);
  });

  test('one that is asked to drain gives back what is empty, names what is used, and claims none', async () => {
    const a = await node('a');
    const b = await node('b');
    await a.ask(a.block());
    a.fill();
    await a.ask(a.block());
    expect(held('a')).toHaveLength(2);
    const answer = await b.ask<FenceAnswer>({ ask: 'fence', node: 'a', off: false });
    expect(answer).toMatchObject({ returned: [expect.any(String)], waiting: [expect.any(String)] });
    expect(a.blocks()).toEqual([expect.stringMatching(/^draining/)]);
    expect(await a.ask(a.block())).toMatchObject({
      error: { message: expect.stringContaining('asked to give its blocks back') },
    });
    a.empty();
    await soon(() => expect(held('a')).toEqual([]));
    await soon(async () => expect(await a.ask(a.block())).toEqual({ ok: true }));
  });

  test('one whose list is damaged makes it anew from etcd: what is used is held, the rest goes back', async () => {
    const a = await node('a');
    await a.ask(a.block());
    const used = a.firstAddress();
    a.fill();
    await a.ask(a.block());
    expect(held('a')).toHaveLength(2);
    await a.stop();
    writeFileSync(join(a.settings.stateFolder, 'net.json'), '{');
    await a.start();
    await soon(() => expect(held('a')).toHaveLength(1));
    await soon(() => expect(a.blocks()).toEqual([`held ${used}/28`]));
    expect(a.logs.join('')).toContain('is damaged');
  });
});

describe('addresses of one owner', () => {
  const question = (one: Node, more: { owner: string; address?: string; sticky?: boolean }) => ({
    ...one.block(),
    ask: 'pin' as const,
    sticky: false,
    ...more,
  });
  const wanted = (one: Node, more: Parameters<typeof question>[1]) => {
    const { ask, network, space, folder, cooldown, ranges, owner, address, sticky } = {
      address: undefined,
      ranges: [{ start: '10.0.0.1', end: '10.0.0.254', subnet: '10.0.0.0/24', exclude: [] }],
      ...question(one, more),
      ...one.network(),
    };
    return { ask, network, space, folder, cooldown, ranges, owner, sticky, ...(address && { address }) };
  };

  test('a fixed one is nobody else’s, and goes back when it is free', async () => {
    const [a, b] = [await node('a'), await node('b')];
    expect(await a.ask(wanted(a, { owner: 'container c1 eth0', address: '10.0.0.7' }))).toEqual({ ok: true });
    expect(a.file()?.blocks).toMatchObject([{ length: 32, owner: 'container c1 eth0' }]);
    a.reserve('10.0.0.7');
    expect(await b.ask(wanted(b, { owner: 'container c2 eth0', address: '10.0.0.7' }))).toMatchObject({
      error: {
        message: expect.stringContaining('10.0.0.7 is not free in the cluster: it is held by node a'),
      },
    });
    await new Promise((done) => setTimeout(done, 300));
    a.free('10.0.0.7');
    await soon(() => expect(etcd.all()).toEqual([]));
  });

  test('a sticky one follows its owner to another node', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const owner = 'default/web-0/eth0';
    expect(await a.ask(wanted(a, { owner, sticky: true }))).toEqual({ ok: true });
    const address = a.firstAddress();
    a.reserve(address);
    await new Promise((done) => setTimeout(done, 300));
    const waits = b.ask(wanted(b, { owner, sticky: true }));
    setTimeout(() => a.free(address), 200);
    expect(await waits).toEqual({ ok: true });
    expect(b.firstAddress()).toBe(address);
    await soon(() => expect(a.blocks()).toEqual([]));
  });

  test('those of whereabouts are taken over where nobody has them', async () => {
    const [a, b] = [await node('a'), await node('b')];
    await b.ask(b.block({ cidr: '10.0.1.0/24' }));
    const others = b.firstAddress();
    const reservations = ['10.0.0.250', others].map((address) => ({
      address,
      containerId: 'c1',
      ifname: 'eth0',
      podRef: '',
    }));
    a.reserve('10.0.0.250');
    const ask = (yes: boolean) => a.ask<ImportAnswer>({ ask: 'import', ...a.network(), reservations, yes });
    const refused = [{ address: others, why: expect.stringContaining('is held by node b') }];
    expect(await ask(false)).toEqual({ ok: true, taken: ['10.0.0.250'], refused });
    expect(held('a')).toEqual([]);
    expect(await ask(true)).toEqual({ ok: true, taken: ['10.0.0.250'], refused });
    expect(a.blocks()).toEqual(['held 10.0.0.250/32']);
    const spaces = await a.ask<SpacesAnswer>({ ask: 'spaces' });
    expect(spaces).toMatchObject({ spaces: [{ space: 'default', blocks: [{ node: 'b' }, { node: 'a' }] }] });
  });
});

describe('the socket', () => {
  test('what is no question is refused with a sentence', async () => {
    const a = await node('a');
    expect(await a.ask('{')).toMatchObject({
      error: { message: expect.stringContaining('one line of JSON') },
    });
    expect(await a.ask('{"ask":"block","network":"../x"}')).toMatchObject({
      error: { message: expect.stringContaining('"network"') },
    });
  });

  test('a second agent on it is refused, and what a killed one left is removed', async () => {
    const a = await node('a');
    await expect(stage.node('b', () => etcd.ledger(), {}, 'a').start()).rejects.toThrow(
      'another cluster-agent listens',
    );
    expect(await a.ask({ ask: 'status' })).toMatchObject({ ok: true });
  });

  test('who says nothing keeps nobody waiting', async () => {
    const a = await node('a');
    const silent = Array.from({ length: 50 }, () => connect(a.socket));
    for (const one of silent) one.write('{"ask":');
    expect(await a.ask({ ask: 'status' })).toMatchObject({ ok: true });
    for (const one of silent) one.destroy();
  });
});
