/** What plugins and others may ask of the daemon, and what they are told. */
import { isListening } from '@cni-ts/testing/is-listening';
import { expect, test } from 'vitest';
import { count, Lab, program, until } from '../test/dhcp-lab.ts';
import { RawClient } from '../test/raw-client.ts';
import { giving, ScriptedServer } from '../test/scripted-server.ts';

test('a client known by its pod, of which CNI_ARGS say nothing, is told what to give, before a daemon is asked', async () => {
  await using lab = new Lab();
  const ipam = { clientId: 'pod' };
  for (const args of ['', 'K8S_POD_NAME=web-0']) {
    const { json } = await lab.call('ADD', lab.container(), { ipam, args });
    expect(json).toMatchObject({ code: 7, msg: expect.stringContaining('CNI_ARGS do not name the pod') });
    expect(json.details).toContain('take "container" or "mac" for ipam.clientId');
  }
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
  await until(() => isListening(lab.socket), 'the daemon', log);
  const { json } = await lab.call('ADD', container);
  expect(json.msg).toContain(`failed to Statfs "${container.path}": no such file or directory`);
  expect(json.msg).toMatch(/the DHCP daemon \(process \d+\) sees it.*HostToContainer/);
});
