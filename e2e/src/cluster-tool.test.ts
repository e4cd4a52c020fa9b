/** cnitool's commands of a cluster, as the executable, with real agents and a real etcd. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ledgerKeys } from '@cni-ts/cluster-rig/look';
import type { Runtime } from '@cni-ts/cluster-rig/runtime';
import { sleep } from '@cni-ts/cluster-rig/stage';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClusterLab } from './cluster-lab.ts';
import { ours } from './lab.ts';

describe.skipIf(etcdProgram() === undefined)('cnitool on a node of a cluster', () => {
  let cluster: ClusterLab;
  let one: Runtime;
  let other: Runtime;
  /** The address that a container of `one` has. */
  let address = '';

  beforeAll(async () => {
    cluster = await ClusterLab.open({ nodes: 2 });
    await cluster.startAgents();
    [one, other] = cluster.runtimes as [Runtime, Runtime]; // reason: two were asked for
    for (const runtime of cluster.runtimes) {
      const { node } = runtime;
      mkdirSync(join(node.folder, 'net.d'));
      const { name, ipam } = cluster.network;
      const list = { cniVersion: '1.1.0', name, plugins: [{ type: 'macvlan', ipam }] };
      writeFileSync(join(node.folder, 'net.d/10-tight.conflist'), JSON.stringify(list));
      expect((await runtime.add(0, cluster.network)).error).toBeUndefined();
    }
    address = one.node.store(cluster.network).reservations[0]?.address ?? '';
  });
  afterAll(() => cluster?.close());

  /** What it prints, and ends with, on that node. */
  function tool({ node }: Runtime, line: string): { said: string; status: number } {
    const env = `NETCONFPATH=${node.folder}/net.d CNI_PATH=${ours} CNI_CACHE_DIR=${node.folder}/cache`;
    const text = node.place.sh(`${env} ${ours}/cnitool ${line} 2>&1 || echo "status $?"`);
    const status = /^status (\d+)\n$/m.exec(text)?.[1];
    return { said: text.replace(/^status \d+\n$/m, ''), status: Number(status ?? 0) };
  }

  test('spaces tells of both nodes and of what is used here', () => {
    const { said, status } = tool(one, 'ipam spaces');
    expect(said).toMatch(/10\.64\.0\.\d+\/28 +n1 +tight +\S+ +1 of \d+ used\n/);
    expect(said).toMatch(/10\.64\.0\.\d+\/28 +n2 +tight +\S+\n/);
    expect(said).toMatch(/n1 \(here\) +alive +1 held/);
    expect(status).toBe(0);
  });

  test('explain tells of an address whose node it is of, on that node and on another', () => {
    expect(tool(one, `explain ${address}`).said).toMatch(
      /in block \S+ of space default, network tight: held by this node/,
    );
    const { said } = tool(other, `explain ${address}`);
    expect(said).toMatch(/in block \S+ of space default, of node n1\n/);
    expect(said).toContain(`cnitool explain ${address}, there`);
  });

  test('show and doctor find the node in order', () => {
    expect(tool(one, 'ipam show tight').said).toMatch(
      /tight 10\.64\.0\.0\/24 \d+ usable in 1 block here 1 used/,
    );
    expect(tool(one, 'doctor').said).toContain('✓ cluster: 1 network, agent at /run/cni-ts/cluster.sock');
  });

  test('validate judges ipam by the schema of cluster-pool', () => {
    const file = join(one.node.folder, 'bad.conflist');
    const plugins = [{ type: 'bridge', ipam: { ...cluster.network.ipam, colldown: 5 } }];
    writeFileSync(file, JSON.stringify({ cniVersion: '1.1.0', name: 'bad', plugins }));
    const { said, status } = tool(one, `validate --offline ${file}`);
    expect(said).toMatch(/CNI1012 \/plugins\/0\/ipam\/colldown: .*did you mean cooldown\?/);
    expect(status).toBe(1);
  });

  test('fence tells and does nothing, refuses a node that is alive, and asks one for what it has', async () => {
    const told = tool(one, 'ipam fence n2');
    expect(told.said).toMatch(/would ask for \S+ of network tight, space default\n/);
    expect(told.status).toBe(1);
    expect(tool(one, 'ipam fence n2 --off --yes')).toMatchObject({
      said: expect.stringContaining('n2 was not fenced: n2 is alive'),
      status: 1,
    });
    const asked = tool(one, 'ipam fence n2 --yes');
    expect(asked.said).toMatch(/waits, in use: \S+\n0 blocks returned, 1 in use\n/);
    for (const id of other.liveOf(cluster.network)) await other.del(0, id, cluster.network);
    for (let i = 0; i < 50 && (await ledgerKeys(cluster.members)).some(({ node }) => node === 'n2'); i++)
      await sleep(0.2);
    expect((await ledgerKeys(cluster.members)).filter(({ node }) => node === 'n2')).toEqual([]);
  });

  test('import makes an address of whereabouts the own, and it returns like any other', async () => {
    const { node } = one;
    const cache = join(node.folder, 'cache/results');
    mkdirSync(cache, { recursive: true });
    const { name, ipam } = cluster.network;
    const config = Buffer.from(
      JSON.stringify({
        cniVersion: '1.0.0',
        name,
        plugins: [{ type: 'macvlan', ipam: { ...ipam, type: 'whereabouts' } }],
      }),
    ).toString('base64');
    const imported = '10.64.0.200';
    const entry = {
      kind: 'cniCacheV1',
      ...{ containerId: 'old', ifName: 'eth0', networkName: name, netns: '/proc/self/ns/net', config },
      result: { cniVersion: '1.0.0', ips: [{ address: `${imported}/24` }] },
    };
    writeFileSync(join(cache, `${name}-old-eth0`), JSON.stringify(entry));
    const pool = {
      kind: 'IPPool',
      metadata: { name: '10.64.0.0-24' },
      spec: { range: '10.64.0.0/24', allocations: { 200: { id: 'old', podref: 'default/old' } } },
    };
    const file = join(node.folder, 'ippools.json');
    writeFileSync(file, JSON.stringify({ kind: 'List', items: [pool] }));
    const dry = tool(one, `ipam import --whereabouts ${file}`);
    expect(dry.said).toContain(
      `would take over ${imported} of container old, interface eth0, network tight (pod default/old)`,
    );
    expect((await ledgerKeys(cluster.members)).map(({ node: of }) => of)).toEqual(['n1']);
    for (const _again of [1, 2]) {
      const { said, status } = tool(one, `ipam import --whereabouts ${file} --yes`);
      expect(said).toContain('1 pool: 1 taken over, 0 refused, 0 left, 0 damaged\n');
      expect(status).toBe(0);
    }
    expect(tool(other, 'ipam spaces').said).toMatch(
      /pin 10\.64\.0\.200(\/32)? +n1 +tight +\S+ +of container old eth0/,
    );
    expect(tool(one, 'ipam show tight').said).toMatch(
      /block 10\.64\.0\.200\/32 held, of container old eth0: 1 of 1 used/,
    );
    // The DEL of a container that whereabouts had attached gives it back.
    const { status } =
      (await node.call(0, { verb: 'DEL', id: 'old', config: node.config(cluster.network) })) ?? {};
    expect(status).toBe(0);
    const fenced = tool(one, 'ipam fence n1 --yes');
    expect(fenced.said).toContain('returned 10.64.0.200/32\n');
    expect(fenced.said).toContain('1 block returned, 1 in use\n');
    expect(tool(other, 'ipam spaces').said).toMatch(/n1 +alive .* is being fenced\n/);
  });

  test('where etcd is gone it says so', async () => {
    await cluster.members.killAll();
    const { said, status } = tool(one, 'ipam spaces');
    expect(said).toMatch(/^Error: .*etcd/m);
    expect(status).toBe(3);
    for (let i = 0; i < 50 && (await one.node.isWell()); i++) await sleep(0.2);
    expect(tool(one, 'doctor').said).toMatch(/✗ CNI2041 cluster-agent does not reach etcd since /);
    await one.node.stopAgent();
    expect(tool(one, 'doctor').said).toMatch(/✗ CNI2040 cluster-agent is away: /);
  });
});
