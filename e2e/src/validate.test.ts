/** `cnitool validate` and `list` of the one program, with all its plugins, on a host of our own. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const net = (name: string, ...plugins: object[]) => ({ cniVersion: '1.0.0', name, plugins });
const ipam = (subnet: string) => ({ type: 'host-local', subnet, dataDir: lab.networks });
function folderOf(files: Record<string, unknown>): string {
  const folder = join(lab.dir, 'net.d');
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files))
    writeFileSync(
      join(folder, name),
      typeof content === 'string' ? content : JSON.stringify(content, undefined, 2),
    );
  return folder;
}

test('a broken conflist is found with one command: place, cause, and what was meant', async () => {
  const folder = folderOf({
    '05-old.conflist': '{\n  "name": "old"\n  "plugins": []\n}\n',
    '10-web.conflist': net(
      'web',
      { type: 'bridge', bridge: 'web0', isGateway: true, ipMasqq: true, ipam: ipam('10.69.0.0/16') },
      { type: 'portmap', capabilities: { portMappings: true } },
    ),
    '20-lan.conflist': net('lan', {
      type: 'macvlan',
      master: 'nosuch0',
      mode: 'brigde',
      ipam: { ...ipam('10.70.0.0/24'), gateway: '10.71.0.1' },
    }),
  });
  const { status, stdout, stderr } = await lab.cnitool(['validate'], { NETCONFPATH: folder });
  expect([status, stderr]).toEqual([1, '']);
  for (const line of [
    /^05-old\.conflist:3:3 error CNI1001 expected a comma or }, found "\\""\n {4}"plugins": \[\]\n {4}\^$/m,
    /^10-web\.conflist:9:7 error CNI1012 \/plugins\/0\/ipMasqq: unknown key; did you mean ipMasq\?\n {4}"ipMasqq": true,\n {4}\^~+$/m,
    /^20-lan\.conflist:7:17 error CNI3001 \/plugins\/0\/master: this node has no link "nosuch0"$/m,
    /^20-lan\.conflist:8:15 error CNI1011 \/plugins\/0\/mode: unknown macvlan mode: "brigde"/m,
    /^20-lan\.conflist:\d+:\d+ error CNI2004 \/plugins\/0\/ipam\/gateway: the gateway 10\.71\.0\.1 is not in 10\.70\.0\.0\/24$/m,
    /^5 errors, 0 warnings in 3 files; 10-web\.conflist would win\n$/m,
  ])
    expect(stdout).toMatch(line);
});

test('a link of this host is looked at: in a bridge it is no master, and its MTU is the most there can be', async () => {
  lab.sh(
    'ip link add br71 type bridge; ip link add up71 type veth peer name up72; ip link set up71 master br71; ip link set up72 mtu 1400',
  );
  lab.sh('ip link property add dev up72 altname a-name-of-its-own');
  const on = (name: string, subnet: string, more: object) =>
    net(name, { type: 'macvlan', ipam: ipam(subnet), ...more });
  const folder = folderOf({
    'a.conflist': on('a', '10.71.0.0/24', { master: 'up71' }),
    'b.conflist': on('b', '10.72.0.0/24', { master: 'a-name-of-its-own', mtu: 1500 }),
    'c.conflist': on('c', '10.73.0.0/24', { master: 'up72', mtu: 1400 }),
  });
  const { findings } = JSON.parse((await lab.cnitool(['validate', folder, '--json'])).stdout);
  expect(findings.map(({ file, code, pointer }: Record<string, string>) => [file, code, pointer])).toEqual([
    ['a.conflist', 'CNI3002', '/plugins/0/master'],
    ['b.conflist', 'CNI3003', '/plugins/0/mtu'],
  ]);
});

test('standard input, a NetworkAttachmentDefinition in YAML, and a network by its name', async () => {
  const yaml = `apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata:
  name: tenant
spec:
  config: |
    {
      "cniVersion": "1.0.0",
      "type": "bridge",
      "vlan": 4095
    }
`;
  const piped = spawnSync(join(ours, 'cnitool'), ['validate', '-'], {
    input: yaml,
    encoding: 'utf8',
    env: {},
  });
  expect(piped).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/^-:10:15 error CNI1020 \/vlan: /),
  });
  const folder = folderOf({ '10.conflist': net('named', { type: 'ptp', ipam: ipam('10.74.0.0/24') }) });
  expect(await lab.cnitool(['validate', 'named'], { NETCONFPATH: folder })).toMatchObject({
    status: 0,
    stdout: 'network named: version 1.0.0, plugins ptp, capabilities none\n',
  });
});

test('list counts attachments and tells which still have a namespace', async () => {
  const folder = folderOf({
    '00-bad.conflist': '{',
    '10.conflist': net('net', { type: 'bridge', bridge: 'br75', ipam: ipam('10.75.0.0/24') }),
  });
  const env = { NETCONFPATH: folder };
  const netns = lab.container('c');
  const added = await lab.cnitool(['add', 'net', netns], env);
  expect(added).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('00-bad.conflist was skipped: '),
  });
  const { status, stdout } = await lab.cnitool(['list'], env);
  expect(status).toBe(1);
  expect(stdout).toContain('✗ 00-bad.conflist line 1, column 2: ');
  expect(stdout).toContain('▶ 10.conflist net bridge 1.0.0 1 attachment\n');
  expect(stdout).toMatch(
    new RegExp(`^  net cnitool-[0-9a-f]{20}/eth0 10\\.75\\.0\\.2/24 ${netns} lives$`, 'm'),
  );
  expect((await lab.cnitool(['del', 'net', netns], env)).status).toBe(0);
});

test('every plugin answers VALIDATE, and the examples of all are fine', async () => {
  const call = { command: 'VALIDATE' };
  const answer = await lab.plugin(
    join(ours, 'tuning'),
    { name: 'net', cniVersion: '1.0.0', type: 'tuning', mtuu: 1 },
    call,
  );
  expect(answer).toMatchObject({
    status: 0,
    json: { findings: [{ code: 'CNI1012', path: ['mtuu'], nearest: 'mtu' }] },
  });
  const examples = lab
    .sh(`ls ${join(ours, '../../packages/plugins')}/*/*/examples/*.conflist`)
    .trim()
    .split('\n');
  expect(examples.length).toBeGreaterThan(10);
  for (const file of examples) {
    const { status, stdout } = await lab.cnitool(['validate', file], {});
    expect([status, stdout], readFileSync(file, 'utf8')).toMatchObject([
      0,
      expect.stringContaining('0 errors, 0 warnings'),
    ]);
  }
});
