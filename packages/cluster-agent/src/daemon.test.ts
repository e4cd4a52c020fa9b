/** The program against a real etcd. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { AgentStatus, BlockQuestion } from '@cni-ts/cluster/agent-talk';
import { blockText } from '@cni-ts/cluster/block';
import { parseBlocks } from '@cni-ts/cluster/blocks-file';
import { UnixListener } from '@cni-ts/libc/unix-listener';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { EtcdServer } from '@cni-ts/testing/etcd-server';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Daemon } from '../test/daemon.ts';

const scratch = mkdtempSync(join(tmpdir(), 'cni-agent-'));
const started: Daemon[] = [];
let home: string;
let count = 0;
beforeEach(() => {
  count++;
  home = join(scratch, String(count));
  mkdirSync(home);
});
afterAll(async () => {
  await Promise.all(started.map((one) => one.end('SIGKILL')));
  rmSync(scratch, { recursive: true });
});

function daemon(args: readonly string[], listener?: number): Daemon {
  const one = new Daemon(home, ['--node', `n${count}`, ...args], listener);
  started.push(one);
  return one;
}

/** Of a space of the test's own. */
function block(length: number, more: Partial<BlockQuestion> = {}): BlockQuestion {
  return {
    ask: 'block',
    network: 'net',
    space: `s${count}`,
    folder: join(home, 'networks/net'),
    cooldown: 60,
    ranges: [{ start: '10.0.0.1', end: '10.0.255.254', subnet: '10.0.0.0/16', exclude: [] }],
    blockLength: length,
    now: true,
    ...more,
  };
}

function held(): string[] {
  const path = join(home, 'state/net.json');
  if (!existsSync(path)) return [];
  return parseBlocks(readFileSync(path, 'utf8'), path).blocks.map(blockText);
}

/** All addresses of what is held are in use. */
function fill(): void {
  const folder = join(home, 'networks/net');
  mkdirSync(folder, { recursive: true });
  for (const one of held()) writeFileSync(join(folder, one.split('/')[0]!), 'c1\r\neth0');
}

describe.skipIf(etcdProgram() === undefined)('with etcd', () => {
  let members: EtcdServer[];
  const endpoints = () => ['--endpoints', members.map(({ endpoint }) => endpoint).join()];
  beforeAll(async () => {
    members = await EtcdServer.cluster(3);
  });
  afterAll(() => Promise.all(members.map((one) => one[Symbol.asyncDispose]())));

  test('a member that is killed is not missed; without etcd the error is there within two seconds', async () => {
    const agent = await daemon(endpoints()).ready();
    expect(await agent.ask(block(32))).toEqual({ ok: true });
    fill();
    await members[0]!.kill();
    await expect.poll(() => agent.ask(block(32)), { timeout: 10_000 }).toEqual({ ok: true });
    expect(held()).toHaveLength(2);
    fill();
    await Promise.all(members.slice(1).map((one) => one.kill()));
    for (let i = 0; i < 3; i++) {
      const asked = performance.now();
      expect(await agent.ask(block(32))).toMatchObject({
        error: {
          code: 11,
          message: expect.stringMatching(/out of reach since|has not answered/),
          details: expect.stringContaining('addresses of the blocks that'),
        },
      });
      expect(performance.now() - asked).toBeLessThan(2000);
    }
    expect(held()).toHaveLength(2);
    expect(await agent.ask<AgentStatus>({ ask: 'status' })).toMatchObject({ etcd: { reachable: false } });
    await Promise.all(members.map((one) => one.startAgain()));
    await expect.poll(() => agent.ask(block(32)), { timeout: 10_000 }).toEqual({ ok: true });
  });

  test('a killed agent goes on from the disk, and SIGTERM ends it with its lists as they are', async () => {
    const agent = await daemon(endpoints()).ready();
    expect(await agent.ask(block(28))).toEqual({ ok: true });
    const before = held();
    expect(statSync(agent.socket).mode & 0o777).toBe(0o660);
    await agent.end('SIGKILL');
    await agent.again().ready();
    expect(held()).toEqual(before);
    fill();
    expect(await agent.end()).toBe(0);
    expect(held()).toEqual(before);
  });

  test('no plugin that asks meanwhile is refused while the agent is restarted', async () => {
    const listener = UnixListener.bind(join(home, 'agent.sock'));
    const agent = daemon(endpoints(), listener.fd);
    let stop = false;
    const answers: unknown[] = [];
    const load = Promise.all(
      Array.from({ length: 4 }, async (_, i) => {
        while (!stop) {
          answers.push(await agent.ask(block(32, { network: `net${i}` })));
          await pause(20);
        }
      }),
    );
    for (let i = 0; i < 3; i++) {
      await pause(500);
      await agent.ready();
      expect(await agent.end(i === 1 ? 'SIGKILL' : 'SIGTERM')).toBe(i === 1 ? null : 0);
      agent.again();
    }
    await agent.ready();
    await pause(500);
    stop = true;
    await load;
    expect(answers.filter((one) => JSON.stringify(one) !== '{"ok":true}')).toEqual([]);
    expect(answers.length).toBeGreaterThan(8);
    listener.close();
  }, 60_000);

  test('metrics, health and readiness are seen at a socket', async () => {
    const path = join(home, 'listen.sock');
    const agent = await daemon([...endpoints(), '--listen', `unix:${path}`, '--log', 'json']).ready();
    expect(await agent.ask(block(28))).toEqual({ ok: true });
    const get = (url: string) =>
      new Promise<string>((done, fail) => {
        request({ socketPath: path, path: url }, (response) => {
          let text = String(response.statusCode);
          response.setEncoding('utf8').on('data', (part: string) => {
            text += ` ${part}`;
          });
          response.on('end', () => done(text));
        })
          .on('error', fail)
          .end();
      });
    expect(await get('/metrics')).toContain('cni_cluster_blocks{network="net",state="held"} 1');
    expect(await get('/healthz')).toBe('200 ok\n');
    expect(await get('/readyz')).toBe('200 ok\n');
    for (const line of agent.said.trim().split('\n')) {
      expect(JSON.parse(line)).toMatchObject({ level: 'info', message: expect.any(String) });
    }
    agent.signal('SIGHUP');
    await expect.poll(() => agent.said).toContain('are read again');
    fill();
    expect(await agent.ask(block(32))).toEqual({ ok: true });
  });
});

test('a person’s word reaches the agent that runs', async () => {
  const agent = await daemon(['--endpoints', 'http://127.0.0.1:1']).ready();
  const word = daemon(['--accept-restored']);
  expect(await word.ended()).toBe(0);
  expect(word.said).toContain('was told');
  expect(existsSync(join(home, 'state/agent/accept-restored'))).toBe(true);
  expect(await agent.end()).toBe(0);
});

test('where nobody listens for etcd it says so, and which settings to look at', async () => {
  const agent = await daemon(['--endpoints', 'http://127.0.0.1:1']).ready();
  expect(await agent.ask(block(28))).toMatchObject({
    error: { message: expect.stringContaining('127.0.0.1:1'), details: expect.stringContaining('endpoints') },
  });
});

test('what is wrong with its call ends it with 2, and how it is called is shown', async () => {
  for (const args of [
    ['--endpoint', 'x'],
    ['--log', 'loud'],
    ['--endpoints', 'ftp://x'],
    ['--cert-file', '/x'],
  ]) {
    const agent = daemon(args);
    await expect.poll(() => agent.said, { timeout: 10_000 }).toContain('--help');
    expect(await agent.ended()).toBe(2);
  }
});
