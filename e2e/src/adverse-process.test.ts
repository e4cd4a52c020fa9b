/** What may happen to a process of ours: signals while it waits, no memory, no descriptors, no room, no rights, and input
 *  of any size and bytes. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

let lab: Lab;
let netns: string;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab.close());

const network = () => join(lab.networks, 'n');
let containers = 0;
beforeEach(() => {
  rmSync(lab.networks, { recursive: true, force: true });
  mkdirSync(network(), { recursive: true });
  netns = lab.container(`c${containers++}`);
  return () => {
    for (const link of lab.links()) if (link !== 'lo') spawnSync('ip', ['link', 'delete', link]);
  };
});

const ipam = () => ({ type: 'host-local', dataDir: lab.networks, subnet: '10.40.0.0/24' });
const bridge = (more: object = {}) => ({
  cniVersion: '1.1.0',
  name: 'n',
  type: 'bridge',
  bridge: 'cni0',
  isGateway: true,
  ipam: ipam(),
  ...more,
});
const undone = 'everything this ADD had made was undone';

/** What every ADD makes; the bridge stays. */
const veths = () => lab.links().filter((link) => link.startsWith('veth'));

/** Starts a plugin; what it prints comes when it ends. */
function start(plugin: string, config: object | string, command: string, more: Record<string, string> = {}) {
  const env = { ...lab.environment({ command, netns }), ...more };
  return started(spawn(`${ours}/${plugin}`, { env }), config);
}

function started(child: ChildProcess, config: object | string) {
  let stdout = '';
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stdin?.on('error', () => undefined); // it need not read all
  child.stdin?.end(typeof config === 'string' ? config : JSON.stringify(config));
  const ended = new Promise<{
    status: number | null;
    json: { code?: number; msg?: string; details?: string };
  }>((done, fail) =>
    child.on('close', (status) => {
      try {
        done({ status, json: JSON.parse(stdout) });
      } catch {
        fail(new Error(`no JSON: ${stdout}`));
      }
    }),
  );
  return { child, ended };
}

/** The same by a shell, which can limit and close things first. */
function shell(command: string, config: object | string, more: Record<string, string> = {}) {
  const env = { ...lab.environment({ command: 'ADD', netns }), ...more };
  const input = typeof config === 'string' ? config : JSON.stringify(config);
  return spawnSync('bash', ['--norc', '-c', command], { env, input, encoding: 'utf8', maxBuffer: 2 ** 28 });
}

/** Waits until the process sleeps in a system call. */
async function waits(child: ChildProcess, call: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { stdout } = spawnSync('cat', [`/proc/${child.pid}/syscall`], { encoding: 'utf8' });
    if (stdout.startsWith(`${call} `)) return;
    await sleep(20);
  }
  throw new Error(`process ${child.pid} never waited`);
}
const flock = process.arch === 'arm64' ? 32 : 73;

describe('a signal ends what a plugin waits for', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'an ADD that waits for a lock is undone after %s, its delegate as well',
    async (signal) => {
      const holder = spawn('flock', [`${network()}/lock`, 'sleep', '60'], { detached: true });
      try {
        await sleep(200);
        const { child, ended } = start('bridge', bridge(), 'ADD');
        await waits(child, flock);
        const began = performance.now();
        child.kill(signal);
        const msg = `interrupted by ${signal} while waiting for the lock ${network()}/lock; ${undone}`;
        expect(await ended).toEqual({ status: 1, json: { code: 11, msg } });
        expect(performance.now() - began).toBeLessThan(2500);
        expect(lab.links()).toEqual(['lo']);
      } finally {
        process.kill(-(holder.pid ?? 0));
      }
    },
  );

  test('a DEL that waits for a lock ends, and is to be called again', async () => {
    const holder = spawn('flock', [`${network()}/lock`, 'sleep', '60'], { detached: true });
    try {
      await sleep(200);
      const { child, ended } = start('host-local', bridge(), 'DEL');
      await waits(child, flock);
      child.kill();
      const msg = `interrupted by SIGTERM while waiting for the lock ${network()}/lock; call it again`;
      expect(await ended).toEqual({ status: 1, json: { code: 11, msg } });
    } finally {
      process.kill(-(holder.pid ?? 0));
    }
  });

  test.each([
    ['nobody writes', 'true'],
    ['somebody writes and does not', 'sleep 60'],
  ])('an ADD told to read a pipe as a file refuses it, also where %s', async (_who, holder) => {
    const pipe = join(lab.dir, 'pipe');
    spawnSync('mkfifo', [pipe]);
    const writer = spawn('bash', ['-c', `exec ${holder} <> ${pipe}`]);
    try {
      await sleep(200);
      const config = { ...bridge(), ipam: { ...ipam(), resolvConf: pipe } };
      expect(await start('host-local', config, 'ADD').ended).toEqual({
        status: 1,
        json: {
          code: 999,
          msg: `open ${pipe}: not a regular file, and nothing but a regular file is opened here; remove it`,
        },
      });
      expect(lab.reservations('n')).toEqual([]);
    } finally {
      writer.kill();
    }
  });

  /** IPAM plugins that are programs of their own. */
  const programs = {
    'ends by the signal': 'sleep 60 & wait',
    'answers it': `trap 'echo "{\\"code\\": 11, \\"msg\\": \\"stopped\\"}"; exit 1' TERM; sleep 60 & wait`,
    'does not hear it': `trap '' TERM; sleep 60; sleep 60`,
  };
  test.each(Object.entries(programs))('a delegate that %s', async (name, text) => {
    const folder = join(lab.dir, name.replaceAll(' ', '-'));
    mkdirSync(folder);
    for (const plugin of readdirSync(ours)) symlinkSync(join(ours, plugin), join(folder, plugin));
    writeFileSync(
      join(folder, 'slow'),
      `#!/bin/bash\n[ $CNI_COMMAND = ADD ] || exit 0\ntouch ${folder}/begun\n${text}\n`,
    );
    chmodSync(join(folder, 'slow'), 0o755);
    const { child, ended } = start('bridge', bridge({ ipam: { type: 'slow' } }), 'ADD', { CNI_PATH: folder });
    for (let tries = 0; tries < 200 && !existsSync(join(folder, 'begun')); tries++) await sleep(20);
    child.kill();
    const answer = await ended;
    expect(answer).toMatchObject({ status: 1, json: { code: 11, msg: `interrupted by SIGTERM; ${undone}` } });
    expect(lab.links().filter((link) => link !== 'cni0')).toEqual(['lo']);
    spawnSync('pkill', ['-f', `${folder}/slow`]);
  });

  test('an ADD whose result nobody reads, and the pipe is full', () => {
    const command = `{ yes | head -c 65536; timeout 1 ${ours}/bridge; } 2>${lab.dir}/said | sleep 6; cat ${lab.dir}/said`;
    expect(shell(command, bridge()).stdout).toContain(
      'interrupted by SIGTERM while waiting for descriptor 1',
    );
    expect(lab.reservations('n')).toEqual([]);
  });
});

describe('what a process may lack', () => {
  test.each([0, 1, 2])('descriptor %d: no file takes its place', (descriptor) => {
    const { status, stdout, stderr } = shell(
      `exec ${ours}/bridge ${descriptor}${descriptor ? '>' : '<'}&-`,
      bridge(),
    );
    if (descriptor === 0) {
      expect([status, JSON.parse(stdout)]).toMatchObject([
        1,
        { code: 5, msg: expect.stringContaining('bad file descriptor') },
      ]);
    }
    if (descriptor === 1)
      expect([status, stderr]).toEqual([1, expect.stringContaining('bad file descriptor')]);
    if (descriptor === 2) expect([status, JSON.parse(stdout)]).toMatchObject([0, { cniVersion: '1.1.0' }]);
    expect(lab.reservations('n')).toHaveLength(descriptor === 2 ? 1 : 0);
    expect(spawnSync('grep', ['-r', 'cniVersion', network()]).status).toBe(1);
  });

  test('room in files: the write fails, and the ADD is undone', () => {
    const { status, stdout } = shell(`exec prlimit --fsize=0 ${ours}/bridge`, bridge());
    expect([status, JSON.parse(stdout)]).toMatchObject([
      1,
      { msg: expect.stringContaining('file too large') },
    ]);
    expect([lab.reservations('n'), veths()]).toEqual([[], []]);
  });

  test('address space: an answer, at whatever point it ends', () => {
    // With less the kernel itself does not start it: its segments, and a stack with the arguments.
    const segments = lab.sh(`readelf -lW ${ours}/host-local`).matchAll(/LOAD(?:\s+\S+){4}\s+(\S+)/g);
    const least = [...segments].reduce((sum, [, size]) => sum + Number(size), 160 * 1024);
    for (let limit = least; limit < least + 2_000_000; limit += 150_000) {
      const { status, stdout } = shell(`exec prlimit --as=${limit} ${ours}/host-local`, bridge());
      expect([limit, status]).toEqual([limit, status === 0 ? 0 : 1]);
      expect(JSON.parse(stdout)).toBeTypeOf('object');
    }
  });

  test.skipIf(!existsSync('/usr/bin/strace'))('memory, from any request for it on', () => {
    for (const when of ['1', '1+', '2', '2+', '3+']) {
      const command = `exec strace -o /dev/null -e inject=mmap:error=ENOMEM:when=${when} ${ours}/bridge`;
      const { status, stdout } = shell(command, bridge());
      expect([when, status]).toEqual([when, status === 0 ? 0 : 1]);
      expect(JSON.parse(stdout)).toBeTypeOf('object');
      if (status === 1) expect([veths(), lab.reservations('n')]).toEqual([[], []]);
      else shell(`CNI_COMMAND=DEL ${ours}/bridge; ip link delete cni0`, bridge());
    }
  });

  test('rights: "operation not permitted" at once, of everything that is asked together', () => {
    const prevResult = {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'cni0' }, { name: 'eth0', sandbox: netns }],
      ips: [{ address: '10.40.0.5/24', interface: 1 }],
    };
    const runtimeConfig = { portMappings: [{ hostPort: 8000, containerPort: 80, protocol: 'udp' }] };
    for (const [plugin, config] of [
      ['bridge', bridge({ ipMasq: true })],
      ['portmap', bridge({ backend: 'nftables', runtimeConfig, prevResult })],
      ['portmap', bridge({ backend: 'iptables', runtimeConfig, prevResult })],
      ['firewall', bridge({ prevResult })],
    ] as const) {
      for (const command of ['ADD', 'DEL']) {
        const began = performance.now();
        const { status, stdout } = shell(
          `CNI_COMMAND=${command} exec setpriv --bounding-set -net_admin --inh-caps -net_admin ${ours}/${plugin}`,
          config,
        );
        expect([plugin, command, status, stdout]).toEqual([
          plugin,
          command,
          1,
          expect.stringContaining('operation not permitted'),
        ]);
        expect(performance.now() - began).toBeLessThan(20_000);
      }
    }
  });
});

describe('bytes of any kind', () => {
  test('a path that is not UTF-8 is the path it is', () => {
    const inside = `exec env CNI_NETNS="$CNI_NETNS"$'\\xff\\xc3' ${ours}/loopback`;
    const { status, stdout } = shell(
      `touch ${netns}$'\\xff\\xc3'; mount --bind ${netns} ${netns}$'\\xff\\xc3'; (${inside}); s=$?; umount ${netns}$'\\xff\\xc3'; rm ${netns}$'\\xff\\xc3'; exit $s`,
      { cniVersion: '1.1.0', name: 'n', type: 'loopback' },
    );
    expect(status, stdout).toBe(0);
  });

  test('an interface whose name is not UTF-8 gets that name, and loses it again', () => {
    const named = (command: string) =>
      shell(`CNI_COMMAND=${command} CNI_IFNAME=$'e\\xff\\xfe' exec ${ours}/bridge`, bridge());
    expect(named('ADD').status).toBe(0);
    const list = () => lab.inside(netns, 'ls /proc/self/net/dev_snmp6 | od -An -tx1 | tr -d " \\n"').stdout;
    expect(list()).toContain('65fffe');
    expect(named('DEL').status).toBe(0);
    expect(list()).not.toContain('65fffe');
  });

  test.each<[string, object]>([
    ['a folder', { ipam: { type: 'host-local', subnet: '10.40.0.0/24', dataDir: '/tmp/cni-ts-cut\0y' } }],
    ['a file', { ipam: { type: 'host-local', subnet: '10.40.0.0/24', resolvConf: '/etc/passwd\0' } }],
    ['a link', { bridge: 'cni0\0x' }],
    ['a plugin', { ipam: { type: 'host-local\0' } }],
  ])('NUL in the name of %s is refused, and nothing is made', (_what, more) => {
    const { status, stdout } = shell(`exec ${ours}/bridge`, bridge(more));
    expect([status, JSON.parse(stdout).msg]).toEqual([1, expect.stringMatching(/NUL|invalid/)]);
    expect([veths(), lab.reservations('n'), existsSync('/tmp/cni-ts-cut')]).toEqual([[], [], false]);
  });

  test('a number of a million digits is refused by the name of its field, and 80 MB by their size', () => {
    const config = (digits: number) =>
      `{"cniVersion":"1.1.0","name":"n","type":"bandwidth","ingressRate":${'9'.repeat(digits)},"ingressBurst":800}`;
    const answer = (digits: number) => JSON.parse(shell(`exec ${ours}/bandwidth`, config(digits)).stdout);
    expect(answer(1_000_000)).toMatchObject({ code: 7, msg: expect.stringContaining('ingressRate') });
    expect(answer(80_000_000)).toEqual({
      code: 7,
      msg: 'the network configuration on standard input has more than 16 MiB',
      details: expect.any(String),
    });
  });

  test('what only a lax reader takes for JSON is refused with line and column', () => {
    const { stdout } = shell(`exec ${ours}/bridge`, '{"cniVersion":"1.1.0",\n "name":"\\x6e"}');
    expect(JSON.parse(stdout)).toEqual({
      code: 6,
      msg: 'error unmarshall network config: line 2, column 11: expected one of " \\ / b f n r t u after the backslash, found "x6e"',
    });
  });
});

describe('what is left behind', () => {
  /** A PID namespace whose first process waits for its own children only. */
  const careless = `import subprocess, sys, os
for verb in ["ADD", "DEL"]:
    subprocess.run([sys.argv[1]], env=dict(os.environ, CNI_COMMAND=verb), input=sys.argv[2].encode(), check=True, stdout=subprocess.DEVNULL)
import time; time.sleep(0.5)
print([s for s in (open("/proc/%s/stat" % d).read() for d in os.listdir("/proc") if d.isdigit()) if s.rsplit(")", 1)[1].split()[0] == "Z"])`;

  test('no zombie, where nobody waits for orphans', () => {
    const command = `exec unshare -p -f --mount-proc python3 -c '${careless}' ${ours}/bridge '${JSON.stringify(bridge({ ipMasq: true }))}'`;
    expect(shell(command, '').stdout).toBe('[]\n');
  });

  test('one process at most for a call, where somebody does', () => {
    const forks = (config: object) =>
      `unshare -p -f --mount-proc bash -c '${ours}/bridge >/dev/null <<<"$1"; CNI_COMMAND=DEL strace -e trace=fork,clone,clone3,vfork ${ours}/bridge <<<"$1"; true' - '${JSON.stringify(config)}'`;
    const { stderr } = shell(forks(bridge({ ipMasq: true })), '');
    expect(stderr.match(/^(?:v?fork|clone3?)\(/gm), stderr).toHaveLength(1);
  });
});

test('the executables write to nothing that is constant, and run nothing that is written', () => {
  // The last command would be executed in place of the shell, which holds the pipe.
  const script = `coproc CNI_COMMAND=STATUS CNI_PATH=/ ${ours}/static; sleep 0.3; cat /proc/$!/maps; kill $!`;
  const maps = spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.trim().split('\n');
  const headers = lab.sh(`readelf -lW ${ours}/static`);
  const [, start = '', size = ''] = /GNU_RELRO\s+\S+\s+(\S+)\s+\S+\s+\S+\s+(\S+)/.exec(headers) ?? [];
  expect(maps.length).toBeGreaterThan(4);
  for (const line of maps) {
    const [, from = '', to = '', rights = ''] = /^(\w+)-(\w+) (\S+)/.exec(line) ?? [];
    expect(rights).not.toMatch(/.wx/);
    const inside = Number(`0x${from}`) < Number(start) + Number(size) && Number(`0x${to}`) > Number(start);
    if (inside && rights.includes('w')) expect(line).toBe('a constant that can be written to');
  }
});
