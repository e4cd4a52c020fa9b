/**
 * Executables where things are not as they are meant to be: files of another kind, names cut short, outputs that nobody
 * reads, limits, signals while they wait. They answer as the protocol says, in time, and a failed ADD leaves nothing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { runToEnd } from '@cni-ts/libc/program';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyProgram, Lab, ours } from './lab.ts';

let lab: Lab;
let netns: string;
/** Where host-local keeps the network `n`. */
let folder: string;
beforeEach(() => {
  lab = new Lab();
  lab.sh('ip link add m0 type veth peer name m1; ip link set m0 up; ip link set m1 up');
  netns = lab.container('x');
  folder = join(lab.networks, 'n');
  mkdirSync(folder, { recursive: true });
});
afterEach(() => lab.close());

type Config = Record<string, unknown>;

function configOf(type: string, more: Config = {}, ipam: Config = {}): Config {
  return {
    ...{ cniVersion: '1.1.0', name: 'n', type, bridge: 'cni0', master: 'm0', isGateway: true, ipMasq: true },
    ipam: { type: 'host-local', subnet: '10.5.0.0/24', dataDir: lab.networks, ...ipam },
    ...more,
  };
}

interface Way {
  readonly ifname?: string;
  readonly netns?: string;
  readonly id?: string;
  readonly path?: string;
  /** A shell's words around the call; `exec "$0"` runs the plugin. */
  readonly through?: string;
  readonly file?: string;
}

interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls a plugin; one that has not ended after 5 seconds is killed, which shows in `signal`. */
function ask(command: string, type: string, config: Config, way: Way = {}): Ended {
  const { ifname = 'eth0', id = 'c1', path = ours, through = 'exec "$0"', file = join(ours, type) } = way;
  const env = lab.environment({ command, netns: way.netns ?? netns, ifname, containerId: id, path });
  const words = ['-c', through, file];
  const {
    status = null,
    signal = null,
    ...told
  } = runToEnd('/bin/bash', words, env, JSON.stringify(config), 5000);
  return { status, signal, ...told };
}

/** It has ended by itself, with an answer. */
function expectAnswer({ status, signal, stdout, stderr }: Ended): void {
  expect(signal, 'it hangs').toBeNull();
  expect([0, 1], stdout + stderr).toContain(status);
  if (status === 1) expect(JSON.parse(stdout)).toMatchObject({ msg: expect.stringMatching(/./) });
}

/** What an attachment may have left: links, reservations, and files under `state`. */
function left(): object {
  return {
    links: lab.links().filter((name) => name !== 'cni0'),
    inside: lab.inside(netns, 'ip -br link').stdout.replace(/^lo .*\n/m, ''),
    files: lab
      .sh(`find ${lab.state} -type f`)
      .split('\n')
      .filter((path) => !/(lock|last_reserved_ip.*)$/.test(path)),
  };
}

const fifo = (path: string): void => void spawnSync('mkfifo', [path]);
const verbs = ['ADD', 'CHECK', 'GC', 'STATUS', 'DEL'] as const;

const oddFiles: Record<string, () => void> = {
  'a FIFO named as an address': () => fifo(join(folder, '10.5.0.3')),
  'a FIFO in the place of the last address': () => fifo(join(folder, 'last_reserved_ip.0')),
  'a FIFO in the place of the lock': () => fifo(join(folder, 'lock')),
  'a folder named as an address': () => mkdirSync(join(folder, '10.5.0.2')),
  'a dangling link named as an address': () => symlinkSync('/nonexistent', join(folder, '10.5.0.2')),
};
for (const [title, make] of Object.entries(oddFiles)) {
  test(`host-local does not hang at ${title}`, () => {
    make();
    for (const verb of verbs) expectAnswer(ask(verb, 'host-local', configOf('host-local')));
  });
}

for (const name of ['lock', 'last_reserved_ip.0', '10.5.0.2']) {
  test(`host-local writes nothing through a link named ${name}`, () => {
    const victim = join(lab.dir, 'victim');
    symlinkSync(victim, join(folder, name));
    for (const verb of ['ADD', 'GC', 'DEL']) expectAnswer(ask(verb, 'host-local', configOf('host-local')));
    expect(existsSync(victim)).toBe(false);
  });
}

test('host-local refuses a resolvConf that is a FIFO', () => {
  const path = join(lab.dir, 'resolv.conf');
  fifo(path);
  const before = left();
  const answer = ask('ADD', 'host-local', configOf('host-local', {}, { resolvConf: path }));
  expectAnswer(answer);
  expect(answer.status).toBe(1);
  expect(left()).toEqual(before);
});

test('tuning does not hang at a FIFO where it saves values', () => {
  lab.inside(netns, 'ip link add eth0 type bridge');
  const dataDir = join(lab.state, 'tuning');
  mkdirSync(dataDir);
  fifo(join(dataDir, 'c1_eth0.json'));
  const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: netns }], ips: [] };
  const config = configOf('tuning', { mtu: 1400, dataDir, prevResult });
  for (const verb of verbs) expectAnswer(ask(verb, 'tuning', config));
});

for (const type of ['firewall', 'tuning', 'host-local']) {
  test(`${type}: what ADD accepts, DEL removes, also where the path to its files goes through a file`, () => {
    const file = join(lab.state, 'file');
    writeFileSync(file, '');
    const config =
      type === 'host-local'
        ? configOf(type, {}, { dataDir: join(file, 'x') })
        : { ...tuned(), type, dataDir: join(file, 'x') };
    const added = ask('ADD', type, config);
    expectAnswer(added);
    const deleted = ask('DEL', type, config);
    expectAnswer(deleted);
    if (added.status === 0) expect(deleted.status, deleted.stdout).toBe(0);
  });
}

for (const type of ['bridge', 'tuning', 'host-local']) {
  test(`${type}: DEL does not fail for ever where the folder that ADD wants cannot be made`, () => {
    const dataDir = join(lab.state, 'file', 'x');
    writeFileSync(join(lab.state, 'file'), '');
    const config = type === 'tuning' ? { ...tuned(), mtu: 1400, dataDir } : configOf(type, {}, { dataDir });
    const added = ask('ADD', type, config);
    expectAnswer(added);
    expect(added.status, added.stdout).toBe(1);
    const deleted = ask('DEL', type, config);
    expect(deleted.status, deleted.stdout).toBe(0);
  });
}

const refused: Record<string, Config> = {
  'a VLAN that is none': { vlan: 99999 },
  'a trunk that ends before it begins': { vlanTrunk: [{ minID: 9, maxID: 1 }] },
  'a text where a number should be': { mtu: 'big' },
  'a text where a switch should be': { ipMasq: 'yes' },
  'a prevResult that is none': { prevResult: 'x' },
};
for (const type of ['bridge', 'ptp', 'macvlan']) {
  for (const [what, wrong] of Object.entries(refused)) {
    test(`${type}: DEL takes everything back whatever the configuration says by now: ${what}`, () => {
      const before = left();
      const added = ask('ADD', type, configOf(type));
      expect(added.status, added.stdout).toBe(0);
      const deleted = ask('DEL', type, configOf(type, wrong));
      expect(deleted.status, deleted.stdout).toBe(0);
      expect(left()).toEqual(before);
    });
  }
}

for (const variant of ['nft', 'legacy']) {
  test(`several DELs of one attachment at once all succeed, by iptables-${variant}`, () => {
    const programs = join(lab.dir, 'programs');
    mkdirSync(programs);
    for (const name of ['iptables', 'ip6tables']) {
      for (const end of ['', '-save', '-restore']) {
        symlinkSync(`/usr/sbin/${name}-${variant}${end}`, join(programs, name + end));
      }
    }
    const through = `export PATH=${programs}:$PATH; exec "$0"`;
    const atOnce = `export PATH=${programs}:$PATH; in=$(cat); for i in 1 2 3 4; do ("$0" <<<"$in" || echo failed) & done; wait`;
    const config = configOf('ptp', { ipMasqBackend: 'iptables' });
    for (let round = 0; round < 5; round++) {
      const added = ask('ADD', 'ptp', config, { through });
      expect(added.status, added.stdout).toBe(0);
      const { ips } = JSON.parse(added.stdout);
      const firewall = { ...config, type: 'firewall', backend: 'iptables', prevResult: { ips } };
      const allowed = ask('ADD', 'firewall', firewall, { through });
      expect(allowed.status, allowed.stdout).toBe(0);
      expect(ask('DEL', 'firewall', firewall, { through: atOnce }).stdout).toBe('');
      expect(ask('DEL', 'ptp', config, { through: atOnce }).stdout).toBe('');
      expect(lab.sh(`${programs}/iptables-save`)).not.toMatch(/10\.5\.0\.|CNI-[0-9a-f]{24}/);
    }
  });
}

const cut: [string, string, (config: Config) => Config][] = [
  ['a bridge', 'bridge', (config) => ({ ...config, bridge: 'cni0\0x' })],
  ['a name', 'bridge', (config) => ({ ...config, name: 'n\0m' })],
  ['a master', 'macvlan', (config) => ({ ...config, master: 'm0\0x' })],
  [
    'an IPAM type',
    'bridge',
    (config) => ({ ...config, ipam: { type: 'host-local\0x', subnet: '10.5.0.0/24' } }),
  ],
  ['a resolvConf', 'host-local', () => configOf('host-local', {}, { resolvConf: '/etc/resolv.conf\0x' })],
  ['a dataDir', 'host-local', () => configOf('host-local', {}, { dataDir: `${lab.state}/other\0x` })],
];
for (const [what, type, spoil] of cut) {
  test(`${what} with a NUL is refused, not cut short`, () => {
    const before = left();
    const answer = ask('ADD', type, spoil(configOf(type)));
    expectAnswer(answer);
    expect(answer.status, answer.stdout).toBe(1);
    expect(left()).toEqual(before);
    expect(existsSync(join(lab.state, 'other'))).toBe(false);
  });
}

for (const type of ['bridge', 'ptp', 'macvlan', 'host-local']) {
  for (const [where, words] of [
    ['on a full disk', 'exec "$0" >/dev/full'],
    ['to a closed output', 'exec "$0" >&-'],
  ] as const) {
    test(`${type}: an ADD that cannot tell its result ${where} fails and leaves nothing`, () => {
      const before = left();
      expect(ask('ADD', type, configOf(type), { through: words }).status).toBe(1);
      expect(left()).toEqual(before);
    });
  }
}

for (const type of ['bridge', 'ptp', 'macvlan', 'host-local', 'tuning']) {
  test(`${type}: an ADD that may write no file answers and leaves nothing`, () => {
    const prepared = type === 'tuning' ? tuned() : configOf(type);
    const before = left();
    expectAnswer(ask('ADD', type, prepared, { through: 'exec prlimit --fsize=0 "$0"' }));
    expect(left()).toEqual(before);
  });
}

function tuned(): Config {
  lab.inside(netns, 'ip link add eth0 type bridge');
  const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: netns }], ips: [] };
  return configOf('tuning', { mtu: 1400, dataDir: join(lab.state, 'tuning'), prevResult });
}

for (const type of ['bridge', 'ptp', 'macvlan', 'host-local']) {
  test(`${type}: an ADD with too few descriptors answers and leaves nothing`, () => {
    for (let limit = 3; limit < 14; limit++) {
      const before = left();
      const answer = ask('ADD', type, configOf(type), { through: `exec prlimit --nofile=${limit} "$0"` });
      expectAnswer(answer);
      if (answer.status === 0) expect(ask('DEL', type, configOf(type)).status).toBe(0);
      expect(left(), `${limit} descriptors: ${answer.stdout}`).toEqual(before);
    }
  });
}

for (const type of ['bridge', 'ptp', 'macvlan', 'portmap', 'firewall', 'tuning', 'bandwidth']) {
  test(`${type}: DEL with the host's own namespace, whose number was another's once, succeeds`, () => {
    const answer = ask('DEL', type, configOf(type), { netns: '/proc/self/ns/net' });
    expect(answer.status, answer.stdout).toBe(0);
  });
}
for (const type of ['bridge', 'ptp', 'macvlan', 'portmap', 'firewall', 'tuning', 'bandwidth']) {
  test(`${type}: DEL with a namespace whose links lead in a circle succeeds`, () => {
    const circle = join(lab.state, 'circle');
    symlinkSync(circle, circle);
    const answer = ask('DEL', type, configOf(type), { netns: circle });
    expect(answer.status, answer.stdout).toBe(0);
  });
}

for (const type of ['bridge', 'ptp', 'macvlan', 'tuning', 'bandwidth']) {
  test(`${type}: an interface name that is a template to the kernel is refused`, () => {
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: netns }], ips: [] };
    const answer = ask('ADD', type, configOf(type, { prevResult }), { ifname: 'eth%d' });
    expectAnswer(answer);
    expect(answer.status).toBe(1);
  });
}

for (const type of ['bridge', 'ptp', 'macvlan']) {
  test(`${type}: the same container gets an address again after a reboot`, () => {
    expect(ask('ADD', type, configOf(type)).status).toBe(0);
    Netns.remove(netns);
    lab.sh(`sleep 0.2; ip link del cni0 2>/dev/null; iptables -t nat -F; touch -d 2001-01-01 ${folder}/*; :`);
    Netns.createAt(netns).close();
    const answer = ask('ADD', type, configOf(type));
    expect(answer.status, answer.stdout).toBe(0);
  });
}

/** SIGTERM after half a second, SIGKILL after five. How long it took, in milliseconds. */
function termed(command: string, type: string, config: Config, way: Way = {}): number {
  const started = performance.now();
  const through = `${way.through ?? ''} exec timeout -s TERM -k 5 0.5 "$0"`;
  const { stdout, status } = ask(command, type, config, { ...way, through });
  const took = performance.now() - started;
  expect(status, `${stdout} after ${took} ms`).not.toBe(137);
  return took;
}

for (const verb of ['ADD', 'DEL', 'GC']) {
  test(`host-local: SIGTERM ends ${verb} that waits for the lock`, () => {
    const through = `flock ${folder}/lock sleep 4 </dev/null >/dev/null 2>&1 & sleep 0.2;`;
    expect(termed(verb, 'host-local', configOf('host-local'), { through })).toBeLessThan(3000);
  });
}
test('bridge: SIGTERM ends an ADD whose IPAM does not answer, which leaves nothing', () => {
  const path = join(lab.dir, 'slow');
  mkdirSync(path);
  writeFileSync(join(path, 'slow'), '#!/bin/sh\n[ $CNI_COMMAND = DEL ] || exec sleep 4\n', { mode: 0o755 });
  const before = left();
  const config = configOf('bridge', { ipam: { type: 'slow' } });
  expect(termed('ADD', 'bridge', config, { path, through: 'exec 2>/dev/null;' })).toBeLessThan(3000);
  expect(left()).toEqual(before);
});
test('bridge: SIGTERM ends an ADD that waits for its configuration', () => {
  const through = 'exec < <(exec sleep 4 2>/dev/null);';
  expect(termed('ADD', 'bridge', configOf('bridge'), { through })).toBeLessThan(3000);
});

for (const name of ['my-host-local', 'host-local-v1', 'host-local.real', 'cnv.host-local']) {
  test(`a copy of host-local that is named ${name} is host-local`, () => {
    const file = join(lab.dir, name);
    copyProgram(join(ours, 'host-local'), file);
    const answer = ask('VERSION', 'host-local', { cniVersion: '1.1.0' }, { file });
    expect(answer.status, answer.stderr).toBe(0);
    expect(JSON.parse(answer.stdout)).toHaveProperty('supportedVersions');
  });
}
test('a copy with a name that says nothing answers in JSON', () => {
  const file = join(lab.dir, 'qqq');
  copyProgram(join(ours, 'host-local'), file);
  const { stdout } = ask('VERSION', 'host-local', { cniVersion: '1.1.0' }, { file });
  expect(() => JSON.parse(stdout)).not.toThrow();
});

const strays: Record<string, (path: string) => void> = {
  'an empty file': (path) => writeFileSync(path, ''),
  'a folder': (path) => mkdirSync(path),
  'a FIFO': fifo,
  'a dangling link': (path) => symlinkSync('/nonexistent', path),
  'what is no JSON': (path) => writeFileSync(path, Buffer.from([0, 255, 3])),
};
for (const [what, make] of Object.entries(strays)) {
  test(`cnitool gc works, and spares the container that lives, with ${what} in its cache`, () => {
    const ipam = { type: 'host-local', subnet: '10.6.0.0/24', dataDir: lab.networks };
    const conf = lab.network('kn', [{ type: 'bridge', bridge: 'kbr', ipam }], '1.1.0');
    const env = {
      CNI_PATH: ours,
      NETCONFPATH: conf,
      CNI_CACHE_DIR: join(lab.state, 'cache'),
      PATH: process.env.PATH,
    };
    const tool = (verb: string) =>
      spawnSync(join(ours, 'cnitool'), [verb, 'kn', netns], { env, timeout: 5000, encoding: 'utf8' });
    expect(tool('add').status).toBe(0);
    const results = join(lab.state, 'cache/results');
    const entries = readdirSync(results);
    make(join(results, 'kn-other-eth0'));
    const { status, stderr } = tool('gc');
    expect(status, stderr).toBe(0);
    expect(readdirSync(results)).toEqual(expect.arrayContaining(entries));
    expect(tool('check').status).toBe(0);
  });
}
