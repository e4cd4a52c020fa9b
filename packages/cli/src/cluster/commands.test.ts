/** The addresses of a cluster: what the agent says, what lies on this node's disk, and what the tool makes of both. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FakeBehaviour, FakeClusterAgent } from '@cni-ts/testing/fake-cluster-agent';
import { test } from '@cni-ts/testing/namespaces';
import { describe, expect } from 'vitest';
import * as z from 'zod/mini';
import { ClusterNode } from '../../test/cluster-node.ts';
import { ipamFenceSchema, ipamImportSchema, ipamSpacesSchema } from '../cluster-report-schemas.ts';

const since = '2026-11-30T05:00:00.000Z';
const status = {
  ok: true,
  node: 'node1',
  version: '0.1.0',
  etcd: { reachable: true, since },
  trouble: [],
};
const node = (name: string, alive = true, fencing = false) => ({
  node: name,
  alive,
  since,
  version: '0.1.0',
  fencing,
});
const block = (cidr: string, of: string, network = 'web', owner?: string) => ({
  block: cidr,
  node: of,
  network,
  since,
  ...(owner !== undefined && { owner }),
});
const twoNodes = {
  ok: true,
  spaces: [
    {
      space: 'default',
      blocks: [
        block('10.214.0.64/26', 'node2'),
        block('10.214.9.9/32', 'node2', 'web', 'db/db-0'),
        block('10.214.0.0/26', 'node1'),
      ],
    },
  ],
  nodes: [node('node1'), node('node2', false)],
};

async function withAgent(
  on: ClusterNode,
  answers: FakeBehaviour['answers'] & object,
  work: (agent: FakeClusterAgent) => Promise<void>,
): Promise<void> {
  await on.agent.start({ answers });
  await work(on.agent);
  await on.agent.stop();
}

describe('cnitool ipam spaces', () => {
  test('a network whose paths cannot be paths ends nothing: the others are told', async ({ host }) => {
    const here = new ClusterNode(host.dir);
    here.network('web');
    const paths = { dataDir: '/a\0b', stateDir: '/c\0d', agentSocket: '/e\0f' };
    here.network('broken', { range: '10.215.0.0/16', ...paths });
    here.agent.give('web', ['10.214.0.0/26']);
    await withAgent(here, { status, spaces: twoNodes }, async () => {
      const { stdout, stderr } = await here.run('ipam');
      expect(stderr).toBe('');
      expect(stdout).toContain('web');
      expect(stdout).toMatch(/broken[\s\S]*ipam.dataDir/);
    });
  });

  test('tells who holds which block, what is used of ours, and who is away with some', async ({ host }) => {
    const here = new ClusterNode(host.dir);
    here.network('web');
    here.agent.give('web', ['10.214.0.0/26']);
    here.reserve('web', '10.214.0.5', 'c1');
    await withAgent(here, { status, spaces: twoNodes }, async () => {
      const { status: ends, stdout, stderr } = await here.run('ipam', 'spaces');
      const lines = stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/ {2,}/g, '  '));
      expect(lines).toEqual([
        'space default',
        `  10.214.0.0/26  node1  web  ${since}  1 of 63 used`,
        `✗  10.214.0.64/26  node2  web  ${since}  node node2 is away`,
        `✗  pin 10.214.9.9/32  node2  web  ${since}  of db/db-0, node node2 is away`,
        'nodes',
        `  node1 (here)  alive  1 held  0.1.0  since ${since}`,
        `✗  node2  away  2 held  0.1.0  since ${since}`,
        "? how many addresses other nodes use is known there: reservations are on each node's disk",
        'CNI2047 node2 is away and holds blocks; cure: nothing, if it comes back; if it is off for good: cnitool ipam fence node2 --off',
      ]);
      expect(ends).toBe(1);
      expect(stderr).toContain('no attachment is remembered');
      const json: unknown = JSON.parse((await here.run('ipam', 'spaces', '--json')).stdout);
      expect(z.parse(ipamSpacesSchema(), json).spaces[0]?.blocks[0]).toMatchObject({ used: 1, usable: 63 });
    });
  });

  test('asks for one space, and ends with 0 where all are there', async ({ host }) => {
    const here = new ClusterNode(host.dir);
    const spaces = { ...twoNodes, nodes: [node('node1'), node('node2')] };
    await withAgent(here, { status, spaces }, async (agent) => {
      const { status: ends, stdout } = await here.run('ipam', 'spaces', 'default', '--socket', agent.socket);
      expect({ ends, away: stdout.includes('✗') }).toEqual({ ends: 0, away: false });
      expect(agent.questions).toEqual([{ ask: 'status' }, { ask: 'spaces', space: 'default' }]);
    });
  });

  test('says that it could not look where the agent is away, refuses, or is something else', async ({
    host,
  }) => {
    const here = new ClusterNode(host.dir);
    here.network('web');
    const away = await here.run('ipam', 'spaces');
    expect(away.status).toBe(3);
    expect(away.stderr).toContain(`Error: cluster-agent is away: ${here.agent.socket}: `);
    const refusal = { error: { code: 11, message: 'etcd is not reached', details: 'connection refused' } };
    await withAgent(here, { status, spaces: refusal }, async (agent) => {
      expect(await here.run('ipam', 'spaces')).toMatchObject({
        status: 3,
        stderr: 'Error: etcd is not reached; connection refused\n',
      });
      agent.behave({ answers: { status: 'hello' } });
      const strange = await here.run('ipam', 'spaces');
      expect(strange.status).toBe(3);
      expect(strange.stderr).toContain('is no cluster-agent: it said "\\"hello\\""');
    });
  });

  test('tells what keeps the agent from claiming, and that it does not reach etcd', async ({ host }) => {
    const here = new ClusterNode(host.dir);
    const ill = {
      ...status,
      etcd: { reachable: false, since, error: 'connection refused' },
      trouble: ['node node1 is in etcd with another uid'],
    };
    await withAgent(here, { status: ill, spaces: { ok: true, spaces: [], nodes: [] } }, async (agent) => {
      const { status: ends, stdout } = await here.run('ipam', 'spaces', '--socket', agent.socket);
      expect(stdout).toContain(`✗ etcd is not reached since ${since}: connection refused\n`);
      expect(stdout).toContain('✗ node node1 is in etcd with another uid\n');
      expect(stdout).toContain('nobody holds a block of any space\n');
      expect(ends).toBe(1);
    });
  });
});

describe('cnitool ipam fence', () => {
  test('tells what a node would return, swears with --off, and does nothing without --yes', async ({
    host,
  }) => {
    const here = new ClusterNode(host.dir);
    here.network('web');
    await withAgent(here, { status, spaces: twoNodes }, async (agent) => {
      const asked = await here.run('ipam', 'fence', 'node1');
      expect(asked.stdout).toBe(
        [
          'would ask for 10.214.0.0/26 of network web, space default',
          'node1 would claim no more, and give back what is empty; what is in use waits for its containers',
          'nothing was done: --yes does it',
          '',
        ].join('\n'),
      );
      const off = await here.run('ipam', 'fence', 'node2', '--off');
      expect(off.stdout).toContain('would take 10.214.0.64/26 of network web, space default\n');
      expect(off.stdout).toContain(
        '--off swears: node2 is off, no container of it runs any more, and it comes back only through a boot; else addresses are given twice\n',
      );
      const living = await here.run('ipam', 'fence', 'node1', '--off');
      expect(living.stdout).toContain(
        '✗ refused: node1 is alive: power it off, or wait a minute after that\n',
      );
      expect([asked.status, off.status, living.status]).toEqual([1, 1, 1]);
      expect(agent.questions.filter(({ ask }) => ask === 'fence')).toEqual([]);
      expect((await here.run('ipam', 'fence', 'node2')).stdout).toContain('node2 is away, and hears nothing');
      const { stdout } = await here.run('ipam', 'fence', 'node2', '--off', '--json');
      expect(z.parse(ipamFenceSchema(), JSON.parse(stdout))).toMatchObject({ done: false, alive: false });
    });
  });

  test('does it with --yes, and names what is still in use', async ({ host }) => {
    const here = new ClusterNode(host.dir);
    here.network('web');
    const fence = { ok: true, returned: ['10.214.0.64/26'], waiting: ['10.214.9.9/32'] };
    await withAgent(here, { status, spaces: twoNodes, fence }, async (agent) => {
      expect(await here.run('ipam', 'fence', 'node2', '--yes')).toMatchObject({
        status: 1,
        stdout: [
          'returned 10.214.0.64/26',
          'waits, in use: 10.214.9.9/32',
          '1 block returned, 1 in use; node2 is away, and hears it when it is back',
          '',
        ].join('\n'),
      });
      agent.behave({ answers: { status, spaces: twoNodes, fence: { ...fence, waiting: [] } } });
      expect((await here.run('ipam', 'fence', 'node2', '--off', '--yes')).status).toBe(0);
      expect(agent.questions.filter(({ ask }) => ask === 'fence')).toEqual([
        { ask: 'fence', node: 'node2', off: false },
        { ask: 'fence', node: 'node2', off: true },
      ]);
    });
  });

  test('tells a refusal, a node that nobody knows, and that it needs a name', async ({ host }) => {
    const here = new ClusterNode(host.dir);
    here.network('web');
    const fence = { error: { code: 999, message: 'node2 is alive', details: 'power it off' } };
    await withAgent(here, { status, spaces: twoNodes, fence }, async () => {
      expect(await here.run('ipam', 'fence', 'node2', '--off', '--yes')).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('cnitool: node2 was not fenced: node2 is alive; power it off\n'),
      });
      expect(await here.run('ipam', 'fence', 'node9')).toMatchObject({
        status: 3,
        stderr: expect.stringContaining(
          'etcd knows no node node9, and no block of one; there are node1, node2',
        ),
      });
      expect((await here.run('ipam', 'fence')).status).toBe(2);
    });
  });
});

const pool = (name: string, range: string, allocations: object) => ({
  kind: 'IPPool',
  metadata: { name, namespace: 'kube-system' },
  spec: { range, allocations },
});

describe('cnitool ipam import', () => {
  const pools = {
    kind: 'List',
    items: [
      pool('10.214.0.0-16', '10.214.0.0/16', {
        5: { id: 'living', podref: 'default/web-0', ifname: 'eth0' },
        6: { id: 'gone', podref: 'default/web-1' },
        7: { id: 'of-another-node', podref: 'default/web-2' },
        8: { id: 'moved', podref: 'default/web-3' },
        9: { podref: 'default/web-4' },
        x: { id: 'living' },
        70000: { id: 'living' },
      }),
      pool('broken', 'nowhere', {}),
      { kind: 'OverlappingRangeIPReservation', metadata: { name: '10.214.0.5' } },
    ],
  };

  function prepared(dir: string, netns: string): { here: ClusterNode; file: string } {
    const here = new ClusterNode(dir);
    here.network('web');
    here.remember('web', 'living', netns, '10.214.0.5');
    here.remember('web', 'gone', '/run/netns/that-never-was', '10.214.0.6');
    here.remember('web', 'moved', netns, '10.214.0.99');
    const file = join(dir, 'ippools.json');
    writeFileSync(file, JSON.stringify(pools));
    return { here, file };
  }

  const said = { ok: true, taken: ['10.214.0.5'], refused: [] };

  test('tells what lives here and would be taken over, what is left, damaged, and of other nodes', async ({
    host,
    container,
  }) => {
    const { here, file } = prepared(host.dir, container.path);
    await withAgent(here, { import: said }, async (agent) => {
      const { status: ends, stdout } = await here.run('ipam', 'import', '--whereabouts', file);
      expect(stdout.trimEnd().split('\n')).toEqual([
        'would take over 10.214.0.5 of container living, interface eth0, network web (pod default/web-0)',
        '  10.214.0.6 of container gone is left: its namespace /run/netns/that-never-was is gone',
        '✗ CNI2049 10.214.0.8 of container moved is left: the container is here, and by its result it has another address',
        '✗ CNI2048 pool kube-system/10.214.0.0-16, allocation 9: 10.214.0.9 is of no container: it has no id',
        '✗ CNI2048 pool kube-system/10.214.0.0-16, allocation x: its offset is no number',
        '✗ CNI2048 pool kube-system/10.214.0.0-16, allocation 70000: it is outside of 10.214.0.0/16',
        '✗ CNI2048 pool kube-system/broken: its range "nowhere" is no subnet',
        '1 OverlappingRangeIPReservation passed over: pools alone say who has which address',
        '2 pools: 1 to take over, 0 refused, 2 left, 4 damaged',
        "1 allocation of containers that this node does not know: import on each node before the first new container, where the runtime's cache is (CNI_CACHE_DIR)",
        'nothing was done: --yes does it',
      ]);
      expect(ends).toBe(1);
      expect(agent.questions).toEqual([
        {
          ask: 'import',
          network: 'web',
          space: 'default',
          folder: join(host.dir, 'networks/web'),
          cooldown: 60,
          reservations: [
            { address: '10.214.0.5', containerId: 'living', ifname: 'eth0', podRef: 'default/web-0' },
          ],
          yes: false,
        },
      ]);
      expect(existsSync(join(host.dir, 'networks/web/10.214.0.5'))).toBe(false);
      const json: unknown = JSON.parse(
        (await here.run('ipam', 'import', '--whereabouts', file, '--json')).stdout,
      );
      expect(z.parse(ipamImportSchema(), json)).toMatchObject({
        done: false,
        pools: 2,
        taken: [{ network: 'web' }],
      });
    });
  });

  test('with --yes reserves what it takes over, any number of times, and keeps nothing that is refused', async ({
    host,
    container,
  }) => {
    const { here, file } = prepared(host.dir, container.path);
    const path = join(host.dir, 'networks/web/10.214.0.5');
    const refused = {
      ok: true,
      taken: [],
      refused: [{ address: '10.214.0.5', why: 'node2 holds 10.214.0.0/26' }],
    };
    await withAgent(here, { import: refused }, async (agent) => {
      const first = await here.run('ipam', 'import', '--whereabouts', file, '--yes');
      expect(first.stdout).toContain('✗ CNI2049 10.214.0.5 of container living: node2 holds 10.214.0.0/26\n');
      expect(existsSync(path)).toBe(false);
      agent.behave({ answers: { import: said } });
      for (const _again of [1, 2]) {
        const { stdout } = await here.run('ipam', 'import', '--whereabouts', file, '--yes');
        expect(stdout).toContain('took over 10.214.0.5 of container living, interface eth0, network web');
        expect(readFileSync(path, 'utf8')).toBe('living\r\neth0');
      }
      agent.behave({ answers: { import: refused } });
      await here.run('ipam', 'import', '--whereabouts', file, '--yes');
      expect(readFileSync(path, 'utf8')).toBe('living\r\neth0');
      writeFileSync(path, 'somebody\r\neth0');
      agent.behave({ answers: { import: said } });
      const taken = await here.run('ipam', 'import', '--whereabouts', file, '--yes');
      expect(taken.stdout).toContain('it is reserved here for container somebody, interface eth0\n');
    });
    const away = await here.run('ipam', 'import', '--whereabouts', file);
    expect(away.status).toBe(1);
  });

  test('reads YAML, several documents, IPv6, and IDs of digits alone', async ({ host, container }) => {
    const here = new ClusterNode(host.dir);
    here.network('six', { range: 'fd00:214::/64' });
    here.remember('six', '0123456789', container.path, 'fd00:214::1:0');
    const file = join(host.dir, 'ippools.yaml');
    writeFileSync(
      file,
      `kind: IPPool
metadata: { name: fd00-214---64 }
spec:
  range: fd00:214::/64
  allocations:
    "65536": { id: 0123456789, podref: default/six-0 }
---
kind: NodeSlicePool
metadata: { name: six }
`,
    );
    await withAgent(here, { import: { ok: true, taken: ['fd00:214::1:0'], refused: [] } }, async () => {
      const { stdout } = await here.run('ipam', 'import', '--whereabouts', file);
      expect(stdout).toContain(
        'would take over fd00:214::1:0 of container 0123456789, interface eth0, network six',
      );
      expect(stdout).toContain('1 NodeSlicePool passed over');
    });
  });

  test('says that it could not look at a file that is missing, none of whereabouts, or no text of either kind', async ({
    host,
  }) => {
    const here = new ClusterNode(host.dir);
    const file = join(host.dir, 'file');
    const ends = async () => (await here.run('ipam', 'import', '--whereabouts', file)).status;
    const found = [await ends()];
    for (const text of ['{}', '{', 'a: [']) {
      writeFileSync(file, text);
      found.push(await ends());
    }
    expect(found).toEqual([3, 3, 3, 3]);
    expect((await here.run('ipam', 'import')).status).toBe(2);
  });
});
