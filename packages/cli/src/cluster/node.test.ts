/** A node with addresses of a cluster, by what lies on its disk: show, why, check, explain and doctor. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@cni-ts/testing/namespaces';
import { describe, expect } from 'vitest';
import * as z from 'zod/mini';
import { ClusterNode } from '../../test/cluster-node.ts';
import { doctorSchema, explainSchema } from '../node-report-schemas.ts';
import { ipamShowSchema } from '../report-schemas.ts';

const since = '2026-11-30T05:00:00.000Z';
const fine = { ok: true, node: 'node1', version: '0.1.0', etcd: { reachable: true, since }, trouble: [] };

/** A block with a container that lives, one that drains, one that is lost, and a reservation in none of them. */
function troubled(dir: string, netns: string): ClusterNode {
  const here = new ClusterNode(dir);
  here.network('web', { range: '10.214.0.0/16', exclude: ['10.214.0.16/28'], gateway: '10.214.0.1' });
  here.agent.give('web', [
    '10.214.0.0/26',
    { block: '10.214.1.0/26', state: 'draining' },
    { block: '10.214.2.0/26', state: 'lost' },
    { block: '10.214.9.9/32', owner: 'db/db-0/eth0' },
  ]);
  for (const [address, id] of [
    ['10.214.0.5', 'well'],
    ['10.214.2.5', 'lost'],
    ['10.214.3.5', 'stray'],
  ] as const) {
    here.remember('web', id, netns, address);
    here.reserve('web', address, id);
  }
  return here;
}

describe('cnitool ipam, of a network with addresses of a cluster', () => {
  test('show tells its blocks, what can be given of them, and what is used', async ({ host, container }) => {
    const here = troubled(host.dir, container.path);
    const { stdout } = await here.run('ipam', 'show', 'web');
    // Of the first block go the network's own address, the gateway and sixteen that are excluded; the pin is one more.
    expect(stdout).toContain('web 10.214.0.0/16 47 usable in 2 blocks here 3 used 3 live\n');
    expect(stdout).toContain('  space default: blocks of node node1\n');
    expect(stdout).toContain('  block 10.214.0.0/26 held: 1 of 46 used\n');
    expect(stdout).toContain(
      '  block 10.214.1.0/26 going back to the cluster when it is empty: 0 of 64 used\n',
    );
    expect(stdout).toContain(
      "✗ block 10.214.2.0/26 lost: etcd has it no more as this node's: 1 of 64 used\n",
    );
    expect(stdout).toContain('  block 10.214.9.9/32 held, of db/db-0/eth0: 0 of 1 used\n');
    const json: unknown = JSON.parse((await here.run('ipam', 'show', '--json')).stdout);
    expect(z.parse(ipamShowSchema(), json).networks[0]?.stores[0]?.pool).toMatchObject({
      space: 'default',
      node: 'node1',
      confirmed: true,
    });
  });

  test('a full block is no full range: the cluster may have more', async ({ host, container }) => {
    const here = new ClusterNode(host.dir);
    here.network('web', { range: '10.214.0.0/16' }, 'whereabouts');
    here.agent.give('web', ['10.214.0.4/31']);
    for (const address of ['10.214.0.4', '10.214.0.5']) {
      here.remember('web', `of-${address}`, container.path, address);
      here.reserve('web', address, `of-${address}`);
    }
    expect(await here.run('ipam', 'show')).toMatchObject({
      status: 0,
      stdout: 'web 10.214.0.0/16 2 usable in 1 block here 2 used 2 live\n',
    });
    expect(await here.run('ipam', 'check')).toMatchObject({ status: 0 });
  });

  test('why tells of a block that is ours, of one that is not, and of a pin', async ({ host, container }) => {
    const here = troubled(host.dir, container.path);
    const why = async (address: string) => (await here.run('ipam', 'why', address)).stdout;
    expect(await why('10.214.0.6')).toContain(
      'free, in block 10.214.0.0/26 of space default, which is held; a released',
    );
    expect(await why('10.214.77.7')).toContain(
      'in no block of this node: another may have it (cnitool explain 10.214.77.7',
    );
    expect(await why('10.214.9.9')).toContain('kept for db/db-0/eth0');
    expect(await why('10.214.0.1')).toContain('the gateway of 10.214.0.0/16');
  });

  test('check finds a lost block with its containers, an address in no block, and a list that is damaged or old', async ({
    host,
    container,
  }) => {
    const here = troubled(host.dir, container.path);
    const { status, stdout } = await here.run('ipam', 'check');
    expect(stdout).toContain(
      'error CNI2042 web: block 10.214.2.0/26 of space default is lost: another node may give its addresses; here lost/eth0 (10.214.2.5) has one\n',
    );
    expect(stdout).toMatch(
      /error CNI2046 web 10\.214\.3\.5: container stray\/eth0 .* in no block of this node/,
    );
    expect(status).toBe(1);
    here.agent.give('web', ['10.214.0.0/16'], 'another boot');
    expect((await here.run('ipam', 'check')).stdout).toContain('warning CNI2043 web: ');
    const nowhere = { node: 'node1', boot: 'a', blocks: [{ first: 'nowhere', length: 26 }] };
    writeFileSync(join(host.dir, 'cluster/web.json'), JSON.stringify(nowhere));
    const damaged = await here.run('ipam', 'check');
    expect(damaged.stdout).toContain("error CNI2044 web: the list of this node's blocks ");
    expect(damaged.stdout).not.toContain('CNI2046');
    expect((await here.run('ipam', 'show')).stdout).toContain('✗ the list of this node');
  });

  test('an address is of the block that CHECK takes it for: of two the one that is not lost', async ({
    host,
    container,
  }) => {
    const here = troubled(host.dir, container.path);
    const again = { block: '10.214.2.0/26' };
    here.agent.give('web', [{ ...again, state: 'lost' }, again]);
    const { stdout } = await here.run('ipam', 'check');
    expect(stdout).toContain(
      'is lost: another node may give its addresses; no container has one of them here',
    );
    expect(stdout).not.toContain('web 10.214.2.5: ');
    expect((await here.run('explain', '10.214.2.5')).stdout).toContain(
      'in block 10.214.2.0/26 of space default, network web: held by this node',
    );
  });

  test('a leaked reservation is found and released as one of host-local is', async ({ host, container }) => {
    const here = troubled(host.dir, container.path);
    here.remember('web', 'gone', '/run/netns/that-never-was', '10.214.0.7');
    here.reserve('web', '10.214.0.7', 'gone');
    const report = join(host.dir, 'report.json');
    expect((await here.run('ipam', 'check', '-o', report)).stdout).toContain('error CNI2020 web 10.214.0.7');
    expect((await here.run('ipam', 'release', '--from-report', report)).stdout).toContain(
      'released web 10.214.0.7',
    );
  });
});

describe('cnitool explain, of an address of the cluster', () => {
  test("of this node's: the block, and what is wrong with it", async ({ host, container }) => {
    const here = troubled(host.dir, container.path);
    const { stdout } = await here.run('explain', '10.214.0.5');
    expect(stdout).toContain('address 10.214.0.5 of eth0 of well\n');
    expect(stdout).toContain('in block 10.214.0.0/26 of space default, network web: held by this node');
    const lost = await here.run('explain', '10.214.2.5');
    expect(lost.stdout).toContain(
      '✗ block 10.214.2.0/26 is lost: another node may give 10.214.2.5 too (CNI2042)\n',
    );
    expect(lost.status).toBe(1);
  });

  test("of another node's: space, block, owner, and where to ask", async ({ host, container }) => {
    const here = troubled(host.dir, container.path);
    const blocks = [
      { block: '10.214.5.0/26', node: 'node2', network: 'web', since },
      { block: '10.214.8.8/32', node: '', network: 'web', since, owner: 'db/db-1/eth0' },
    ];
    const spaces = { ok: true, spaces: [{ space: 'default', blocks }], nodes: [] };
    await here.agent.start({ answers: { spaces } });
    const { status, stdout } = await here.run('explain', '10.214.5.7');
    expect(stdout).toBe(
      [
        'address 10.214.5.7 of the cluster',
        '  in block 10.214.5.0/26 of space default, of node node2',
        "  not this node's: which container has it node node2 knows: cnitool explain 10.214.5.7, there",
        '',
      ].join('\n'),
    );
    expect(status).toBe(0);
    expect((await here.run('explain', '10.214.8.8')).stdout).toContain(
      'of no node now, kept for db/db-1/eth0\n',
    );
    expect((await here.run('explain', '10.214.99.9')).stdout).toContain(
      'of which no node holds the block: free\n',
    );
    z.parse(explainSchema(), JSON.parse((await here.run('explain', '10.214.5.7', '--json')).stdout));
  });

  test('says what it does not know where the agent is away, and nothing of an address that is in no network', async ({
    host,
    container,
  }) => {
    const here = troubled(host.dir, container.path);
    expect((await here.run('explain', '10.214.5.7')).stdout).toContain(
      '? which node has it: cluster-agent is away: ',
    );
    expect((await here.run('explain', '192.0.2.1')).status).toBe(3);
  });

  test('knows the list of blocks, and a reservation as one of cluster-pool', async ({ host, container }) => {
    const here = troubled(host.dir, container.path);
    const list = await here.run('explain', join(host.dir, 'cluster/web.json'));
    expect(list.stdout).toContain(
      "blocks of network web, space default, that this node has of the cluster's addresses",
    );
    expect(list.stdout).toContain('  block 10.214.0.0/26 held: 1 used\n');
    const one = await here.run('explain', join(host.dir, 'networks/web/10.214.0.5'));
    expect(one.stdout).toContain('made by cluster-pool (10-web.conflist:');
  });
});

describe('cnitool doctor, of the addresses of a cluster', () => {
  test('names an agent that is away, and what is wrong with the blocks on the disk', async ({
    host,
    container,
  }) => {
    const here = troubled(host.dir, container.path);
    const { stdout } = await here.run('doctor');
    expect(stdout).toContain(`✗ CNI2040 cluster-agent is away: ${here.agent.socket}: `);
    expect(stdout).toContain('✗ CNI2042 web: block 10.214.2.0/26 of space default is lost: ');
    expect(stdout).toContain('✗ CNI2046 web: 10.214.3.5: container stray/eth0 ');
    expect(stdout.match(/CNI2042/g)).toHaveLength(1);
  });

  test('names an etcd that is out of reach, and what keeps the agent from claiming', async ({
    host,
    container,
  }) => {
    const here = troubled(host.dir, container.path);
    here.agent.give('web', ['10.214.0.0/16']);
    const etcd = { reachable: false, since, error: 'connection refused' };
    await here.agent.start({ answers: { status: { ...fine, etcd, trouble: ['etcd was restored'] } } });
    const { stdout } = await here.run('doctor');
    expect(stdout).toContain(
      `✗ CNI2041 cluster-agent does not reach etcd since ${since}: connection refused → `,
    );
    expect(stdout).toContain('✗ CNI2045 etcd was restored → ');
    expect(stdout).not.toContain('CNI2040');
    here.agent.behave({ answers: { status: fine } });
    const well = await here.run('doctor', '--json');
    const report = z.parse(doctorSchema(), JSON.parse(well.stdout));
    expect(report.findings.filter(({ probe }) => probe === 'cluster')).toEqual([]);
    expect(report.fine).toContainEqual({
      probe: 'cluster',
      what: `1 network, agent at ${here.agent.socket}`,
    });
  });
});

test('cnitool collect takes the lists of blocks along, and no password of etcd', async ({
  host,
  container,
}) => {
  const here = troubled(host.dir, container.path);
  here.network('db', {
    range: '10.215.0.0/16',
    etcd_host: '192.0.2.9:2379',
    etcd_password: 'S3CRET-of-etcd',
  });
  const file = join(host.dir, 'report.tar');
  expect((await here.run('collect', '--output', file)).status).toBe(0);
  const archive = readFileSync(file, 'latin1');
  expect(archive).toContain('cluster/web.json');
  expect(archive).toContain('10.214.2.0');
  expect(archive).not.toContain('S3CRET');
});
