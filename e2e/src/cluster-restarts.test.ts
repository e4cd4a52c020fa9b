/** Agents and plugins are restarted and exchanged while containers come and go: nobody notices. */
import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { wide } from '@cni-ts/cluster-rig/networks';
import { sleep } from '@cni-ts/cluster-rig/stage';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { expect, test } from 'vitest';
import { ClusterLab } from './cluster-lab.ts';
import { copyProgram, ours } from './lab.ts';

test.skipIf(etcdProgram() === undefined)(
  'no ADD fails while agents are restarted, by a signal and by a kill, and the plugin is exchanged',
  { timeout: 60_000 },
  async () => {
    const bin = join('/tmp', `cni-restarts-${process.pid}`);
    mkdirSync(bin);
    // Two copies, made before: a program that is still being written to cannot be started.
    for (const copy of ['0', '1']) copyProgram(join(ours, 'cluster-pool'), join(bin, copy));
    let turn = 0;
    const exchange = () => {
      linkSync(join(bin, String(turn++ % 2)), join(bin, 'new'));
      renameSync(join(bin, 'new'), join(bin, 'cluster-pool'));
    };
    exchange();
    const cluster = await ClusterLab.open({ nodes: 2, lanes: 2, bin, networks: [wide()] });
    try {
      await cluster.startAgents();
      const { network } = cluster;
      const failures: string[] = [];
      let [over, added] = [false, 0];
      const load = cluster.runtimes.flatMap((runtime) =>
        [0, 1].map(async (lane) => {
          // Freed addresses rest for a minute, so new blocks are needed all the time.
          while (!over) {
            const live = runtime.liveOf(network);
            const [oldest] = live;
            if (live.length > 20 + Math.random() * 10 && oldest !== undefined) {
              await runtime.del(lane, oldest, network);
              continue;
            }
            const { error, answer } = await runtime.add(lane, network);
            if (!answer) throw new Error('a launcher has ended');
            if (error === undefined) added++;
            else failures.push(error);
          }
        }),
      );
      for (let round = 0; round < 6; round++) {
        for (const { node } of cluster.runtimes) {
          await node.stopAgent(round % 2 === 0 ? 'SIGTERM' : 'SIGKILL');
          node.startAgent();
          exchange();
          await sleep(0.7);
        }
      }
      // On a busy machine it takes longer.
      await expect.poll(() => added, { timeout: 30_000 }).toBeGreaterThan(200);
      over = true;
      await Promise.all(load);
      expect(failures.slice(0, 3)).toEqual([]);
    } finally {
      await cluster.close();
      rmSync(bin, { recursive: true });
    }
  },
);
