/** What is wrong is said clearly, by ADD and by the agent's status, and nothing is lost by it. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { ledgerKeys } from '@cni-ts/cluster-rig/look';
import { RigNode } from '@cni-ts/cluster-rig/node';
import { Runtime } from '@cni-ts/cluster-rig/runtime';
import { ownAddress, sleep } from '@cni-ts/cluster-rig/stage';
import { etcdProgram, memberFlags } from '@cni-ts/testing/etcd-program';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ClusterLab } from './cluster-lab.ts';

describe.skipIf(etcdProgram() === undefined)('what is wrong', () => {
  let cluster: ClusterLab;
  beforeAll(async () => {
    cluster = await ClusterLab.open({ members: 1 });
  });
  afterAll(() => cluster?.close());
  afterEach(async () => {
    const { runtime, network } = one();
    await runtime.node.stopAgent();
    for (const id of runtime.liveOf(network)) await runtime.del(0, id, network);
  });

  const one = () => {
    const { first: runtime, network } = cluster;
    return { runtime, network, node: runtime.node };
  };

  /** Until its agent can be asked, or five seconds are over. */
  async function untilItAnswers(node: RigNode): Promise<void> {
    for (let i = 0; i < 50 && (await node.complaint())?.includes('ENOENT'); i++) await sleep(0.1);
  }

  /** The sentence of an ADD that fails with the agent started like this, and what the agent's status says. */
  async function told(more: readonly string[], endpoints?: readonly string[]): Promise<string> {
    const { runtime, network, node } = one();
    node.startAgent(more, endpoints);
    await untilItAnswers(node);
    const { error, answer, id } = await runtime.add(0, network);
    if (error === undefined) await runtime.del(0, id, network);
    expect(error, 'ADD should fail').toBeDefined();
    expect((answer?.ended ?? 0) - (answer?.began ?? 0)).toBeLessThan(2.5);
    expect(node.store(network).reservations).toEqual([]);
    return `${error}\n${await node.complaint()}`;
  }

  test('endpoints that nobody answers at', async () => {
    expect(await told([], ['http://10.90.77.77:2379'])).toMatch(
      /^11: .*10\.90\.77\.77:2379[\s\S]*10\.90\.77\.77/,
    );
  });

  test('an endpoint that is something else', async () => {
    const server = createServer((_, answer) => answer.end('<html>welcome</html>'));
    await new Promise<void>((done) => server.listen(8080, ownAddress, done));
    try {
      expect(await told([], [`http://${ownAddress}:8080`])).toMatch(/not etcd|no etcd|isn't etcd/i);
    } finally {
      server.close();
    }
  });

  test('an endpoint of TLS that is asked without, and without its certificate', async () => {
    const { node } = one();
    const [{ place } = expect.unreachable('no member')] = cluster.members.all;
    const url = `https://${place.address}:3379`;
    const peer = `http://${place.address}:3380`;
    const etcd = place.start(
      etcdProgram() ?? '',
      [
        ...memberFlags('tls', join(node.folder, 'tls'), url, peer),
        ...['--initial-cluster', `tls=${peer}`, '--auto-tls', '--log-level', 'error'],
      ],
      { stdio: 'ignore' },
    );
    try {
      await sleep(1);
      expect(await told([], [url])).toMatch(/certificate/);
      await node.stopAgent();
      const foreign = join(node.folder, 'foreign.pem');
      writeFileSync(foreign, 'no certificate at all\n');
      const { error } = await startAndAdd(['--ca-file', foreign], [url]);
      expect(error).toMatch(/certificate|foreign\.pem/);
    } finally {
      etcd.kill('SIGKILL');
    }
  });

  /** As `told`, where the agent may not come up at all: then its log says why. */
  async function startAndAdd(
    more: readonly string[],
    endpoints?: readonly string[],
  ): Promise<{ error: string }> {
    const { runtime, network, node } = one();
    node.startAgent(more, endpoints);
    await sleep(1.5);
    const { error } = await runtime.add(0, network);
    expect(error).toBeDefined();
    return { error: `${error}\n${readFileSync(join(node.folder, 'agent.log'), 'utf8')}` };
  }

  test('a wrong password, and a user who may not', async () => {
    const { gateway } = cluster.members;
    const { node } = one();
    for (const name of ['root', 'cni', 'stranger'])
      await gateway.post('/v3/auth/user/add', { name, password: `of-${name}` });
    await gateway.post('/v3/auth/role/add', { name: 'root' });
    await gateway.post('/v3/auth/user/grant', { user: 'root', role: 'root' });
    await gateway.post('/v3/auth/role/add', { name: 'elsewhere' });
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const perm = { permType: 'READWRITE', key: base64('/elsewhere/'), range_end: base64('/elsewhere0') };
    await gateway.post('/v3/auth/role/grant', { name: 'elsewhere', perm });
    await gateway.post('/v3/auth/user/grant', { user: 'stranger', role: 'elsewhere' });
    await gateway.post('/v3/auth/enable', {});
    try {
      const file = join(node.folder, 'password');
      writeFileSync(file, 'wrong\n');
      chmodSync(file, 0o600);
      expect(await told(['--username', 'stranger', '--password-file', file])).toMatch(/password/);
      await node.stopAgent();
      writeFileSync(file, 'of-stranger\n');
      expect(await told(['--username', 'stranger', '--password-file', file])).toMatch(
        /\/cni\/v1\/[\s\S]*permission|permission[\s\S]*\/cni\/v1\//,
      );
      await node.stopAgent();
      expect(await told([])).toMatch(/user|password|auth/i);
    } finally {
      const { token } = await gateway.post('/v3/auth/authenticate', { name: 'root', password: 'of-root' });
      await fetch(`${cluster.members.endpoints[0]}/v3/auth/disable`, {
        method: 'POST',
        body: '{}',
        headers: { authorization: String(token) },
      });
    }
  });

  test('a list of blocks that is damaged: ADD says so, the agent writes it anew, and nothing in use is lost', async () => {
    const { runtime, network, node } = one();
    await cluster.startAgents();
    const first = await runtime.add(0, network);
    expect(first.error).toBeUndefined();
    const [address] = runtime.live.get(first.id)?.addresses ?? [];
    await node.stopAgent();
    const keys = await ledgerKeys(cluster.members);
    writeFileSync(node.blocksFile(network), '{"node": "n1", "blo');
    const damaged = await runtime.add(0, network);
    expect(damaged.error).toMatch(/blocks .*\/tight\.json is damaged.*restart cluster-agent/);
    expect((await runtime.check(0, first.id, network)).answer).toBeDefined();
    await cluster.startAgents();
    // It asks etcd what it holds.
    let again = await runtime.add(0, network);
    for (let i = 0; i < 20 && again.error !== undefined; i++) {
      await sleep(0.5);
      again = await runtime.add(0, network);
    }
    expect(again.error).toBeUndefined();
    expect(runtime.live.get(again.id)?.addresses).not.toContain(address);
    expect((await runtime.check(0, first.id, network)).error).toBeUndefined();
    const now = await ledgerKeys(cluster.members);
    expect(now).toEqual(expect.arrayContaining(keys));
  });

  test('a list of blocks that cannot be read is named', async () => {
    const { runtime, network, node } = one();
    await cluster.startAgents();
    await runtime.add(0, network);
    await node.stopAgent();
    rmSync(node.blocksFile(network));
    // What a disk that has gone bad leaves: no file at all.
    node.place.sh(
      `mkdir ${node.blocksFile(network).replace(node.folder, '').replace('/disk', '/var/lib/cni')}`,
    );
    expect((await runtime.add(0, network)).error).toMatch(/tight\.json/);
    node.place.sh('rmdir /var/lib/cni/cluster/tight.json');
  });

  test('a second node of one name is refused by its agent and by ADD, which name the other; the first goes on', async () => {
    const { runtime, network, node } = one();
    await cluster.startAgents();
    const stranger = await RigNode.open('twin', '10.90.1.99', node.setup, node.nodeName);
    try {
      stranger.startAgent();
      await untilItAnswers(stranger);
      const second = new Runtime(stranger, runtime.recorder);
      const { error } = await second.add(0, network);
      expect(error).toMatch(/n1/);
      expect(await stranger.complaint()).toMatch(/n1/);
      expect((await runtime.add(0, network)).error).toBeUndefined();
    } finally {
      await stranger.close();
    }
  });
});
