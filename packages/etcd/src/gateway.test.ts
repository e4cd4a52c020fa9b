/** The client against servers that answer what etcd rarely does, or what is no etcd at all. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { portOf } from '@cni-ts/testing/local-port';
import { afterEach, describe, expect, test } from 'vitest';
import { failure } from '../test/failure.ts';
import { EtcdClient } from './etcd-client.ts';
import type { EtcdSettings } from './gateway.ts';

const servers: { close(): void; closeAllConnections?: () => void }[] = [];
const clients: EtcdClient[] = [];
afterEach(() => {
  for (const one of clients.splice(0)) one.close();
  for (const one of servers.splice(0)) {
    one.close();
    one.closeAllConnections?.();
  }
});

/** A member of a cluster, as we know it. */
async function member(answers: RequestListener): Promise<string> {
  const server = createServer(answers).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${portOf(server)}`;
}

function client(endpoints: readonly string[], more: Partial<EtcdSettings> = {}): EtcdClient {
  const one = new EtcdClient({ endpoints, ...more });
  clients.push(one);
  return one;
}

const header = { cluster_id: '1', revision: '5' };
const good: RequestListener = (_request, response) => response.end(JSON.stringify({ header }));
const saying =
  (status: number, body: unknown): RequestListener =>
  (_request, response) =>
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));

describe('what etcd 3.5 answers', () => {
  test.each([
    [400, 3, 'etcdserver: duplicate key given in txn request', 'refused', false],
    [400, 3, 'etcdserver: request is too large', 'refused', false],
    [400, 3, 'etcdserver: too many operations in txn request', 'refused', false],
    [403, 7, 'etcdserver: permission denied', 'forbidden', false],
    [429, 8, 'etcdserver: mvcc: database space exceeded', 'full', false],
    [429, 8, 'etcdserver: too many requests', 'unavailable', false],
    [503, 14, 'etcdserver: rpc not supported for learner', 'unavailable', false],
    [503, 14, 'etcdserver: request timed out', 'unavailable', true],
    [503, 14, 'etcdserver: leader changed', 'unavailable', true],
    [504, 4, 'context deadline exceeded', 'unavailable', true],
    [408, 1, 'context canceled', 'refused', true],
    [500, 13, 'panic', 'refused', true],
    [401, 16, 'etcdserver: invalid auth token', 'unauthenticated', false],
    [400, 3, 'etcdserver: revision of auth store is old', 'unauthenticated', false],
    [400, 9, 'etcdserver: user name not found', 'unauthenticated', false],
  ])(
    '%i, code %i, “%s” is %s; a write may have happened: %s',
    async (status, code, message, trouble, unknown) => {
      const endpoint = await member(saying(status, { code, message, details: [] }));
      const error = await failure(client([endpoint]).put('/x', '1'));
      expect([error.trouble, error.unknown]).toEqual([trouble, unknown]);
      expect(error.message).toContain(`etcd at ${endpoint} says: ${message}`);
      expect((await failure(client([endpoint]).range('/x'))).unknown).toBe(false);
    },
  );

  test('an error in a stream whose status was good is told', async () => {
    const error = { grpc_code: 7, http_code: 403, message: 'etcdserver: permission denied' };
    const endpoint = await member(saying(200, { error }));
    expect((await failure(client([endpoint]).keepLease('7'))).trouble).toBe('forbidden');
  });
});

describe('who answers and is no etcd', () => {
  test.each(['null', '[]', '"x"', '7', '{}', '{"kvs":[]}', '{"header":7}', '<html>', '', '{"header":{"revi'])(
    'is told by %s, and a write may have happened',
    async (body) => {
      const endpoint = await member(saying(200, body));
      const etcd = client([endpoint]);
      const error = await failure(etcd.put('/x', '1'));
      expect([error.trouble, error.unknown]).toEqual(['refused', true]);
      expect(error.message).toMatch(/is no etcd: "/);
      expect((await failure(etcd.range('/x'))).unknown).toBe(false);
    },
  );

  test.each([
    [400, false],
    [401, false],
    [404, false],
    [408, true],
    [413, false],
    [499, true],
    [500, true],
    [502, true],
    [503, true],
    [504, true],
  ])('a proxy’s page with status %i leaves whether a write happened unknown: %s', async (status, unknown) => {
    const endpoint = await member(saying(status, '<html>\n<h1>Sorry</h1>'));
    expect((await failure(client([endpoint]).put('/x', '1'))).unknown).toBe(unknown);
  });

  test('an answer of more bytes than anybody reads ends, and is not kept', async () => {
    const piece = Buffer.alloc(1 << 20, ' ');
    const endpoint = await member((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
    });
    const error = await failure(client([endpoint], { tryFor: 10_000, waitFor: 10_000 }).put('/x', '1'));
    expect(error.message).toMatch(/an answer of more than 67108864 bytes|within 10000 ms/);
    expect(error.unknown).toBe(true);
  });

  test('an answer that stops in the middle ends in time', async () => {
    const endpoint = await member((_request, response) => {
      response.write('{"header":');
    });
    const error = await failure(client([endpoint], { tryFor: 150 }).put('/x', '1'));
    expect([error.trouble, error.unknown]).toEqual(['unreachable', true]);
    expect(error.message).toMatch(/no answer from .* within 150 ms/);
  });

  test('a connection that ends in the middle of an answer leaves a write unknown', async () => {
    const endpoint = await member((_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"header":', () => response.destroy());
    });
    expect((await failure(client([endpoint]).put('/x', '1'))).unknown).toBe(true);
  });
});

describe('several endpoints', () => {
  test('a write goes to the next where the first certainly has not done it', async () => {
    const busy = await member(saying(429, { code: 8, message: 'etcdserver: too many requests' }));
    const etcd = client(['http://127.0.0.1:1', busy, await member(good)]);
    expect(await etcd.put('/x', '1')).toBe('5');
  });

  test('a write that may have been done goes nowhere else', async () => {
    let asked = 0;
    const other = await member((request, response) => {
      asked++;
      good(request, response);
    });
    const endpoint = await member(saying(503, { code: 14, message: 'etcdserver: request timed out' }));
    const etcd = client([endpoint, other]);
    expect((await failure(etcd.put('/x', '1'))).unknown).toBe(true);
    expect(asked).toBe(0);
    await etcd.put('/x', '1'); // the next request begins with the other
    expect(asked).toBe(1);
  });

  test('all their failures are told, each once', async () => {
    const error = await failure(client(['http://127.0.0.1:1', 'unix:///nowhere/etcd']).put('/x', '1'));
    expect(error.message).toMatch(
      /127\.0\.0\.1:1: .*ECONNREFUSED.*Is etcd running there\?; .*\/nowhere\/etcd/,
    );
    expect(error.message.match(/ECONNREFUSED/g)).toHaveLength(1);
    expect(error.unknown).toBe(false);
  });

  test('a host that nobody knows is told', async () => {
    const error = await failure(client(['http://no-such-host.invalid:2379']).put('/x', '1'));
    expect(error.message).toMatch(/no-such-host\.invalid/);
    expect(error.unknown).toBe(false);
  });

  test('a request has its time, however many do not answer', async () => {
    const silent = await Promise.all(Array.from({ length: 4 }, () => member(() => {})));
    const started = performance.now();
    const error = await failure(client(silent, { tryFor: 200, waitFor: 500 }).range('/x'));
    expect(performance.now() - started).toBeLessThan(900);
    expect(error.trouble).toBe('unreachable');
  });
});

test('a signal ends a request, with its reason', async () => {
  const etcd = client([await member(() => {})]);
  const stop = new AbortController();
  const asking = etcd.range('/x', undefined, stop.signal);
  await pause(20);
  stop.abort(new Error('we are leaving'));
  await expect(asking).rejects.toThrow('we are leaving');
});

test('a server that only takes the connection leaves a write unknown, and ends in time', async () => {
  const server = createTcpServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const error = await failure(client([`http://127.0.0.1:${portOf(server)}`], { tryFor: 100 }).put('/x', '1'));
  server.close();
  expect(error.unknown).toBe(true);
});

describe('etcd that is not what it was', () => {
  test.each([
    ['of an earlier revision', { cluster_id: '1', revision: '4' }, /revision went back from 5 to 4/],
    ['of another cluster', { cluster_id: '2', revision: '9' }, /cluster is 2, and was 1/],
  ])('an answer %s is refused, and all after it, until it is accepted', async (_, later, says) => {
    let now = header;
    let asked = 0;
    const endpoint = await member((_request, response) => {
      asked++;
      response.end(JSON.stringify({ header: now }));
    });
    const etcd = client([endpoint]);
    await etcd.put('/x', '1');
    now = later;
    const error = await failure(etcd.range('/x'));
    expect([error.trouble, error.unknown]).toEqual(['restored', false]);
    expect(error.message).toMatch(says);
    asked = 0;
    expect(await failure(etcd.put('/x', '1'))).toMatchObject({ trouble: 'restored', unknown: false });
    expect(asked).toBe(0);
    const place = { clusterId: later.cluster_id, revision: later.revision };
    expect(await etcd.place('/x')).toEqual(place);
    etcd.acceptPlace();
    expect((await etcd.range('/x')).revision).toBe(later.revision);
  });

  test('a write that made the revision that was seen last shows that etcd was before it', async () => {
    const endpoint = await member(good);
    const etcd = client([endpoint]);
    await etcd.range('/x');
    const error = await failure(etcd.put('/x', '1'));
    expect([error.trouble, error.unknown]).toEqual(['restored', true]);
    expect(error.message).toMatch(/revision went back from 5 to 4/);
    // It has caught up, which is no reason to trust it.
    expect((await failure(etcd.range('/x'))).trouble).toBe('restored');
    expect(await etcd.place('/x')).toEqual({ clusterId: '1', revision: '0' });
    etcd.acceptPlace();
    expect((await etcd.range('/x')).revision).toBe('5');
  });

  test('a place that is not before what was seen changes nothing when it is accepted', async () => {
    let revision = 5;
    const endpoint = await member((_request, response) =>
      response.end(JSON.stringify({ header: { cluster_id: '1', revision: String(revision) } })),
    );
    const etcd = client([endpoint]);
    await etcd.place('/x');
    revision = 9;
    await etcd.put('/x', '1');
    etcd.acceptPlace();
    revision = 7;
    expect((await failure(etcd.put('/x', '1'))).trouble).toBe('restored');
  });

  test('answers that overtake each other are no reason', async () => {
    let count = 0;
    const endpoint = await member(async (_request, response) => {
      const revision = ++count;
      if (revision === 1) await pause(60);
      response.end(JSON.stringify({ header: { cluster_id: '1', revision: String(revision) } }));
    });
    const etcd = client([endpoint]);
    expect(await Promise.all([etcd.put('/x', '1'), etcd.put('/x', '2')])).toEqual(['1', '2']);
  });
});

describe('a reading of many keys', () => {
  const b64 = (bytes: Buffer) => bytes.toString('base64');

  test('goes on by the key’s bytes where they are no text', async () => {
    const names = [Buffer.from([0x2f, 0xff]), Buffer.from([0x2f, 0xff, 0xff])];
    const asked: string[] = [];
    const endpoint = await member(async (request, response) => {
      const body: { key: string } = JSON.parse(Buffer.concat(await request.toArray()).toString());
      asked.push(body.key);
      const kvs = names.filter((name) => Buffer.compare(name, Buffer.from(body.key, 'base64')) >= 0);
      const more = kvs.length > 1;
      response.end(
        JSON.stringify({ header, ...(kvs[0] && { kvs: [{ key: b64(kvs[0]) }] }), ...(more && { more }) }),
      );
    });
    expect((await client([endpoint]).range('/', '0')).keys).toHaveLength(2);
    expect(asked).toEqual([b64(Buffer.from('/')), b64(Buffer.from([0x2f, 0xff, 0]))]);
  });

  test('begins anew where its revision is compacted meanwhile', async () => {
    let count = 0;
    const compacted = { code: 11, message: 'etcdserver: mvcc: required revision has been compacted' };
    const endpoint = await member((_request, response) => {
      count++;
      if (count === 2) return response.writeHead(400).end(JSON.stringify(compacted));
      const kvs = [{ key: b64(Buffer.from('/a')) }];
      return response.end(JSON.stringify({ header, kvs, ...(count === 1 && { more: true }) }));
    });
    expect((await client([endpoint]).range('/', '0')).keys.map(({ key }) => key)).toEqual(['/a']);
  });
});

describe('name and password', () => {
  const who = { username: 'cni', password: 'secret' };

  test('an etcd that knows no users is asked without', async () => {
    const seen: (string | undefined)[] = [];
    const endpoint = await member((request, response) => {
      if (request.url === '/v3/auth/authenticate') {
        const told = { error: 'etcdserver: authentication is not enabled', code: 9 };
        return response.writeHead(400).end(JSON.stringify(told));
      }
      seen.push(request.headers.authorization);
      return response.end(JSON.stringify({ header }));
    });
    await client([endpoint], who).put('/x', '1');
    expect(seen).toEqual([undefined]);
  });

  test('who has no more time does not wait for the check, and the next finds its token', async () => {
    let checks = 0;
    const endpoint = await member(async (request, response) => {
      if (request.url === '/v3/auth/authenticate') {
        checks++;
        await pause(500);
        return response.end(JSON.stringify({ header, token: 'good' }));
      }
      return response.end(JSON.stringify({ header }));
    });
    const etcd = client([endpoint], { ...who, tryFor: 100, waitFor: 200 });
    const started = performance.now();
    const error = await failure(etcd.put('/x', '1'));
    expect(performance.now() - started).toBeLessThan(400);
    expect([error.message, error.unknown]).toEqual([
      expect.stringMatching(/name and password in time/),
      false,
    ]);
    await pause(400);
    await etcd.put('/x', '1');
    expect(checks).toBe(1);
  });

  test('a token that is refused is renewed once, by one request for all who had it', async () => {
    let checks = 0;
    const endpoint = await member(async (request, response) => {
      if (request.url === '/v3/auth/authenticate') {
        const token = `t${++checks}`;
        await pause(50);
        return response.end(JSON.stringify({ header, token }));
      }
      if (request.headers.authorization === 't2') return response.end(JSON.stringify({ header }));
      const told = { error: 'etcdserver: invalid auth token', code: 16 };
      return response.writeHead(401).end(JSON.stringify(told));
    });
    const etcd = client([endpoint], who);
    await Promise.all(Array.from({ length: 20 }, () => etcd.put('/x', '1')));
    expect(checks).toBe(2);
  });

  test('a token that never is good ends after the second', async () => {
    let checks = 0;
    const endpoint = await member((request, response) => {
      if (request.url === '/v3/auth/authenticate') {
        checks++;
        return response.end(JSON.stringify({ header, token: 't' }));
      }
      return response.writeHead(401).end('{"error":"etcdserver: invalid auth token","code":16}');
    });
    expect((await failure(client([endpoint], who).put('/x', '1'))).trouble).toBe('unauthenticated');
    expect(checks).toBe(2);
  });
});
