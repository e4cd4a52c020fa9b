/** The daemon as a process: its flags, its socket, and what clients may do to it. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
    await until(() => existsSync(lab.socket), 'the socket', daemon.log);
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

test('a client known by its pod, of which CNI_ARGS say nothing, is told what to give, before a daemon is asked', async () => {
  await using lab = new Lab();
  const ipam = { clientId: 'pod' };
  for (const args of ['', 'K8S_POD_NAME=web-0']) {
    const { json } = await lab.call('ADD', lab.container(), { ipam, args });
    expect(json).toMatchObject({ code: 7, msg: expect.stringContaining('CNI_ARGS do not name the pod') });
    expect(json.details).toContain('take "container" or "mac" for ipam.clientId');
  }
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
  await until(() => existsSync(lab.folder + socket), 'the socket');
  expect(existsSync(pidfile)).toBe(true);
  const container = lab.container();
  mkdirSync(join(lab.folder, 'netns'));
  lab.host.sh(`touch ${lab.folder}/netns/c; mount --bind ${container.path} ${lab.folder}/netns/c`);
  const ipam = { daemonSocketPath: lab.folder + socket };
  const { json } = await lab.succeed('ADD', container, { netns: '/netns/c', id: 'c', ipam });
  expect(json.ips[0]?.address).toBe('192.168.7.50/24');
  await lab.succeed('DEL', container, { netns: '/netns/c', id: 'c', ipam });
  lab.host.sh(`umount ${lab.folder}/netns/c`);
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
  await until(() => existsSync(path), 'the socket');
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
  await until(() => existsSync(path), 'the socket');
  const client = new RawClient(path);
  await client.greet();
  client.socket.destroy();
  daemon.process.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
  expect(existsSync(path)).toBe(true);
});

test('without a daemon ADD and DEL say how to start one, STATUS has code 50, GC succeeds (dhcp 9, 10, trap 18)', async () => {
  await using lab = new Lab();
  const container = lab.container();
  for (const command of ['ADD', 'DEL']) {
    const { json } = await lab.call(command, container);
    expect(json.msg).toBe(
      `error dialing DHCP daemon: dial unix ${lab.socket}: connect: no such file or directory`,
    );
    expect(json.details).toContain('systemctl start cni-dhcp.socket');
  }
  const unset = await lab.call('ADD', container, { ipam: { daemonSocketPath: undefined } });
  expect(unset.json.msg).toContain('dial unix /run/cni/dhcp.sock');
  const config = { cniVersion: '1.1.0' };
  const status = await lab.call('STATUS', container, { config });
  expect(status.json).toMatchObject({ code: 50, msg: expect.stringContaining('error dialing DHCP daemon') });
  await lab.succeed('GC', container, { config: { ...config, 'cni.dev/valid-attachments': [] } });
  const check = await lab.call('CHECK', container, { config: { cniVersion: '0.3.1' } });
  expect(check.json.code).toBe(1);
  await lab.daemon();
  await lab.succeed('STATUS', container, { config });
  const bad = await lab.call('STATUS', container, { config, ipam: { request: [{ option: 'foo' }] } });
  expect(bad.json).toMatchObject({ code: 50, msg: expect.stringContaining('foo') });
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

test('a namespace that is missing or none, and a link that is missing, in the reference’s words, and who saw it so (dhcp 8, trap 17)', async () => {
  await using lab = new Lab();
  await lab.daemon();
  const container = lab.container();
  const missing = await lab.call('ADD', container, { netns: '/var/run/netns/x-missing' });
  expect(missing.json.msg).toMatch(
    /^error calling DHCP\.Allocate: failed to Statfs "\/var\/run\/netns\/x-missing": no such file or directory/,
  );
  expect(missing.json.msg).toContain('DHCP daemon');
  const file = await lab.call('ADD', container, { netns: '/etc/passwd', id: 'x' });
  expect(file.json.msg).toMatch(/^error calling DHCP\.Allocate: unknown FS magic on "\/etc\/passwd": /);
  const link = await lab.call('ADD', container, { ifname: 'eth9' });
  expect(link.json.msg).toBe('error calling DHCP.Allocate: error looking up "eth9": Link not found');
});

test('rpc: the sequence number comes back, two calls share a connection, unknown methods and services are told in Go’s words (dhcp 30)', async () => {
  await using lab = new Lab();
  await lab.daemon();
  const client = new RawClient(lab.socket);
  await client.greet();
  const args = { ContainerID: 'c1', IfName: 'eth0', StdinData: new TextEncoder().encode('{"name":"n"}') };
  client.request('DHCP.Foo', 7, args);
  expect(await client.answer()).toEqual([
    { ServiceMethod: 'DHCP.Foo', Seq: 7, Error: "rpc: can't find method DHCP.Foo" },
    {},
  ]);
  client.request('Foo.Bar', 8, args);
  expect((await client.answer())[0].Error).toBe("rpc: can't find service Foo.Bar");
  client.request('nodot', 9, args);
  expect((await client.answer())[0].Error).toBe('rpc: service/method request ill-formed: nodot');
  client.request('DHCP.Release', 0, args);
  expect(await client.answer()).toEqual([{ ServiceMethod: 'DHCP.Release' }, {}]);
  client.request('DHCP.Allocate', 1, args);
  expect((await client.answer())[0].Error).toContain("missing 'ipam' key");
  client.request('DHCP.Allocate', 2, { ...args, StdinData: new Uint8Array(0) });
  expect((await client.answer())[0].Error).toBe('error parsing netconf: unexpected end of JSON input');
  client.socket.destroy();
});

test('clients that speak nonsense, too much or not at all harm nobody', async () => {
  await using lab = new Lab();
  using _server = new ScriptedServer(lab.serverPlace(), giving('192.168.7.50'));
  const daemon = await lab.daemon();
  const wrong = new RawClient(lab.socket);
  wrong.say('GET /_goRPC_ HTTP/1.0\n\n');
  expect(await wrong.text()).toContain('405 must CONNECT');
  const elsewhere = new RawClient(lab.socket);
  elsewhere.say('CONNECT /other HTTP/1.0\n\n');
  expect(await elsewhere.text()).toContain('404');
  const silent = new RawClient(lab.socket);
  const endless = new RawClient(lab.socket);
  endless.say('x'.repeat(100_000));
  const huge = new RawClient(lab.socket);
  await huge.greet();
  huge.say(new Uint8Array([0xfc, 0x7f, 0xff, 0xff, 0xff]));
  const random = new RawClient(lab.socket);
  await random.greet();
  random.say(new Uint8Array([5, 9, 9, 9, 9, 9, 200, 1, 2, 3]));
  const leaver = new RawClient(lab.socket);
  leaver.say('CONN');
  leaver.socket.destroy();
  const container = lab.container();
  expect(await lab.add(container)).toBe('192.168.7.50/24');
  await until(() => huge.closed && random.closed && endless.closed, 'the end of the bad ones', daemon.log);
  expect(silent.closed).toBe(false);
  silent.socket.destroy();
  await lab.succeed('DEL', container);
});

test('a DEL finds its lease whatever the configuration says now, and GC releases what is not in the list', async () => {
  await using lab = new Lab();
  let next = 50;
  const server = new ScriptedServer(lab.serverPlace(), (heard, own) =>
    giving(`192.168.7.${heard.kind === 'discover' ? next++ : next - 1}`)(heard, own),
  );
  await lab.daemon();
  const [a, b] = [lab.container('a'), lab.container('b')];
  await lab.add(a);
  await lab.add(b);
  const config = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }] };
  await lab.succeed('GC', a, { config });
  await until(() => count(server.kinds.join(), 'release') === 1, 'a release');
  expect(lab.kept).toHaveLength(1);
  await lab.succeed('DEL', b, { ipam: { request: 'nonsense', priority: 'x' } });
  expect(lab.kept).toEqual([]);
  server[Symbol.dispose]();
});

test('PLAN tells what would be asked for, and nothing is asked', async () => {
  await using lab = new Lab();
  const { json } = await lab.succeed('PLAN', lab.container('p1'));
  expect(json.changes).toEqual([{ sign: '+', text: expect.stringContaining('lease for p1/mynet/eth0') }]);
});

test('a daemon that sees other mounts than the runtime: the error says who does not see the namespace (trap 17)', async () => {
  await using lab = new Lab();
  const container = lab.container();
  const hidden = container.path.slice(0, container.path.lastIndexOf('/'));
  const [file, args] = program('ours');
  const script = `mount -t tmpfs none ${hidden} && exec "$@"`;
  const daemon = ['daemon', '-socketpath', lab.socket, '-statedir', lab.state];
  const { log } = lab.start('unshare', ['-m', 'sh', '-c', script, 'sh', file, ...args, ...daemon]);
  await until(() => existsSync(lab.socket), 'the daemon', log);
  const { json } = await lab.call('ADD', container);
  expect(json.msg).toContain(`failed to Statfs "${container.path}": no such file or directory`);
  expect(json.msg).toMatch(/the DHCP daemon \(process \d+\) sees it.*HostToContainer/);
});
