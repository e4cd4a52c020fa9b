/** What a node does by itself: with etcd gone, and with its agent gone as well. */
import { ledgerKeys } from '@cni-ts/cluster-rig/look';
import { sleep } from '@cni-ts/cluster-rig/stage';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClusterLab } from './cluster-lab.ts';

describe.skipIf(etcdProgram() === undefined)('without etcd', () => {
  let cluster: ClusterLab;
  beforeAll(async () => {
    cluster = await ClusterLab.open();
    await cluster.startAgents();
  });
  afterAll(() => cluster?.close());

  const one = () => ({ runtime: cluster.first, network: cluster.network });

  test('ADD goes on in blocks that the node holds, and CHECK, DEL and GC do their work', async () => {
    const { runtime, network } = one();
    expect((await runtime.add(0, network)).error).toBeUndefined();
    await cluster.members.killAll();
    const added = await runtime.add(0, network);
    expect(added.error).toBeUndefined();
    expect((await runtime.check(0, added.id, network)).error).toBeUndefined();
    expect((await runtime.del(0, added.id, network)).error).toBeUndefined();
    expect((await runtime.del(0, added.id, network)).error).toBeUndefined();
    const other = await runtime.add(0, network);
    runtime.live.delete(other.id);
    expect((await runtime.collect(0, network)).error).toBeUndefined();
    const left = runtime.node.store(network).reservations.map(({ id }) => id);
    expect(left).toEqual(runtime.liveOf(network));
  });

  test('when the blocks are full ADD says within two seconds that etcd is away, and what to do; nothing is left of it', async () => {
    const { runtime, network } = one();
    for (let i = 0; i < 64; i++) {
      const { error, answer } = await runtime.add(0, network);
      if (error === undefined) continue;
      const seconds = (answer?.ended ?? 0) - (answer?.began ?? 0);
      expect(seconds).toBeLessThan(2);
      expect(error).toMatch(/^11: .*etcd/);
      expect(error).toMatch(/10\.90\.0\.1:2379/);
      const held = runtime.node.store(network).reservations.map(({ id }) => id);
      expect(new Set(held)).toEqual(new Set(runtime.liveOf(network)));
      return;
    }
    expect.unreachable('64 addresses came out of blocks of 16');
  });

  test('with the agent gone too ADD fails and says how to start it; DEL, CHECK and GC need neither', async () => {
    const { runtime, network } = one();
    await runtime.node.stopAgent();
    // One or two have rested by now.
    let { error, answer } = await runtime.add(0, network);
    for (let i = 0; i < 4 && error === undefined; i++) ({ error, answer } = await runtime.add(0, network));
    expect(error).toMatch(/^11: .*cluster-agent.*systemctl start cluster-agent/);
    expect((answer?.ended ?? 0) - (answer?.began ?? 0)).toBeLessThan(2);
    const [id = ''] = runtime.liveOf(network);
    expect((await runtime.check(0, id, network)).error).toBeUndefined();
    for (const each of runtime.liveOf(network)) {
      expect((await runtime.del(0, each, network)).error).toBeUndefined();
    }
    expect((await runtime.collect(0, network)).error).toBeUndefined();
    expect(runtime.node.store(network).reservations).toEqual([]);
    // What was freed rests for a second; then the block that is held gives again.
    await sleep(1.2);
    const again = await runtime.add(0, network);
    expect(again.error).toBeUndefined();
    await runtime.del(0, again.id, network);
  });

  // A block is kept for ten seconds at least.
  test('when etcd and agent are back all blocks return, and ADD claims again', {
    timeout: 60_000,
  }, async () => {
    const { runtime, network } = one();
    await cluster.members.startAll();
    await cluster.startAgents();
    for (let i = 0; i < 150 && (await ledgerKeys(cluster.members)).length > 0; i++) await sleep(0.2);
    expect(await ledgerKeys(cluster.members)).toEqual([]);
    expect((await runtime.add(0, network)).error).toBeUndefined();
  });
});
