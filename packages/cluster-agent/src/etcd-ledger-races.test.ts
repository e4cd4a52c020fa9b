/** What another agent does between a ledger's look and its transaction, against a real etcd: between the two is a proxy that
 *  has it done just then. */
import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseIp } from '@cni-ts/address/ip';
import { blockOf } from '@cni-ts/cluster/block';
import { EtcdServer } from '@cni-ts/testing/etcd-server';
import { portOf } from '@cni-ts/testing/local-port';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EtcdLedger } from './etcd-ledger.ts';

let server: EtcdServer;
let proxy: Server;
/** Looks and writes through the proxy; the other agent does not. */
let ledger: EtcdLedger;
let other: EtcdLedger;
/** Before each transaction in turn. */
let before: (() => Promise<unknown>)[] = [];
let transactions = 0;

beforeAll(async () => {
  server = await EtcdServer.start();
  proxy = createServer(async (request, response) => {
    const body = await text(request);
    if (request.url === '/v3/kv/txn') {
      transactions++;
      await before.shift()?.();
    }
    const onward = httpRequest(`${server.endpoint}${request.url}`, { method: 'POST' }, async (answer) =>
      response.writeHead(answer.statusCode ?? 0).end(await text(answer)),
    );
    onward.end(body);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const long = { tryFor: 5000, waitFor: 5000 };
  ledger = new EtcdLedger({ endpoints: [`http://127.0.0.1:${portOf(proxy)}`], ...long }, '/cni/v1/');
  other = new EtcdLedger({ endpoints: [server.endpoint], ...long }, '/cni/v1/');
});
afterAll(async () => {
  await ledger.close();
  await other.close();
  proxy.close();
  proxy.closeAllConnections();
  await server[Symbol.asyncDispose]();
});

/** The other agent does this just before the ledger's next transactions. */
function meanwhile(...work: (() => Promise<unknown>)[]): void {
  before = work;
  transactions = 0;
}

const address = parseIp('10.0.0.7')!;
const pin = (space: string, node: string, owner = 'ns/web-0') => {
  const who = { node, uid: `uid-${node}`, claim: `${space}-${node}` };
  return { space, network: 'n', address, ...who, owner, sticky: true, largest: 24 };
};
const claim = (space: string, node: string, third: number) => {
  const who = { node, uid: `uid-${node}`, claim: `${space}-${node}-${third}` };
  const first = parseIp(`10.0.${third}.0`)!;
  return { space, network: 'n', first, length: 26, ...who, largest: 24 };
};
const holders = async (space: string) => (await other.entries({ space })).map(({ node }) => node);

test('a pin that another node has taken just before is not taken again', async () => {
  meanwhile(() => other.pin(pin('p1', 'b', 'ns/other')));
  expect(await ledger.pin(pin('p1', 'a'))).toEqual({ takenBy: 'node b (network n, of ns/other)' });
  expect(await holders('p1')).toEqual(['b']);
});

test('a sticky pin that nobody holds goes to one of two nodes at once', async () => {
  const first = await other.pin(pin('p2', 'c'));
  if (!('revision' in first)) throw new Error('not pinned');
  await other.unpin('p2', address, first.revision, true);
  meanwhile(() => other.pin(pin('p2', 'b')));
  expect(await ledger.pin(pin('p2', 'a'))).toEqual({ takenBy: 'node b (network n, of ns/web-0)' });
  expect(await holders('p2')).toEqual(['b']);
});

test('a sticky pin that was taken over just before it is let go stays with who took it', async () => {
  const first = await other.pin(pin('p3', 'a'));
  if (!('revision' in first)) throw new Error('not pinned');
  meanwhile(async () => {
    await other.unpin('p3', address, first.revision, true);
    await other.pin(pin('p3', 'b'));
  });
  expect(await ledger.unpin('p3', address, first.revision, true)).toBe(false);
  expect(await holders('p3')).toEqual(['b']);
});

test('of two who write a space’s grid at once the first is heard', async () => {
  const grid = (length: number) => ({ largest: { 4: length, 6: 110 }, created: 'x' });
  meanwhile(() => other.grid('g', grid(20)));
  expect(await ledger.grid('g', grid(24))).toEqual(grid(20));
  expect(await other.grid('g', grid(26))).toEqual(grid(20));
});

test('of two nodes of one name at once the first has it', async () => {
  const of = (uid: string) => ({ node: 'same', uid, version: '1' });
  meanwhile(() => other.registerNode(of('2'), false));
  expect(await ledger.registerNode(of('1'), false)).toMatchObject({ uid: '2' });
  meanwhile(() => other.registerNode({ ...of('2'), version: '2' }, false));
  expect(await ledger.registerNode(of('3'), true)).toMatchObject({ uid: '2' });
});

test('a fence leaves what was given back and claimed by another just before', async () => {
  await other.registerNode({ node: 'dead', uid: '1', version: '1' }, false);
  const first = await other.claim(claim('f1', 'dead', 1));
  await other.claim(claim('f1', 'dead', 2));
  if (first === 'taken') throw new Error('not claimed');
  meanwhile(async () => {
    await other.giveBack('f1', blockOf(parseIp('10.0.1.0')!, 26), first.revision);
    await other.claim(claim('f1', 'b', 1));
  });
  const returned = await ledger.fenceOff('dead');
  expect(returned).toMatchObject([{ first: parseIp('10.0.2.0') }]);
  expect(await holders('f1')).toEqual(['b']);
});

test('a fence takes also what was changed while it looked', async () => {
  await other.registerNode({ node: 'dead', uid: '1', version: '1' }, false);
  await other.claim(claim('f2', 'dead', 1));
  const [entry] = await other.entries({ space: 'f2' });
  meanwhile(() => other.confirm(entry!));
  expect(await ledger.fenceOff('dead')).toHaveLength(1);
  expect(await holders('f2')).toEqual([]);
});

test('a fence ends where the node is alive all the same: before a block is taken, and before its name is', async () => {
  for (const [name, blocks] of [
    ['back1', 1],
    ['back2', 0],
  ] as const) {
    await other.registerNode({ node: name, uid: '1', version: '1' }, false);
    if (blocks > 0) await other.claim(claim('f3', name, 1));
    const own = new EtcdLedger({ endpoints: [server.endpoint] }, '/cni/v1/');
    meanwhile(() => own.keepAlive(name));
    expect(await ledger.fenceOff(name)).toBe('alive');
    expect((await other.nodes()).map(({ node }) => node)).toContain(name);
    await own.close();
  }
  expect(await holders('f3')).toEqual(['back1']);
});

test('a fence leaves the name to a new node that took it just before', async () => {
  await other.registerNode({ node: 'new', uid: '1', version: '1' }, false);
  meanwhile(() => other.registerNode({ node: 'new', uid: '2', version: '1' }, true));
  expect(await ledger.fenceOff('new')).toEqual([]);
  expect((await other.nodes()).find(({ node }) => node === 'new')).toMatchObject({ uid: '2' });
});

test('a fence that is broken off goes on when it is called again', async () => {
  await other.registerNode({ node: 'dead', uid: '1', version: '1' }, false);
  for (let i = 0; i < 140; i++) await other.claim(claim('f4', 'dead', i));
  meanwhile(
    async () => {},
    async () => server.signal('SIGSTOP'),
  );
  const hasty = new EtcdLedger(
    { endpoints: [`http://127.0.0.1:${portOf(proxy)}`], tryFor: 200, waitFor: 300 },
    '/cni/v1/',
  );
  await expect(hasty.fenceOff('dead')).rejects.toMatchObject({ unknown: true });
  server.signal('SIGCONT');
  await hasty.close();
  meanwhile();
  const rest = await ledger.fenceOff('dead');
  // The second transaction waited in etcd's socket: it may have been done or not.
  expect([20, 80]).toContain(Array.isArray(rest) ? rest.length : rest);
  expect(await holders('f4')).toEqual([]);
  expect((await other.nodes()).map(({ node }) => node)).not.toContain('dead');
});

test('more blocks than a transaction takes go by batches', async () => {
  await other.registerNode({ node: 'big', uid: '1', version: '1' }, false);
  for (let i = 0; i < 200; i++) await other.claim(claim('f5', 'big', i));
  meanwhile();
  expect(await ledger.fenceOff('big')).toHaveLength(200);
  expect(transactions).toBe(5); // four times at most 60, and the name
});
