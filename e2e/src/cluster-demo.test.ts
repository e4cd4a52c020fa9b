import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { has } from '@cni-ts/testing/needs';
import { expect, test } from 'vitest';

// etcd's members, agents and a fence with its rest: half a minute where nothing else runs.
test.skipIf(etcdProgram() === undefined || !has('macvlan'))(
  'npm run cluster-demo shows addresses of three nodes, members and a node going, and leaves nothing',
  { timeout: 180_000 },
  () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'cluster-demo.ts'), '--built'],
      { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
    );
    expect([status, stderr], stdout).toEqual([0, '']);
    const addresses = [...stdout.matchAll(/^eth0@\S+\s+UP\s+(10\.90\.6[4-7]\.\d+)\/22/gm)].map(
      ([, one]) => one,
    );
    expect(new Set(addresses).size).toBe(8);
    expect(stdout.match(/ 0% packet loss/g)).toHaveLength(3);
    expect(stdout).toContain('No block is held, no address reserved, and no container has a link.');
  },
);
