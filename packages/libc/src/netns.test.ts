import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lockFile } from './file-lock.ts';
import { unshareMounts } from './mount.ts';
import { Netns, NetnsError } from './netns.ts';
import { ensureSysctl, readSysctl, writeSysctl } from './sysctl.ts';

const dir = mkdtempSync(join(tmpdir(), 'cni-netns-'));
const inode = () => statSync('/proc/thread-self/ns/net').ino;
let machine = 0;

beforeAll(() => {
  machine = inode();
  Netns.unshareThread();
});
afterAll(() => rmSync(dir, { recursive: true }));

test('a thread that unshared is in a namespace of its own', () => {
  expect(inode()).not.toBe(machine);
});

describe('running inside a namespace', () => {
  test('the work sees that namespace, and the thread is back afterwards', () => {
    const before = inode();
    const netns = Netns.create();
    const within = netns.run(() => inode());
    expect(within).not.toBe(before);
    expect(inode()).toBe(before);
    netns.close();
  });

  test('the thread comes back when the work throws', () => {
    const before = inode();
    const netns = Netns.create();
    expect(() =>
      netns.run((): void => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(inode()).toBe(before);
    netns.close();
  });

  test('/proc/sys/net is that of the namespace', () => {
    const netns = Netns.create();
    netns.run(() => writeSysctl('net/ipv4/ip_forward', '1'));
    writeSysctl('net/ipv4/ip_forward', '0');
    expect(netns.run(() => readSysctl('net/ipv4/ip_forward'))).toBe('1');
    expect(readSysctl('net/ipv4/ip_forward')).toBe('0');
    netns.close();
  });
});

describe('opening by path', () => {
  test('a named namespace is opened, recognised as the same, and removed', () => {
    const path = join(dir, 'a');
    const netns = Netns.createAt(path);
    const again = Netns.open(path);
    expect(again.sameAs(netns)).toBe(true);
    expect(again.sameAs(Netns.current())).toBe(false);
    Netns.remove(path);
    expect(existsSync(path)).toBe(false);
  });

  test('nothing at the path is told apart from everything else', () => {
    const path = join(dir, 'missing');
    expect(() => Netns.open(path)).toThrow(`failed to Statfs "${path}": no such file or directory`);
    expect(failure(path).gone).toBe(true);
  });

  test('a plain file is refused: the namespace whose mount point it was is gone', () => {
    const path = join(dir, 'file');
    writeFileSync(path, '');
    expect(failure(path).message).toMatch(new RegExp(`^unknown FS magic on "${path}": [0-9a-f]+$`));
    expect(failure(path).gone).toBe(true);
  });

  test('a namespace of another kind is refused when it is entered', () => {
    const netns = Netns.open('/proc/self/ns/uts');
    expect(() => netns.run(() => 0)).toThrow(
      'error switching to ns /proc/self/ns/uts: Error switching to ns /proc/self/ns/uts: invalid argument',
    );
    netns.close();
  });

  function failure(path: string): NetnsError {
    try {
      Netns.open(path);
    } catch (error) {
      if (error instanceof NetnsError) return error;
    }
    throw new Error('was opened');
  }
});

test('a setting that has its value already is not written', () => {
  const before = readFileSync('/proc/sys/kernel/ostype', 'utf8').trim();
  expect(() => ensureSysctl('kernel/ostype', before)).not.toThrow();
  expect(() => ensureSysctl('kernel/ostype', 'Other')).toThrow('open /proc/sys/kernel/ostype: ');
});

test('a lock file is created with its mode, empty, and can be taken again after unlocking', () => {
  const path = join(dir, 'lock');
  const umask = process.umask();
  lockFile(path, 0o750).unlock();
  expect(statSync(path).mode & 0o777).toBe(0o750 & ~umask);
  expect(statSync(path).size).toBe(0);
  lockFile(path, 0o750).unlock();
});

test('a lock file that cannot be opened names the file', () => {
  expect(() => lockFile(dir, 0o750)).toThrow(`open ${dir}: is a directory`);
  expect(() => lockFile(join(dir, 'no/lock'), 0o750)).toThrow(
    `open ${join(dir, 'no/lock')}: no such file or directory`,
  );
});

test('mounts made after unsharing stay in the thread', () => {
  expect(() => unshareMounts()).not.toThrow();
});
