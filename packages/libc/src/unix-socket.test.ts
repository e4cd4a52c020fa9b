import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { UnixSocket } from './unix-socket.ts';

const folder = mkdtempSync(join(tmpdir(), 'unix-socket-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A service at `path` in a process of its own, since everything here blocks; `talk` is its part, with `l` listening. */
async function service(path: string, talk: string): Promise<() => void> {
  const python = `import socket, sys, time
l = socket.socket(socket.AF_UNIX); l.bind(sys.argv[1].replace('@', '\\0')); l.listen(0); print('listens', flush=True)
${talk}`;
  const child = spawn('python3', ['-c', python, path.replace('\0', '@')]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return () => void child.kill('SIGKILL');
}

test.each([
  ['in a folder', join(folder, 'echo')],
  ['abstract', `\0${folder}/echo`],
])('bytes come and go, and the end shows: a socket %s', async (_name, path) => {
  const stop = await service(path, 'c = l.accept()[0]; c.sendall(c.recv(100) + b"!"); c.close()');
  const socket = UnixSocket.connect(path, 1000);
  socket.write(new TextEncoder().encode('hello'));
  expect(new TextDecoder().decode(socket.read(5000))).toBe('hello!');
  expect(socket.read(5000)).toHaveLength(0);
  socket.close();
  stop();
});

test('a service that says nothing is waited for as long as it was said', async () => {
  const path = join(folder, 'silent');
  const stop = await service(path, 'c = l.accept()[0]; time.sleep(60)');
  const socket = UnixSocket.connect(path, 1000);
  const started = performance.now();
  expect(socket.read(50)).toBeUndefined();
  expect(performance.now() - started).toBeLessThan(5000);
  socket.close();
  stop();
});

test('nor does one that takes no connections hold us up', async () => {
  const path = join(folder, 'full');
  const stop = await service(path, 'time.sleep(60)');
  const first = UnixSocket.connect(path, 1000); // waits in the queue, which has room for one
  expect(() => UnixSocket.connect(path, 50)).toThrow('resource temporarily unavailable');
  first.close();
  stop();
});

test('a socket that is not there, and a path too long for one', () => {
  expect(() => UnixSocket.connect(join(folder, 'none'), 50)).toThrow('no such file or directory');
  expect(() => UnixSocket.connect(`/${'x'.repeat(108)}`, 50)).toThrow('invalid argument');
});
