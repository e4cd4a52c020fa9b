/** The daemon as a process: its flags, its socket, and what clients may do to it. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isListening } from '@cni-ts/testing/is-listening';
import { expect, test } from 'vitest';
import { count, Lab, program, until } from '../test/dhcp-lab.ts';
import { RawClient } from '../test/raw-client.ts';
import { giving, ScriptedServer } from '../test/scripted-server.ts';

/** Runs the daemon where it is to end by itself. */
async function failing(lab: Lab, ...flags: string[]): Promise<{ status: number | null; log: string }> {
  const [file, args] = program('ours');
  const { ended, log } = lab.start(file, [...args, 'daemon', '-statedir', lab.state, ...flags]);
  return { status: await ended, log: log() };
}

test('pidfile, folders of mode 0700, and both gone after SIGTERM, with exit status 0 (dhcp 27)', async () => {
  await using lab = new Lab();
  const pidfile = join(lab.folder, 'pid');
  const daemon = await lab.daemon(['-pidfile', pidfile]);
  expect(readFileSync(pidfile, 'utf8')).toBe(String(daemon.process.pid));
  expect(statSync(pidfile).mode & 0o777).toBe(0o644);
  expect(statSync(join(lab.folder, 'run')).mode & 0o777).toBe(0o700);
  daemon.process.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
  expect(existsSync(pidfile)).toBe(false);
  expect(existsSync(lab.socket)).toBe(false);
});

test.each([1, 2, 3])('SIGTERM while it begins: it ends as later, and leaves nothing (%i)', async () => {
  await using lab = new Lab();
  const pidfile = join(lab.folder, 'pid');
  const [file, args] = program('ours');
  const flags = ['-statedir', lab.state, '-socketpath', lab.socket, '-pidfile', pidfile];
  const { ended, process, log } = lab.start(file, [...args, 'daemon', ...flags]);
  // The first that it makes. No turn of the event loop in between: the rest takes it less than that.
  for (const end = performance.now() + 10_000; !existsSync(pidfile) && performance.now() < end; );
  process.kill('SIGTERM');
  expect(await ended, log()).toBe(0);
  expect(existsSync(pidfile)).toBe(false);
  expect(existsSync(lab.socket)).toBe(false);
});

test('a relative pidfile, an unknown flag, a duration that is none, and -h (dhcp 27)', async () => {
  await using lab = new Lab();
  const relative = await failing(lab, '-pidfile=rel.pid', '-socketpath', lab.socket);
  expect(relative.status).toBe(1);
  expect(relative.log).toMatch(
    /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d Error writing pidfile "rel\.pid": path not absolute\n$/,
  );
  const unknown = await failing(lab, '--nonsense');
  expect(unknown.status).toBe(2);
  expect(unknown.log).toContain('flag provided but not defined: -nonsense');
  expect((await failing(lab, '-timeout', '10')).status).toBe(2);
  const help = await failing(lab, '-h');
  expect(help.status).toBe(0);
  expect(help.log).toContain('-resendtimeout');
});

test('the socket of a daemon that was killed is replaced; one that lives is left alone, and the second ends (dhcp 27, trap 2)', async () => {
  await using lab = new Lab();
  const first = await lab.daemon();
  first.process.kill('SIGKILL');
  await first.ended;
  expect(existsSync(lab.socket)).toBe(true);
  const second = await lab.daemon();
  const third = await failing(lab, '-socketpath', lab.socket);
  expect(third.status).toBe(1);
  expect(third.log).toContain(
    `Error getting listener: listen unix ${lab.socket}: bind: address already in use`,
  );
  expect(second.process.exitCode).toBe(null);
  const client = new RawClient(lab.socket);
  await client.greet();
  client.socket.destroy();
});

test('a second daemon for the same leases ends, and leaves pidfile and socket of the first (trap 2)', async () => {
  await using lab = new Lab();
  const pidfile = join(lab.folder, 'pid');
  const first = await lab.daemon(['-pidfile', pidfile]);
  const other = join(lab.folder, 'other.sock');
  const second = await failing(lab, '-socketpath', other, '-pidfile', pidfile);
  expect(second.status).toBe(1);
  expect(second.log).toContain(`another daemon has the leases of "${lab.state}"`);
  expect(existsSync(other)).toBe(false);
  for (const statedir of [lab.state, join(lab.folder, 'other')]) {
    const third = await failing(lab, '-socketpath', lab.socket, '-pidfile', pidfile, '-statedir', statedir);
    expect(third.status).toBe(1);
    expect(third.log).toContain('address already in use');
  }
  expect(readFileSync(pidfile, 'utf8')).toBe(String(first.process.pid));
  const client = new RawClient(lab.socket);
  await client.greet();
  client.socket.destroy();
});

test('a folder of leases that cannot be is told at the start; what is no file in it is left', async () => {
  await using lab = new Lab();
  const file = join(lab.folder, 'file');
  writeFileSync(file, '');
  const { status, log } = await failing(lab, '-socketpath', lab.socket, '-statedir', file);
  expect(status).toBe(1);
  expect(log).toContain(
    `Error opening the folder of leases "${file}" (-statedir): mkdir ${file}: file exists`,
  );
  mkdirSync(join(lab.state, 'x.lease'), { recursive: true });
  const daemon = await lab.daemon();
  await until(() => daemon.log().includes('x.lease is no lease'), 'a word on it', daemon.log);
  expect(existsSync(join(lab.state, 'x.lease'))).toBe(true);
});

test('a lease that does not fit is put aside with a word, and no ADD waits for it; one of another version is left', async () => {
  await using lab = new Lab();
  using _server = new ScriptedServer(lab.serverPlace(), giving('192.168.7.50'));
  const first = await lab.daemon();
  const container = lab.container();
  await lab.add(container);
  first.process.kill('SIGTERM');
  await first.ended;
  const path = join(lab.state, lab.kept[0]!);
  const good = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...good, removed: [7] }));
  writeFileSync(join(lab.state, 'text.lease'), 'no json');
  writeFileSync(join(lab.state, 'later.lease'), JSON.stringify({ ...good, version: 2 }));
  const second = await lab.daemon();
  expect(await lab.add(container)).toBe('192.168.7.50/24');
  expect(second.log()).toContain(`${path} is no lease and is not used: it does not have what a lease must`);
  expect(second.log()).toContain('later.lease is a lease of another version of this program');
  for (const [name, isThere] of [
    [`${path}.bad`, true],
    [join(lab.state, 'text.lease'), false],
    [join(lab.state, 'text.lease.bad'), true],
    [join(lab.state, 'later.lease'), true],
  ] as const)
    expect([name, existsSync(name)]).toEqual([name, isThere]);
  await lab.succeed('DEL', container);
});

test('a folder of leases that takes no writing is told at the start, by STATUS and by ADD; leases that there are go on', async () => {
  await using lab = new Lab();
  mkdirSync(lab.state);
  lab.host.sh(`mount -t tmpfs -o ro none ${lab.state}`);
  try {
    const daemon = await lab.daemon();
    const config = { cniVersion: '1.1.0' };
    const why = `no lease can be stored in "${lab.state}" (-statedir): open ${lab.state}/`;
    await until(() => daemon.log().includes(why), 'a word on it', daemon.log);
    const container = lab.container();
    const status = await lab.call('STATUS', container, { config });
    expect(status.json).toMatchObject({ code: 50, msg: expect.stringContaining(why) });
    expect(status.json.msg).toContain('read-only file system');
    lab.host.sh(`mount -o remount,rw none ${lab.state}`);
    await lab.succeed('STATUS', container, { config });
    expect(lab.kept).toEqual([]);
  } finally {
    lab.host.sh(`umount -l ${lab.state}`);
  }
});

test('a socket that is removed under a daemon is made anew; what others put in its place is left', async () => {
  await using lab = new Lab();
  const daemon = await lab.daemon();
  const config = { cniVersion: '1.1.0' };
  const container = lab.container();
  for (const what of [lab.socket, join(lab.folder, 'run')]) {
    rmSync(what, { recursive: true });
    await until(() => isListening(lab.socket), 'the socket', daemon.log);
    await lab.succeed('STATUS', container, { config });
  }
  expect(count(daemon.log(), `the socket ${lab.socket} was removed, and is made anew`)).toBe(2);
  rmSync(lab.socket);
  writeFileSync(lab.socket, 'mine');
  await until(() => daemon.log().includes('replaced by another'), 'a word on it', daemon.log);
  daemon.process.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
  expect(readFileSync(lab.socket, 'utf8')).toBe('mine');
  expect(count(daemon.log(), 'replaced by another')).toBe(1);
});

test('a file that is no socket is not replaced (dhcp 27)', async () => {
  await using lab = new Lab();
  const path = join(lab.folder, 'file');
  writeFileSync(path, 'mine');
  const { status, log } = await failing(lab, '-socketpath', path);
  expect(status).toBe(1);
  expect(log).toContain('address already in use');
  expect(readFileSync(path, 'utf8')).toBe('mine');
});

test('hostprefix is put before the socket and namespaces, not before the pidfile (dhcp 27, trap 24)', async () => {
  await using lab = new Lab();
  using server = new ScriptedServer(lab.serverPlace(), giving('192.168.7.50'));
  const pidfile = join(lab.folder, 'pid');
  const [file, args] = program('ours');
  const socket = '/prefixed/dhcp.sock';
  lab.start(file, [
    ...args,
    'daemon',
    '-hostprefix',
    lab.folder,
    '-socketpath',
    socket,
    '-pidfile',
    pidfile,
    '-statedir',
    lab.state,
  ]);
  await until(() => isListening(lab.folder + socket), 'the socket');
  expect(existsSync(pidfile)).toBe(true);
  const container = lab.container();
  mkdirSync(join(lab.folder, 'netns'));
  lab.host.sh(`touch ${lab.folder}/netns/c; mount --bind ${container.path} ${lab.folder}/netns/c`);
  const ipam = { daemonSocketPath: lab.folder + socket };
  const { json } = await lab.succeed('ADD', container, { netns: '/netns/c', id: 'c', ipam });
  expect(json.ips[0]?.address).toBe('192.168.7.50/24');
  await lab.succeed('DEL', container, { netns: '/netns/c', id: 'c', ipam });
  lab.host.sh(`umount ${lab.folder}/netns/c`);
  await until(() => server.kinds.includes('release'), 'a release');
  expect(server.kinds).toContain('release');
});

test('socket activation: one descriptor is used as it is; two, and one that is no socket, are the reference’s errors (dhcp 28)', async () => {
  await using lab = new Lab();
  const path = join(lab.folder, 'activated.sock');
  const [file, args] = program('ours');
  // As systemd does: descriptor 3, and who it is for.
  const activator = (what: string) => `
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
${what}
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])`;
  const listening = `s.bind(${JSON.stringify(path)}); s.listen()`;
  const activated = (descriptors: number, what: string, ...flags: string[]) =>
    lab.start('python3', [
      '-c',
      activator(what),
      String(descriptors),
      file,
      ...args,
      'daemon',
      '-statedir',
      lab.state,
      ...flags,
    ]);
  const two = activated(2, '');
  expect(await two.ended).toBe(1);
  expect(two.log()).toContain('Error getting listener: Too many (2) FDs passed through socket activation');
  const none = activated(1, '');
  expect(await none.ended).toBe(1);
  expect(none.log()).toContain('Error getting listener: LISTEN_FDS=1 but no FD found');
  const daemon = activated(1, listening, '-socketpath', join(lab.folder, 'unused/dhcp.sock'));
  await until(() => isListening(path), 'the socket');
  const client = new RawClient(path);
  await client.greet();
  client.socket.destroy();
  expect(existsSync(join(lab.folder, 'unused'))).toBe(false);
  daemon.process.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
});

test('a socket that was passed stays when the daemon ends, for the next that it starts (dhcp 28)', async () => {
  await using lab = new Lab();
  const path = join(lab.folder, 'activated.sock');
  const [file, args] = program('ours');
  const daemon = lab.start('python3', [
    '-c',
    `
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1]); s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.execv(sys.argv[2], sys.argv[2:])`,
    path,
    file,
    ...args,
    'daemon',
    '-socketpath',
    path,
    '-statedir',
    lab.state,
  ]);
  await until(() => isListening(path), 'the socket');
  const client = new RawClient(path);
  await client.greet();
  client.socket.destroy();
  daemon.process.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
  expect(existsSync(path)).toBe(true);
});

test('a socket path that does not fit is a sentence, for the plugin and for the daemon (trap 25)', async () => {
  await using lab = new Lab();
  const path = join(lab.folder, 'x'.repeat(120));
  const { json } = await lab.call('ADD', lab.container(), { ipam: { daemonSocketPath: path } });
  expect(json.msg).toContain('at most 107 bytes');
  const { log, status } = await failing(lab, '-socketpath', path);
  expect(status).toBe(1);
  expect(log).toContain('at most 107 bytes');
});
