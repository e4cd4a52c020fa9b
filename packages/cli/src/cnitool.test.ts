import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RecordingPlugins } from '@cni-ts/libcni/recording-plugins';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cnitool } from './cnitool.ts';
import { containerIdOf } from './settings.ts';

const netns = '/var/run/netns/testing';
const cid = 'cnitool-77383ca0a0715733ca6f';
const result = { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] };

let plugins: RecordingPlugins;
let env: Record<string, string | undefined>;
beforeEach(() => {
  plugins = new RecordingPlugins('p1', 'p2');
  plugins.answer('p1', 'ADD', { stdout: result });
  plugins.answer('p2', 'ADD', { stdout: result });
  const confDir = join(plugins.dir, 'net.d');
  mkdirSync(confDir);
  env = {
    PATH: process.env.PATH,
    NETCONFPATH: confDir,
    CNI_PATH: plugins.path.join(':'),
    CNI_CACHE_DIR: join(plugins.dir, 'cache'),
  };
  putList({});
});
afterEach(() => plugins.remove());

const putList = (json: object) => {
  const list = { name: 'net', cniVersion: '1.1.0', plugins: [{ type: 'p1' }, { type: 'p2' }], ...json };
  writeFileSync(join(plugins.dir, 'net.d', 'net.conflist'), JSON.stringify(list));
};

/** What an operator sees. */
async function run(...argv: string[]) {
  let stdout = '';
  let stderr = '';
  const status = await cnitool(argv, {
    env,
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
  });
  const lines = stderr.trimEnd().split('\n');
  return { status, stdout, stderr, first: lines[0], last: lines.at(-1) };
}

test('the container id follows from the path of the namespace (protocol 104)', () => {
  expect(containerIdOf(netns)).toBe(cid);
  expect(containerIdOf('/a')).toBe('cnitool-047d8a174a529dda4e96');
});

test('add prints the result indented and names container and interface to the plugin (protocol 104)', async () => {
  expect(await run('add', 'net', netns)).toMatchObject({
    status: 0,
    stdout: JSON.stringify({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] }, undefined, 4),
    stderr: '',
  });
  expect(plugins.calls()[0]?.env).toMatchObject({
    CNI_CONTAINERID: cid,
    CNI_IFNAME: 'eth0',
    CNI_NETNS: netns,
  });
  expect(readdirSync(join(plugins.dir, 'cache', 'results'))).toEqual([`net-${cid}-eth0`]);
});

test('check, del and status say nothing when all is well, and ignore further arguments', async () => {
  await run('add', 'net', netns);
  plugins.taken();
  for (const command of ['check', 'status', 'del']) {
    expect(await run(command, 'net', netns, 'further')).toMatchObject({ status: 0, stdout: '', stderr: '' });
  }
  expect(plugins.taken()).toEqual(['p1 CHECK', 'p2 CHECK', 'p1 STATUS', 'p2 STATUS', 'p2 DEL', 'p1 DEL']);
});

test('the interface comes from the flag, else from CNI_IFNAME (protocol 105)', async () => {
  env.CNI_IFNAME = 'eth5';
  await run('add', 'net', netns);
  await run('add', 'net', netns, '-i', 'foo0');
  await run('-i', 'foo1', 'add', 'net', netns);
  await run('add', '--ifname', 'foo2', 'net', netns);
  const names = plugins
    .calls()
    .filter(({ plugin }) => plugin === 'p1')
    .map((call) => call.env.CNI_IFNAME);
  expect(names).toEqual(['eth5', 'foo0', 'foo1', 'foo2']);
});

test('a relative namespace is made absolute before it is hashed (protocol 105)', async () => {
  await run('add', 'net', 'some/../ns');
  const absolute = join(process.cwd(), 'ns');
  expect(plugins.calls()[0]?.env).toMatchObject({
    CNI_NETNS: absolute,
    CNI_CONTAINERID: containerIdOf(absolute),
  });
});

test('CNI_ARGS that are no pairs are refused, the reason first and last (protocol 106)', async () => {
  env.CNI_ARGS = 'A=1;';
  expect(await run('add', 'net', netns)).toMatchObject({
    status: 1,
    stdout: '',
    first: 'Error: invalid CNI_ARGS pair ""',
    last: 'invalid CNI_ARGS pair ""',
  });
  expect(plugins.taken()).toEqual([]);
  for (const bad of ['A', '=1', 'A=', 'A=b=c']) {
    env.CNI_ARGS = bad;
    expect((await run('add', 'net', netns)).last).toBe(`invalid CNI_ARGS pair "${bad}"`);
  }
  env.CNI_ARGS = 'A=1;B=2';
  expect((await run('add', 'net', netns)).status).toBe(0);
  expect(plugins.calls()[0]?.env.CNI_ARGS).toBe('A=1;B=2');
});

test('too few arguments are counted, with the usage of the command (protocol 107)', async () => {
  const told = await run('add', 'net');
  expect(told).toMatchObject({ status: 1, stdout: '', last: 'requires at least 2 arg(s), only received 1' });
  expect(told.first).toBe('Error: requires at least 2 arg(s), only received 1');
  expect(told.stderr).toContain('\nUsage: cnitool add ');
});

test('an unknown command is named (protocol 107)', async () => {
  expect(await run('foo')).toMatchObject({
    status: 1,
    stdout: '',
    stderr:
      'Error: unknown command "foo" for "cnitool"\n' +
      "Run 'cnitool --help' for usage.\n" +
      'unknown command "foo" for "cnitool"\n',
  });
});

test.each([[[]], [['help']], [['--help']], [['help', 'add']], [['add', '--help']]])(
  '%j prints help on stdout (protocol 107)',
  async (argv) => {
    const told = await run(...argv);
    expect(told).toMatchObject({ status: 0, stderr: '' });
    expect(told.stdout).toContain('Usage: cnitool');
    expect(told.stdout).toContain('--ifname');
  },
);

test('the help of the tool lists its commands', async () => {
  expect((await run('--help')).stdout).toBe(`\
Usage: cnitool [options] [command]

Attach network namespaces to CNI networks by hand

Options:
  -i, --ifname <name>               interface inside the namespace (default:
                                    $CNI_IFNAME, then eth0)
  --exec                            run every plugin as a process, also those
                                    that are part of this program
                                    ($CNITOOL_EXEC=1)
  -h, --help                        display help for command

Commands:
  add [network] [netns]             Add a network interface to a network
                                    namespace and print the result
  check [network] [netns]           Check that a network namespace's interface
                                    is as ADD left it
  del [network] [netns]             Remove the network interface from a network
                                    namespace
  gc [options] [network] [netns]    Remove EVERY attachment of a network that
                                    the cache remembers, but those to keep
  status [network] [netns]          Ask whether a network could serve ADD now
  validate [network]                Check that a network's plugins are there and
                                    speak its version
  version [networks-or-plugins...]  Print the spec versions of the plugins of a
                                    network, or of plugins by name, and those
                                    all share
  help [command]                    display help for command

Environment:
  NETCONFPATH    folder with network configurations (default: /etc/cni/net.d)
  CNI_PATH       folders with plugins, separated by ":"
  CNI_ARGS       K=V;K=V for the plugins
  CAP_ARGS       JSON object with values for the plugins' capabilities
  CNI_IFNAME     interface name when --ifname is not given
  CNI_CACHE_DIR  where attachments are remembered (default: /var/lib/cni)
`);
});

test.each([
  ['help', 'gc'],
  ['gc', '--help'],
  ['gc', 'net', '--bogus', '-h'],
])('the help of a command lists its options: %s %s', async (...argv) => {
  expect((await run(...argv)).stdout).toBe(`\
Usage: cnitool gc [options] [network] [netns]

Remove EVERY attachment of a network that the cache remembers, but those to keep

Options:
  --keep <id/ifname...>  attachments that stay, as ‹container ID›/‹interface›
  -h, --help             display help for command

Global Options:
  -i, --ifname <name>    interface inside the namespace (default: $CNI_IFNAME,
                         then eth0)
  --exec                 run every plugin as a process, also those that are part
                         of this program ($CNITOOL_EXEC=1)
`);
});

test.each(['nobody', 'constructor'])('help on %s, which is no command, says so', async (name) => {
  expect(await run('help', name)).toMatchObject({
    status: 1,
    stdout: '',
    last: `unknown command "${name}" for "cnitool"`,
  });
});

test('an unknown flag is an error like any other', async () => {
  const told = await run('add', 'net', netns, '--bogus');
  expect(told).toMatchObject({ status: 1, stdout: '', last: "unknown option '--bogus'" });
  expect(told.first).toBe("Error: unknown option '--bogus'");
  expect(told.stderr).toContain('\nUsage: cnitool add ');
  expect((await run('add', 'net', netns, '--keep', 'c1/eth0')).last).toBe("unknown option '--keep'");
  expect((await run('--bogus', 'add', 'net', netns)).last).toBe("unknown option '--bogus'");
});

test('a flag without its value is an error like any other', async () => {
  expect((await run('add', 'net', netns, '-i')).last).toBe("option '-i, --ifname <name>' argument missing");
  expect((await run('gc', 'net', netns, '--keep')).last).toBe(
    "option '--keep <id/ifname...>' argument missing",
  );
});

test('an empty NETCONFPATH is the default folder (protocol 108)', async () => {
  env.NETCONFPATH = '';
  expect((await run('add', 'a-network-nobody-has', netns)).last).toMatch(/ in \/etc\/cni\/net\.d$/);
});

test('CAP_ARGS reach the plugins that want them, and must be an object (protocol 108)', async () => {
  putList({ plugins: [{ type: 'p1', capabilities: { mac: true } }] });
  env.CAP_ARGS = '{"mac":"02:00:00:00:00:01"}';
  expect((await run('add', 'net', netns)).status).toBe(0);
  expect(plugins.calls()[0]?.request.runtimeConfig).toEqual({ mac: '02:00:00:00:00:01' });
  plugins.taken();
  for (const bad of ['[]', '5', '{']) {
    env.CAP_ARGS = bad;
    expect(await run('add', 'net', netns)).toMatchObject({ status: 1, stdout: '' });
  }
  expect(plugins.taken()).toEqual([]);
});

test('without CNI_PATH the first plugin is not looked for anywhere', async () => {
  delete env.CNI_PATH;
  expect((await run('add', 'net', netns)).last).toBe('plugin type="p1" failed (add): no paths provided');
});

test("a plugin's failure is told with what it said", async () => {
  plugins.answer('p2', 'ADD', { status: 1, stdout: { code: 11, msg: 'm', details: 'd' } });
  expect(await run('add', 'net', netns)).toMatchObject({
    status: 1,
    stdout: '',
    first: 'Error: plugin type="p2" failed (add): m; d',
    last: 'plugin type="p2" failed (add): m; d',
  });
});

test('a damaged cache entry is mentioned and does not stop del', async () => {
  await run('add', 'net', netns);
  const file = join(plugins.dir, 'cache', 'results', `net-${cid}-eth0`);
  writeFileSync(file, '');
  const told = await run('del', 'net', netns);
  expect(told).toMatchObject({ status: 0, stdout: '' });
  expect(told.stderr).toMatch(/^cnitool: network "net": DEL goes on without the cached result: /);
  expect(existsSync(file)).toBe(false);
});

describe('gc', () => {
  const dels = ['p2 DEL', 'p1 DEL'];
  const gcs = ['p1 GC', 'p2 GC'];
  beforeEach(async () => {
    await run('add', 'net', netns);
    plugins.taken();
  });
  const told = () => plugins.calls().at(-1)?.request['cni.dev/valid-attachments'];

  test('deletes every remembered attachment and tells the plugins that nothing is valid', async () => {
    expect(await run('gc', 'net', '/unused')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(told()).toEqual([]);
    expect(plugins.taken()).toEqual([...dels, ...gcs]);
  });

  test('--keep leaves what it names and tells the plugins of it', async () => {
    await run('gc', 'net', '/unused', '--keep', `${cid}/eth0`);
    expect(told()).toEqual([{ containerID: cid, ifname: 'eth0' }]);
    expect(plugins.taken()).toEqual(gcs);
    expect((await run('gc', 'net', '/unused', '--keep', 'c1')).status).toBe(1);
  });

  test('--keep takes several, and may be repeated', async () => {
    await run('gc', 'net', '/unused', '--keep', `${cid}/eth0`, 'c1/eth1', '--exec', '--keep=c2/eth2');
    expect(told()).toEqual([
      { containerID: cid, ifname: 'eth0' },
      { containerID: 'c1', ifname: 'eth1' },
      { containerID: 'c2', ifname: 'eth2' },
    ]);
  });
});

describe('version and validate', () => {
  beforeEach(() => {
    plugins.answer('p1', 'VERSION', {
      stdout: { cniVersion: '1.1.0', supportedVersions: ['0.4.0', '1.0.0'] },
    });
    plugins.answer('p2', 'VERSION', {
      stdout: { cniVersion: '1.1.0', supportedVersions: ['1.0.0', '1.1.0'] },
    });
  });

  test('version without names is that of the tool', async () => {
    const { stdout } = await run('version');
    expect(stdout).toMatch(/^cnitool v\d+\.\d+\.\d+\nCNI protocol versions supported: 0\.1\.0, .*1\.1\.0\n$/);
  });

  test("version prints what a network's plugins support and what all of them do", async () => {
    putList({ plugins: [{ type: 'p1', ipam: { type: 'p2' } }] });
    expect((await run('version', 'net')).stdout).toBe(
      'p1: 0.4.0, 1.0.0\np2: 1.0.0, 1.1.0\nshared by all: 1.0.0\n',
    );
  });

  test('version takes plugins by name', async () => {
    expect((await run('version', 'p2')).stdout).toBe('p2: 1.0.0, 1.1.0\n');
  });

  test('validate names every plugin that does not fit', async () => {
    putList({ plugins: [{ type: 'p1' }, { type: 'p2' }, { type: 'p3' }] });
    expect((await run('validate', 'net')).last).toBe(
      `[plugin p1 does not support config version "1.1.0" failed to find plugin "p3" in path [${plugins.path[0]}]]`,
    );
    putList({ cniVersion: '1.0.0', plugins: [{ type: 'p1', capabilities: { mac: true } }, { type: 'p2' }] });
    expect(await run('validate', 'net')).toMatchObject({
      status: 0,
      stdout: 'network net: version 1.0.0, plugins p1, p2, capabilities mac\n',
    });
  });

  test('a network that is there but broken is told, not taken for a plugin', async () => {
    rmSync(join(plugins.dir, 'net.d', 'net.conflist'));
    writeFileSync(join(plugins.dir, 'net.d', 'bad.conflist'), '{');
    expect((await run('version', 'p2')).last).toMatch(/^error parsing configuration list: /);
  });
});

test('as a program it exits with the status', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const start = (...argv: string[]) =>
    spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...argv], {
      env,
      encoding: 'utf8',
    });
  const ended = start('add', 'net', netns);
  expect(ended).toMatchObject({ status: 0, stdout: JSON.stringify(result, undefined, 4), stderr: '' });
  const failed = start('foo');
  expect(failed).toMatchObject({ status: 1, stdout: '' });
});

describe('a plugin that is part of the program', () => {
  const inside: Plugin = {
    type: 'p1',
    about: '',
    versions: ['1.1.0'],
    run: async () => ({ ips: [{ address: '10.9.9.9/24' }] }),
  };
  const call = async (...argv: string[]) => {
    let stdout = '';
    const write = (text: string) => {
      stdout += text;
    };
    const self = join(plugins.path[0]!, 'p1');
    const status = await cnitool(argv, {
      env,
      stdout: write,
      stderr: () => {},
      inProcess: () => inside,
      self,
    });
    return { status, stdout };
  };
  beforeEach(() => putList({ plugins: [{ type: 'p1' }] }));

  test('is called, not started', async () => {
    expect(await call('add', 'net', netns)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('10.9.9.9'),
    });
    expect(plugins.taken()).toEqual([]);
  });

  test('is started all the same with --exec or CNITOOL_EXEC=1', async () => {
    expect((await call('add', 'net', netns, '--exec')).stdout).toContain('10.0.0.2');
    env.CNITOOL_EXEC = '1';
    expect((await call('add', 'net', netns)).stdout).toContain('10.0.0.2');
    expect(plugins.taken()).toEqual(['p1 ADD', 'p1 ADD']);
  });
});
