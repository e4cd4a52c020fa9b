/** What the client says happened, and what did, while members are killed, stopped and cut off. The members are in a network
 *  namespace of the test's own. */
import { setTimeout as pause } from 'node:timers/promises';
import { Netns } from '@cni-ts/libc/netns';
import { EtcdServer } from '@cni-ts/testing/etcd-server';
import { sh } from '@cni-ts/testing/shell';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { failure } from '../test/failure.ts';
import { EtcdClient } from './etcd-client.ts';
import { EtcdError } from './etcd-error.ts';

let members: EtcdServer[] = [];
let endpoints: string[] = [];
const clients: EtcdClient[] = [];

beforeAll(async () => {
  Netns.unshareThread();
  sh('ip link set lo up; nft add table ip cut');
  members = await EtcdServer.cluster(3);
  endpoints = members.map(({ endpoint }) => endpoint);
});
afterEach(() => {
  sh('nft flush table ip cut');
  for (const one of clients.splice(0)) one.close();
});
afterAll(async () => {
  for (const one of members) await one[Symbol.asyncDispose]();
});

function client(of = endpoints, tryFor = 300, waitFor = 2000): EtcdClient {
  const one = new EtcdClient({ endpoints: of, tryFor, waitFor });
  clients.push(one);
  return one;
}

/** Packets of this direction are dropped, as by a firewall. */
function drop(direction: 'to' | 'from', endpoint: string | undefined): void {
  const { port } = new URL(endpoint ?? '');
  sh(`nft 'add chain ip cut c { type filter hook output priority 0; }'
nft 'add rule ip cut c tcp ${direction === 'to' ? 'dport' : 'sport'} ${port} drop'`);
}

const healAll = () => sh('nft flush table ip cut');

test('a member that no packet reaches has not got a write: the next one does', async () => {
  drop('to', endpoints[0]);
  const etcd = client();
  const started = performance.now();
  await etcd.put('/cut/new', '1');
  expect(performance.now() - started).toBeGreaterThan(250);
  const again = performance.now();
  for (let i = 0; i < 10; i++) await etcd.put('/cut/new', '2');
  expect(performance.now() - again).toBeLessThan(2000); // it stays with who answered
});

test('where no packet reaches any of them the error tells it, and that nothing happened', async () => {
  for (const one of endpoints) drop('to', one);
  const error = await failure(client().put('/cut/x', '1'));
  expect([error.trouble, error.unknown]).toEqual(['unreachable', false]);
  expect(error.message).toMatch(/no connection to etcd at http.* within 300 ms\. Is there a firewall/);
});

test('a connection that breaks off leaves a write unknown, though it has happened', async () => {
  const etcd = client();
  await etcd.put('/cut/before', '1');
  drop('from', endpoints[0]);
  const error = await failure(etcd.put('/cut/oneway', '1'));
  expect([error.trouble, error.unknown]).toEqual(['unreachable', true]);
  expect(error.message).toMatch(/no answer from etcd at http.* within 300 ms\. Is it overloaded/);
  expect((await etcd.range('/cut/oneway')).keys).toHaveLength(1); // asked of another
});

test('what it says is true of each of many writes while members come and go', async () => {
  const minutes = Number(process.env.ETCD_OUTAGE_MINUTES ?? 0.1);
  const end = performance.now() + minutes * 60_000;
  const said = new Map<string, 'done' | 'not' | 'unknown'>();
  let count = 0;
  const writer = async (of: readonly string[]) => {
    const etcd = client([...of]);
    while (performance.now() < end) {
      const key = `/truth/${String(count++).padStart(7, '0')}`;
      try {
        const { succeeded } = await etcd.transact([{ key, created: '0' }], [{ put: key, value: '1' }]);
        expect(succeeded, key).toBe(true); // nobody else writes it: a second try of ours would find it taken
        said.set(key, 'done');
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        expect(error.trouble).toMatch(/^(unreachable|unavailable)$/);
        said.set(key, error.unknown ? 'unknown' : 'not');
      }
      await pause(5);
    }
  };
  let state = 11;
  const chance = (below: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  const nemesis = async () => {
    for (let round = 0; performance.now() < end; round++) {
      const victim = members[chance(3)]!;
      const kind = 3 - (round % 4);
      if (kind === 0) {
        await victim.kill();
        await pause(200);
        await victim.startAgain();
      } else if (kind === 1) {
        victim.signal('SIGSTOP');
        await pause(700);
        victim.signal('SIGCONT');
      } else {
        drop(kind === 2 ? 'to' : 'from', victim.endpoint);
        await pause(500);
        healAll();
      }
      await pause(300);
    }
  };
  const writers = Array.from({ length: 12 }, (_, i) =>
    writer(endpoints.map((_, j) => endpoints[(i + j) % 3]!)),
  );
  await Promise.all([nemesis(), ...writers]);
  const { keys } = await client(endpoints, 3000, 9000).range('/truth/', '/truth0');
  const there = new Set(keys.map(({ key }) => key));
  const lies = [...said].filter(([key, told]) => told !== 'unknown' && (told === 'done') !== there.has(key));
  expect(lies).toEqual([]);
  const counts = Object.groupBy(said.values(), (told) => told);
  if (minutes > 1) console.info(Object.entries(counts).map(([told, all]) => `${told}: ${all?.length}`));
  expect(counts.done?.length).toBeGreaterThan(100);
  expect(counts.unknown?.length).toBeGreaterThan(0);
}, 600_000);
