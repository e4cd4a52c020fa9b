/** One directory, many processes at once: ours and the reference's. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type Answer, hasReference, TrialNetwork } from '../test/trial-network.ts';
import { hostLocalWith } from './host-local.ts';

const withReference = test.skipIf(!hasReference);

function network(ipam: Record<string, unknown>): TrialNetwork {
  const net = new TrialNetwork(ipam);
  onTestFinished(() => net[Symbol.dispose]());
  return net;
}

const address = ({ json, stdout }: Answer) => json.ips?.[0]?.address ?? stdout;

/** Holds a lock on the network's lock file, in a process of its own, until the returned function is called. */
async function hold(net: TrialNetwork, program: string): Promise<() => void> {
  mkdirSync(net.directory, { recursive: true });
  const lock = join(net.directory, 'lock');
  closeSync(openSync(lock, 'w'));
  const holder = spawn('python3', ['-c', program, lock], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill());
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  return () => holder.stdin.end();
}

const flock = `import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()`;
const posixLock = `import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()`;

test('ADD waits for whoever holds the flock (host-local 38)', async () => {
  const net = network({ subnet: '10.0.0.0/24' });
  const release = await hold(net, flock);
  const { ended } = net.start('ours', { command: 'ADD' });
  expect(await Promise.race([ended, pause(700, 'still waiting')])).toBe('still waiting');
  expect(net.reserved).toEqual([]);
  release();
  expect(address(await ended)).toBe('10.0.0.2/24');
});

test('ADD does not care for an fcntl lock (host-local 38)', async () => {
  const net = network({ subnet: '10.0.0.0/24' });
  await hold(net, posixLock);
  expect(address(await net.run('ours', { command: 'ADD' }))).toBe('10.0.0.2/24');
});

withReference(
  '70 ADDs at once, ours and the reference’s mixed, share out a /26 (host-local 39)',
  async () => {
    const net = network({ subnet: '10.0.0.0/26' });
    const answers = await Promise.all(
      Array.from({ length: 70 }, (_, n) =>
        net.run(n % 2 === 0 ? 'ours' : 'reference', { command: 'ADD', id: `c${n}` }),
      ),
    );
    const given = answers.filter((answer) => answer.status === 0).map(address);
    expect(new Set(given).size).toBe(61);
    expect(given).toHaveLength(61);
    const refused = answers.filter((answer) => answer.status !== 0).map((answer) => answer.json.msg);
    expect(refused).toEqual(
      Array(9).fill(
        'failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.62',
      ),
    );
    expect(net.reserved).toHaveLength(61);
  },
);

withReference('what one implementation reserves the other checks and deletes (host-local 40)', async () => {
  const net = network({ ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: 'fd00::/64' }]] });
  for (const [maker, other] of [
    ['ours', 'reference'],
    ['reference', 'ours'],
  ] as const) {
    const id = `made-by-${maker}`;
    expect((await net.run(maker, { command: 'ADD', id })).status).toBe(0);
    expect((await net.run(other, { command: 'CHECK', id })).status).toBe(0);
    expect((await net.run(other, { command: 'ADD', id })).json.msg).toContain(
      'duplicate allocation is not allowed',
    );
    expect((await net.run(other, { command: 'DEL', id })).status).toBe(0);
    expect((await net.run(maker, { command: 'CHECK', id })).status).toBe(1);
    expect(net.reserved).toEqual([]);
  }
});

withReference('the round robin goes on across both implementations (host-local 40)', async () => {
  const net = network({ subnet: '10.0.0.0/24' });
  const given = [];
  for (const [n, program] of (
    ['ours', 'reference', 'reference', 'ours', 'ours', 'reference'] as const
  ).entries()) {
    given.push(address(await net.run(program, { command: 'ADD', id: `c${n}` })));
  }
  expect(given).toEqual([2, 3, 4, 5, 6, 7].map((last) => `10.0.0.${last}/24`));
});

withReference('an index is not believed once the reference has been at work, however soon', async () => {
  const net = network({ subnet: '10.0.0.0/24' });
  const ours = hostLocalWith(net.indexFolder);
  for (let n = 0; n < 25; n++) {
    const id = `c${n}`;
    await net.call(ours, { command: 'ADD', id: `before-${n}` });
    await net.run('reference', { command: 'ADD', id });
    expect((await net.call(ours, { command: 'ADD', id })).json.msg).toContain('duplicate allocation');
    await net.run('reference', { command: 'DEL', id });
    expect((await net.call(ours, { command: 'CHECK', id })).status).toBe(1);
    expect((await net.call(ours, { command: 'DEL', id: `before-${n}` })).status).toBe(0);
  }
  expect(net.reserved).toEqual([]);
});

withReference(
  '5,000 reservations cost an ADD nothing, and the reference may work beside it (host-local 42)',
  async () => {
    const net = network({ subnet: '10.0.0.0/16' });
    for (let n = 2; n < 5002; n++) net.write(`10.0.${n >> 8}.${n & 255}`, `x${n}\r\neth0`);
    net.write('last_reserved_ip.0', '10.0.19.137');
    const ours = hostLocalWith(net.indexFolder);
    // The first makes the index.
    expect((await net.call(ours, { command: 'ADD', id: 'first' })).status).toBe(0);
    // The reference opens every file, which takes it 62 ms. Whoever opened them would find these IDs taken.
    for (let n = 2; n < 5002; n++) net.write(`10.0.${n >> 8}.${n & 255}`, `c${n % 21}\r\neth0`);
    for (let n = 0; n < 21; n++) {
      expect((await net.call(ours, { command: 'ADD', id: `c${n}` })).status).toBe(0);
    }
    const [one, other] = await Promise.all([
      net.run('reference', { command: 'ADD', id: 'beside' }),
      net.run('ours', { command: 'ADD', id: 'here' }),
    ]);
    expect([address(one), address(other)].sort()).toEqual(['10.0.19.160/16', '10.0.19.161/16']);
  },
);

test('plugins killed at any moment leave nothing that cannot be had again', async () => {
  const net = network({ subnet: '10.0.0.0/28' });
  const ours = hostLocalWith(net.indexFolder);
  // An executable takes some milliseconds, Node a quarter of a second; eight of them at once that many times over.
  let usual = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 3; n++) {
    const began = performance.now();
    await net.run('ours', { command: 'ADD', id: `timed${n}` });
    usual = Math.min(usual, performance.now() - began);
    await net.call(ours, { command: 'DEL', id: `timed${n}` });
  }
  let killed = 0;
  for (let round = 0; round < 12; round++) {
    // At most eight live at once, of thirteen addresses, so none may be told that the range is full.
    const trials = Array.from({ length: 8 }, async (_, n) => {
      const { child, ended } = net.start('ours', { command: 'ADD', id: `r${round}-${n}` });
      const kill = setTimeout(() => child.kill('SIGKILL'), Math.random() * 4 * usual);
      const answer = await ended;
      clearTimeout(kill);
      return answer;
    });
    for (const answer of await Promise.all(trials)) {
      if (answer.stdout === '') killed++;
      else expect(answer.stdout).not.toContain('no IP addresses available');
    }
    // The runtime's duty after any ADD, also one that died.
    for (let n = 0; n < 8; n++)
      expect((await net.call(ours, { command: 'DEL', id: `r${round}-${n}` })).status).toBe(0);
    expect(net.reserved.filter((name) => net.read(name) !== '')).toEqual([]);
  }
  expect(killed).toBeGreaterThan(0);
  for (let n = 0; n < 13; n++) {
    expect((await net.call(ours, { command: 'ADD', id: `final${n}` })).status).toBe(0);
  }
}, 120_000);
