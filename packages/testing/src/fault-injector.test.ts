import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { type Fault, reported, underFault } from './fault-injector.ts';
import { type Host, test } from './namespaces.ts';

/** Runs a shell's words under a fault, on the test's host. */
function shell({ dir }: Host, fault: Fault, words: string) {
  const report = join(dir, 'report');
  const [file, args] = underFault(fault, report, '/bin/sh', ['-c', words]);
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', input: 'given', cwd: dir });
  return { status, stdout, stderr, changes: reported(report) };
}

describe('a fault', () => {
  test('that never comes lets a program be, and its changes are counted', ({ host }) => {
    const words = 'cat; mkdir d; echo x >d/f; ip link add b0 type bridge; exit 7';
    const { status, stdout, changes } = shell(host, { mode: 'refuse', at: 0 }, words);
    expect({ status, stdout }).toEqual({ status: 7, stdout: 'given' });
    expect(changes.map((line) => line.replace(`${host.dir}/`, ''))).toEqual([
      'mkdir d',
      'create d/f',
      'write d/f',
      'netlink request of type 16',
      'netlink request of type 16', // `ip` tries an empty one first
    ]);
    expect(host.succeeds('ip link show b0')).toBe(true);
  });

  test('refuses one change and no other', ({ host }) => {
    const { stderr } = shell(host, { mode: 'refuse', at: 1 }, '>f; >g; ip link add b0 type bridge');
    expect(stderr).toMatch(/cannot create f/);
    expect([existsSync(join(host.dir, 'f')), existsSync(join(host.dir, 'g'))]).toEqual([false, true]);
    expect(shell(host, { mode: 'refuse', at: 2 }, 'ip link add b1 type bridge').status).not.toBe(0);
    expect([host.succeeds('ip link show b0'), host.succeeds('ip link show b1')]).toEqual([true, false]);
  });

  test('is that the answer to a request is lost, which was carried out', ({ host }) => {
    const { status, stderr } = shell(host, { mode: 'lose', at: 1 }, '>f; tc qdisc add dev lo root pfifo');
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/No buffer space/) });
    expect(host.sh('tc qdisc show dev lo')).toMatch(/pfifo/);
  });

  test('is a kill before the change; what the program had started goes on', ({ host }) => {
    const { status } = shell(host, { mode: 'kill', at: 2 }, '(sleep 0.2; echo x >>later) & >f; >g; >h');
    expect(status).toBe(137);
    expect([existsSync(join(host.dir, 'f')), existsSync(join(host.dir, 'g'))]).toEqual([true, false]);
    expect(readFileSync(join(host.dir, 'later'), 'utf8')).toBe('x\n');
  });

  test('is SIGTERM before the change, which a program may outlive', ({ host }) => {
    const { status, stdout } = shell(host, { mode: 'term', at: 1 }, 'trap "echo asked" TERM; >f; >g; exit 3');
    expect({ status, stdout }).toEqual({ status: 3, stdout: 'asked\n' });
    expect(shell(host, { mode: 'term', at: 1 }, '>h; sleep 5').status).toBe(128 + 15);
  });
});
