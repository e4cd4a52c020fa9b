/** The client against a real etcd. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { EtcdServer } from '@cni-ts/testing/etcd-server';
import { portOf } from '@cni-ts/testing/local-port';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failure } from '../test/failure.ts';
import { EtcdClient } from './etcd-client.ts';

let server: EtcdServer;
let etcd: EtcdClient;

beforeAll(async () => {
  server = await EtcdServer.start();
  etcd = new EtcdClient({ endpoints: [server.endpoint] });
});
afterAll(async () => {
  etcd.close();
  await server[Symbol.asyncDispose]();
});

test('what is put is read, with its revisions, whatever its characters', async () => {
  await etcd.put('/a/ä"\\', '{"v":"☃"}');
  const { keys, clusterId, revision } = await etcd.range('/a/', '/a0');
  expect(keys).toEqual([
    { key: '/a/ä"\\', value: '{"v":"☃"}', createRevision: revision, modRevision: revision, lease: '0' },
  ]);
  expect(BigInt(clusterId)).toBeGreaterThan(0n);
});

test('more keys than one answer brings are read whole, as of one revision', async () => {
  const names = Array.from({ length: 2300 }, (_, i) => `/many/${String(i).padStart(5, '0')}`);
  for (let i = 0; i < names.length; i += 100) {
    await etcd.transact(
      [],
      names.slice(i, i + 100).map((put) => ({ put, value: 'x' })),
    );
  }
  const { keys } = await etcd.range('/many/', '/many0');
  expect(keys.map(({ key }) => key)).toEqual(names);
});

describe('a transaction happens only when', () => {
  test('no key of a range exists, where that is asked', async () => {
    const around = { key: '/r/1', end: '/r/5', created: '0' };
    expect((await etcd.transact([around], [{ put: '/r/9', value: 'a' }])).succeeded).toBe(true);
    await etcd.put('/r/3', 'x');
    const lost = await etcd.transact([around], [{ put: '/r/8', value: 'a' }], [{ read: '/r/3' }]);
    expect(lost.succeeded).toBe(false);
    expect(lost.reads[0]?.[0]?.value).toBe('x');
    expect((await etcd.range('/r/8')).keys).toEqual([]);
  });

  test('a key is unchanged since a revision', async () => {
    const first = await etcd.put('/m', '1');
    await etcd.put('/m', '2');
    expect((await etcd.transact([{ key: '/m', modified: first }], [{ remove: '/m' }])).succeeded).toBe(false);
    expect((await etcd.transact([{ key: '/m', created: first }], [{ remove: '/m' }])).succeeded).toBe(true);
  });
});

test('a lease ends with what was put by it', async () => {
  const id = await etcd.grantLease(60);
  await etcd.put('/leased', 'x', id);
  expect(await etcd.keepLease(id)).toBe(true);
  const revoked = await fetch(`${server.endpoint}/v3/lease/revoke`, {
    method: 'POST',
    body: JSON.stringify({ ID: id }),
  });
  expect(revoked.status).toBe(200);
  expect((await etcd.range('/leased')).keys).toEqual([]);
  expect(await etcd.keepLease(id)).toBe(false);
});

test('a name and password are asked for once, the token is made anew when it has ended, and a prefix is all a user needs', async () => {
  await using own = await EtcdServer.start();
  const root = new EtcdClient({ endpoints: [own.endpoint] });
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(`${own.endpoint}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    expect(`${path} ${answer.status}`).toBe(`${path} 200`);
  };
  const b64 = (text: string) => Buffer.from(text).toString('base64');
  await post('/v3/auth/user/add', { name: 'root', password: 'r' });
  await post('/v3/auth/user/add', { name: 'cni', password: 'secret' });
  await post('/v3/auth/role/add', { name: 'root' });
  await post('/v3/auth/role/add', { name: 'cni' });
  const perm = { permType: 'READWRITE', key: b64('/cni/'), range_end: b64('/cni0') };
  await post('/v3/auth/role/grant', { name: 'cni', perm });
  await post('/v3/auth/user/grant', { user: 'root', role: 'root' });
  await post('/v3/auth/user/grant', { user: 'cni', role: 'cni' });
  await post('/v3/auth/enable', {});
  expect((await failure(root.put('/cni/x', '1'))).trouble).toBe('unauthenticated');

  const of = (password: string) => new EtcdClient({ endpoints: [own.endpoint], username: 'cni', password });
  const wrong = await failure(of('wrong').put('/cni/x', '1'));
  expect(wrong.trouble).toBe('unauthenticated');
  expect(wrong.message).toMatch(/Check the name and password/);
  const right = of('secret');
  await right.put('/cni/x', '1');
  const forbidden = await failure(right.put('/other/x', '1'));
  expect(forbidden.trouble).toBe('forbidden');
  expect(forbidden.message).toMatch(/role-?\s?grant-permission|grant-permission/);
  expect(forbidden.unknown).toBe(false);
  // Simple tokens are in the member's memory alone.
  await own.kill();
  await own.startAgain();
  await right.put('/cni/x', '2').catch(() => right.put('/cni/x', '2')); // the kept connection is gone as well
  expect((await right.range('/cni/x')).keys[0]?.value).toBe('2');
});

describe('where etcd does not answer', () => {
  test('a port that nobody listens on is told, and nothing has happened', async () => {
    const error = await failure(new EtcdClient({ endpoints: ['http://127.0.0.1:1'] }).put('/x', '1'));
    expect(error.trouble).toBe('unreachable');
    expect(error.message).toMatch(/127\.0\.0\.1:1: .*ECONNREFUSED/);
    expect(error.unknown).toBe(false);
  });

  test('a write to a member that hangs ends in time, and may have happened', async () => {
    await using own = await EtcdServer.start();
    const client = new EtcdClient({ endpoints: [own.endpoint], tryFor: 200 });
    await client.put('/x', '1');
    own.signal('SIGSTOP');
    const started = performance.now();
    const error = await failure(client.put('/x', '2'));
    expect(performance.now() - started).toBeLessThan(2000);
    expect(error.unknown).toBe(true);
    const read = await failure(client.range('/x'));
    expect(read.unknown).toBe(false);
    own.signal('SIGCONT');
  });

  test('with two of three members left all goes on; with one, the error names the majority', async () => {
    const members = await EtcdServer.cluster(3);
    try {
      const client = new EtcdClient({ endpoints: members.map(({ endpoint }) => endpoint) });
      await client.put('/x', '1');
      await members[0]!.kill();
      await expect
        .poll(
          () =>
            client.put('/x', '2').then(
              () => true,
              () => false,
            ),
          { timeout: 5000 },
        )
        .toBe(true);
      await members[1]!.kill();
      const error = await failure(client.put('/x', '3'));
      expect(['unavailable', 'unreachable']).toContain(error.trouble);
    } finally {
      for (const one of members) await one[Symbol.asyncDispose]();
    }
  });

  test.each([
    ['no JSON', 200, '<html>', 'refused', /is no etcd: "<html>"/],
    ["a gateway's 404", 404, 'page not found', 'refused', /JSON gateway/],
    [
      'an error of 3.4',
      503,
      '{"error":"etcdserver: no leader","code":14}',
      'unavailable',
      /no leader.*majority/,
    ],
    [
      'an error of 3.5',
      429,
      '{"code":8,"message":"etcdserver: mvcc: database space exceeded","details":[]}',
      'full',
      /Compact and defragment/,
    ],
  ])('%s is told', async (_, status, body, trouble, says) => {
    const fake = createServer((_request, response) => response.writeHead(status).end(body)).listen(
      0,
      '127.0.0.1',
    );
    await once(fake, 'listening');
    const error = await failure(
      new EtcdClient({ endpoints: [`http://127.0.0.1:${portOf(fake)}`] }).put('/x', '1'),
    );
    fake.close();
    fake.closeAllConnections();
    expect([error.trouble, error.message]).toEqual([trouble, expect.stringMatching(says)]);
  });
});

test.each(['ftp://x', 'http://', 'https://a:b@c', 'http://x/path'])('%s is no endpoint', (text) => {
  expect(() => new EtcdClient({ endpoints: [text] })).toThrow(/is no endpoint of etcd/);
});

test('a socket of the machine’s is an endpoint, too', async () => {
  await using own = await EtcdServer.start({ unix: true });
  const client = new EtcdClient({ endpoints: [own.endpoint] });
  await client.put('/x', '1');
  expect((await client.range('/x')).keys[0]?.value).toBe('1');
  client.close();
});
