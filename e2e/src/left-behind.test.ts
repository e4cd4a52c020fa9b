/** DEL answers when everything is gone; what the kernel has to free then is waited for by processes of their own. */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Backend, backends, Chain, orders } from './chain.ts';
import { Lab, ours } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.addWorld();
});
afterEach(() => lab.close());

/** Processes that run our program in the lab's network namespace. */
function running(): string[] {
  const own = readlinkSync('/proc/thread-self/ns/net');
  const program = realpathSync(join(ours, 'bridge'));
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readlinkSync(`/proc/${pid}/ns/net`) === own && isOf(program, readlinkSync(`/proc/${pid}/exe`));
    } catch {
      return false; // reason: it has ended meanwhile
    }
  });
}

/** The program has several names. */
function isOf(program: string, exe: string): boolean {
  return exe.slice(0, exe.lastIndexOf('/')) === program.slice(0, program.lastIndexOf('/'));
}

test.each(backends)(
  'by %s: nothing is left when DEL answers, and soon no process either',
  async (backend: Backend) => {
    const order = orders.find(([one]) => one === backend)?.[1] ?? [];
    const chain = new Chain(lab, 'quick', 71, order, { backend });
    await chain.warmUp();
    const before = lab.left();
    const netns = lab.container('c1');
    await chain.run('add', netns, { hostPort: 8071 });
    await chain.run('del', netns, { hostPort: 8071 });
    expect(lab.left()).toEqual(before);
    // The same names at once again.
    await chain.run('add', netns, { hostPort: 8071 });
    await chain.run('check', netns, { hostPort: 8071 });
    await chain.run('del', netns, { hostPort: 8071 });
    expect(lab.left()).toEqual(before);
    for (let waited = 0; running().length > 0 && waited < 5000; waited += 50) await pause(50);
    expect(running()).toEqual([]);
  },
);

test('a runtime that waits for the outputs to end does not wait for what is left behind', async () => {
  const netns = lab.container('c1');
  const ipam = { type: 'host-local', subnet: '10.72.0.0/24', dataDir: lab.networks };
  const config = JSON.stringify({ cniVersion: '1.1.0', name: 'pipes', type: 'ptp', ipMasq: true, ipam });
  const call = (command: string) => {
    const child = spawn(join(ours, 'ptp'), {
      env: {
        ...{
          CNI_COMMAND: command,
          CNI_CONTAINERID: 'c1',
          CNI_NETNS: netns,
          CNI_IFNAME: 'eth0',
          CNI_PATH: ours,
        },
        PATH: process.env.PATH ?? '',
      },
    });
    child.stdin.end(config);
    const started = performance.now();
    let exited = 0;
    child.once('exit', () => {
      exited = performance.now() - started;
    });
    return new Promise<{ exited: number; closed: number; status: number | null }>((resolve) =>
      child.once('close', (status) => resolve({ exited, closed: performance.now() - started, status })),
    );
  };
  // It stays for 60 ms and more, and an output it held would be open as long, every time.
  const gaps: number[] = [];
  while (gaps.length < 5 && !gaps.some((gap) => gap < 50)) {
    expect((await call('ADD')).status).toBe(0);
    const { exited, closed, status } = await call('DEL');
    expect(status).toBe(0);
    gaps.push(closed - exited);
  }
  expect(Math.min(...gaps)).toBeLessThan(50);
});
