import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { RecordingPlugins } from '@cni-ts/testing/recording-plugins';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCnitool } from '../test/run-cnitool.ts';
import { cnitool } from './cnitool.ts';
import { containerIdOf, pluginPath } from './settings.ts';

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
  const told = await runCnitool(argv, { env });
  const lines = told.stderr.trimEnd().split('\n');
  return { ...told, first: lines[0], last: lines.at(-1)?.replace(/^Error: /, '') };
}

test('the container id follows from the path of the namespace (protocol 104)', () => {
  expect(containerIdOf(netns)).toBe(cid);
  expect(containerIdOf('/a')).toBe('cnitool-047d8a174a529dda4e96');
});

test('add prints the result indented and names container and interface to the plugin (protocol 104)', async () => {
  expect(await run('add', 'net', netns)).toMatchObject({
    status: 0,
    stdout: `${JSON.stringify({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] }, undefined, 4)}\n`,
    stderr: '',
  });
  expect(plugins.calls()[0]?.env).toMatchObject({
    CNI_CONTAINERID: cid,
    CNI_IFNAME: 'eth0',
    CNI_NETNS: netns,
  });
  expect(readdirSync(join(plugins.dir, 'cache', 'results'))).toEqual([`net-${cid}-eth0`]);
});

test('check, del and status say nothing when all is well', async () => {
  await run('add', 'net', netns);
  plugins.taken();
  for (const command of ['check', 'status', 'del']) {
    expect(await run(command, 'net', netns)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  }
  expect(plugins.taken()).toEqual(['p1 CHECK', 'p2 CHECK', 'p1 STATUS', 'p2 STATUS', 'p2 DEL', 'p1 DEL']);
});

test('an argument too many is refused before anything is done', async () => {
  for (const command of ['add', 'check', 'del', 'gc', 'status']) {
    expect(await run(command, 'net', netns, 'further')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: `Error: ${command} takes 2 arg(s), there is nothing to do with "further"\n`,
    });
  }
  expect(plugins.taken()).toEqual([]);
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

test('CNI_ARGS that are no pairs are refused, without the usage, which is another matter (protocol 106)', async () => {
  env.CNI_ARGS = 'A=1;';
  expect(await run('add', 'net', netns)).toMatchObject({
    status: 1,
    stdout: '',
    first: 'Error: invalid CNI_ARGS pair ""',
    stderr: 'Error: invalid CNI_ARGS pair ""\n',
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

test.each(['trace', 'plan', 'timeline', 'completion'])(
  'too few arguments of a command that the reference has not end with 2: %s',
  async (command) => {
    const told = await run(command);
    expect(told).toMatchObject({ status: 2, last: 'requires at least 1 arg(s), only received 0' });
    expect(told.stderr).toContain(`\nUsage: cnitool ${command} `);
  },
);

test.each([
  ['gc', 'net'],
  ['status', 'net'],
])('%s needs no namespace: what host-local advises can be typed as it stands', async (...argv) => {
  expect(await run(...argv)).toMatchObject({ status: 0, stderr: '' });
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
  -i, --ifname <name>                interface inside the namespace (default:
                                     $CNI_IFNAME, then eth0)
  --exec                             run every plugin as a process, also those
                                     that are part of this program
                                     ($CNITOOL_EXEC=1)
  --version                          print the version of the tool
  -h, --help                         display help for command

Commands:
  add [options] [network] [netns]    Add a network interface to a network
                                     namespace and print the result
  check [options] [network] [netns]  Check that a network namespace's interface
                                     is as ADD left it
  del [options] [network] [netns]    Remove the network interface from a network
                                     namespace
  gc [options] [network] [netns]     Remove the attachments of a network whose
                                     namespace is gone
  status [network] [netns]           Ask whether a network could serve ADD now
  ipam [options] [arguments...]      Tell of addresses: show [network], why
                                     <address>, check [network], release
                                     --from-report <file>; of a cluster: spaces
                                     [space], fence <node>, import --whereabouts
                                     <file>
  validate [options] [files...]      Check configurations, without one those of
                                     this node: files, a folder, - for stdin, or
                                     a network by its name
  plan [options] [network] [netns]   Tell what add would make, for the whole
                                     chain and its IPAM plugin; nothing is
                                     touched
  repair [options] [networks...]     Make what attachments need so again: rules
                                     after a flush, addresses, routes, limits;
                                     sessions live on
  list [options]                     List configurations in their order and
                                     which wins, attachments, and plugins with
                                     their versions
  timeline [options] [file]          Draw the calls of a CNI_LOG file, and how
                                     long each step took
  trace [options] [container]        Follow a packet of a container through the
                                     tables of the kernel, and name the hop that
                                     drops it
  explain [options] [object...]      Tell whose a container ID, address, host
                                     port, link, rule, mark or file is, and what
                                     is wrong with it
  doctor [options] [container]       Find what is wrong with this node, or with
                                     one container, and the cure; changes
                                     nothing
  inspect [options]                  Show the node as a picture: bridges, links,
                                     containers, their addresses, ports and
                                     limits
  version [networks-or-plugins...]   Print the spec versions of the plugins of a
                                     network, or of plugins by name, and those
                                     all share
  install [options] [names...]       Put every plugin and cnitool into a folder,
                                     or those that are named; what is replaced
                                     is kept
  uninstall [options] [names...]     Remove what is ours from a folder, or the
                                     plugins that are named, and put back what
                                     was replaced
  collect [options]                  Put what a bug report needs into one
                                     archive: configurations, attachments,
                                     links, rules, versions; secrets are masked
  completion [shell]                 Print what a shell needs to complete
                                     commands, options, networks and containers:
                                     bash, zsh or fish
  help [command]                     display help for command

Environment:
  NETCONFPATH    folder with network configurations (default: /etc/cni/net.d)
  CNI_PATH       folders with plugins, separated by ":" (default: the folder of
                 cnitool, then /opt/cni/bin)
  CNI_ARGS       K=V;K=V for the plugins
  CAP_ARGS       JSON object with values for the plugins' capabilities
  CNI_IFNAME     interface name when --ifname is not given
  CNI_CACHE_DIR  where attachments are remembered (default: /var/lib/cni)
  CNI_LOG        file for the steps of each call and how long they took
`);
});

test.each([
  ['help', 'gc'],
  ['gc', '--help'],
  ['gc', 'net', '--bogus', '-h'],
])('the help of a command lists its options: %s %s', async (...argv) => {
  expect((await run(...argv)).stdout).toBe(`\
Usage: cnitool gc [options] [network] [netns]

Remove the attachments of a network whose namespace is gone

Options:
  --keep <id/ifname...>  the attachments that stay, as ‹container
                         ID›/‹interface›, instead of those whose namespace lives
  --all                  no attachment stays, whether its namespace lives or
                         not, but those of --keep
  --dry-run              tell what would be removed, and remove nothing
  --stale                tell which attachments and reservations nobody lives
                         for, of all networks or of one; --yes removes them
  --runtime <name>       the same, by the list of containerd or crio itself
                         (crictl): a pod that is not in it has ended though its
                         namespace lives
  --yes                  with --stale or --runtime: remove what they tell
  --json                 with --stale or --runtime: as JSON
                         (dist/schemas/cnitool-gc.json)
  -h, --help             display help for command

Global Options:
  -i, --ifname <name>    interface inside the namespace (default: $CNI_IFNAME,
                         then eth0)
  --exec                 run every plugin as a process, also those that are part
                         of this program ($CNITOOL_EXEC=1)

Examples:
  # tell which attachments have lost their namespace
  cnitool gc web --dry-run
  # remove them, and what else nobody uses
  cnitool gc web
  # all but these two
  cnitool gc web --keep c1/eth0 c2/eth0
`);
});

test.each(['nobody', 'constructor'])('help on %s, which is no command, says so', async (name) => {
  expect(await run('help', name)).toMatchObject({
    status: 1,
    stdout: '',
    last: `unknown command "${name}" for "cnitool"`,
  });
});

test('an unknown flag is told in a sentence, and ends with 2', async () => {
  expect(await run('add', 'net', netns, '--bogus')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: `Error: unknown option '--bogus': see "cnitool add --help"\n`,
  });
  expect((await run('add', 'net', netns, '--keep', 'c1/eth0')).last).toMatch(/^unknown option '--keep'/);
  expect((await run('--bogus', 'add', 'net', netns)).last).toMatch(/^unknown option '--bogus'/);
});

test('a flag without its value is told in the same way', async () => {
  expect(await run('add', 'net', netns, '-i')).toMatchObject({
    status: 2,
    stderr: `Error: option '-i, --ifname <name>' argument missing: see "cnitool add --help"\n`,
  });
  expect((await run('gc', 'net', netns, '--keep')).last).toMatch(
    /^option '--keep <id\/ifname...>' argument missing/,
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

test('without CNI_PATH plugins are looked for beside the tool, then where runtimes look', async () => {
  delete env.CNI_PATH;
  expect((await run('add', 'net', netns)).last).toBe(
    'plugin type="p1" failed (add): failed to find plugin "p1" in path [/opt/cni/bin]',
  );
  expect(pluginPath({}, () => '/usr/local/lib/cni')).toEqual(['/usr/local/lib/cni', '/opt/cni/bin']);
  expect(pluginPath({ CNI_PATH: '' }, () => '/opt/cni/bin')).toEqual(['/opt/cni/bin']);
  expect(pluginPath({ CNI_PATH: '/a:/b' }, () => '/c')).toEqual(['/a', '/b']);
});

test("a plugin's failure is told with what it said", async () => {
  plugins.answer('p2', 'ADD', { status: 1, stdout: { code: 11, msg: 'm', details: 'd' } });
  expect(await run('add', 'net', netns)).toMatchObject({
    status: 1,
    stdout: '',
    stderr: 'Error: plugin type="p2" failed (add): m; d\n',
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

  /** A network namespace that is there: that of this process. */
  const alive = '/proc/self/ns/net';

  test('deletes what is remembered of namespaces that are gone, says so, and keeps the others', async () => {
    await run('add', 'net', alive);
    plugins.taken();
    expect(await run('gc', 'net', '/unused')).toMatchObject({
      status: 0,
      stdout: `removed ${cid}/eth0: its namespace ${netns} is gone\n`,
      stderr: '',
    });
    expect(told()).toEqual([{ containerID: containerIdOf(alive), ifname: 'eth0' }]);
    expect(plugins.taken()).toEqual([...dels, ...gcs]);
    expect(await run('gc', 'net', '/unused')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(plugins.taken()).toEqual(gcs);
  });

  test('a plain file, as a reboot leaves where a namespace was mounted, is none', async () => {
    const left = join(plugins.dir, 'left');
    writeFileSync(left, '');
    await run('add', 'net', left);
    expect((await run('gc', 'net', '/unused')).stdout).toContain(`its namespace ${left} is gone\n`);
  });

  test('--all deletes those whose namespace lives as well', async () => {
    await run('add', 'net', alive);
    plugins.taken();
    const { stdout } = await run('gc', 'net', '/unused', '--all');
    const lines = [
      `removed ${containerIdOf(alive)}/eth0: its namespace ${alive} lives\n`,
      `removed ${cid}/eth0: its namespace ${netns} is gone\n`,
    ];
    expect(stdout).toBe(lines.toReversed().join(''));
    expect(told()).toEqual([]);
    expect(plugins.taken()).toEqual([...dels, ...dels, ...gcs]);
  });

  test('--dry-run tells what would be done and does nothing', async () => {
    expect(await run('gc', 'net', '/unused', '--dry-run')).toMatchObject({
      status: 0,
      stdout: `would remove ${cid}/eth0: its namespace ${netns} is gone\nplugins would be told that nothing is in use\n`,
    });
    expect(plugins.taken()).toEqual([]);
    expect(readdirSync(join(plugins.dir, 'cache', 'results'))).toEqual([`net-${cid}-eth0`]);
  });

  test('before 1.1.0 it says that no plugin was asked', async () => {
    putList({ cniVersion: '1.0.0' });
    expect((await run('gc', 'net', '/unused')).stdout).toBe(
      `removed ${cid}/eth0: its namespace ${netns} is gone\n` +
        'plugins were not asked to collect: network net is of version 1.0.0, and GC came with 1.1.0\n',
    );
    expect(plugins.taken()).toEqual(dels);
    putList({ disableGC: true });
    expect((await run('gc', 'net', '/unused')).stdout).toBe('nothing was done: network net says disableGC\n');
  });

  test('what was removed is told although something fails after it', async () => {
    plugins.answer('p1', 'GC', { status: 1, stdout: { code: 11, msg: 'busy' } });
    expect(await run('gc', 'net', '/unused')).toMatchObject({
      status: 1,
      stdout: `removed ${cid}/eth0: its namespace ${netns} is gone\n`,
      stderr: 'Error: failed to GC plugin p1: busy\n',
    });
  });

  const entry = () => join(plugins.dir, 'cache', 'results', `net-${cid}-eth0`);

  test("an entry without its ID has it in its name, and stands in nobody's way", async () => {
    writeFileSync(entry(), readFileSync(entry(), 'utf8').replace('containerId', 'containerIe'));
    expect(await run('gc', 'net', '/unused')).toMatchObject({
      status: 0,
      stdout: `removed ${cid}/eth0: its namespace ${netns} is gone\n`,
      stderr: '',
    });
    expect(plugins.calls()[0]?.env.CNI_CONTAINERID).toBe(cid);
    expect(existsSync(entry())).toBe(false);
  });

  test('a damaged entry stays with all it may stand for, until --all', async () => {
    writeFileSync(entry(), '{');
    const plain = join(plugins.dir, 'cache', 'results', 'net-c1-eth0');
    writeFileSync(plain, '');
    const first = await run('gc', 'net', '/unused');
    expect(first).toMatchObject({ status: 0, stdout: '' });
    expect(first.stderr).toContain(`${plain}: it is damaged; c1/eth0 was kept, and --all removes it\n`);
    expect(told()).toEqual([
      { containerID: 'c1', ifname: 'eth0' },
      { containerID: 'cnitool', ifname: cid.replace('cnitool-', '').concat('-eth0') },
      { containerID: cid, ifname: 'eth0' },
    ]);
    const all = await run('gc', 'net', '/unused', '--all');
    expect(all.stdout).toBe('removed c1/eth0: its entry in the cache is damaged\n');
    expect(all.stderr).toContain(`${entry()}: it is damaged; it stays, for it may be `);
    expect(existsSync(plain)).toBe(false);
  });

  test('an entry that says another ID than its name is removed with its file, and neither is collected', async () => {
    writeFileSync(entry(), readFileSync(entry(), 'utf8').replace(cid, 'c7'));
    const { stdout, stderr } = await run('gc', 'net', '/unused');
    expect(stdout).toBe(`removed c7/eth0: its namespace ${netns} is gone\n`);
    expect(stderr).toContain('it says that it is container c7, interface eth0 of net');
    expect(told()).toContainEqual({ containerID: cid, ifname: 'eth0' });
    expect(existsSync(entry())).toBe(false);
  });

  test('--keep leaves what it names and tells the plugins of it', async () => {
    await run('gc', 'net', '/unused', '--keep', `${cid}/eth0`);
    expect(told()).toEqual([{ containerID: cid, ifname: 'eth0' }]);
    expect(plugins.taken()).toEqual(gcs);
    expect((await run('gc', 'net', '/unused', '--keep', 'c1')).status).toBe(2);
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

describe('an ADD that fails', () => {
  const broken = { status: 1, stdout: { code: 11, msg: 'm' } };

  test('is taken back: DEL of the plugin that failed and those before it, last first', async () => {
    plugins.answer('p2', 'ADD', broken);
    putList({ plugins: [{ type: 'p1' }, { type: 'p2' }, { type: 'p1', name: 'never' }] });
    expect((await run('add', 'net', netns)).stderr).toBe('Error: plugin type="p2" failed (add): m\n');
    const calls = plugins.calls();
    expect(plugins.taken()).toEqual(['p1 ADD', 'p2 ADD', 'p2 DEL', 'p1 DEL']);
    expect(calls.at(-1)?.request.prevResult).toEqual(result);
    expect(existsSync(join(plugins.dir, 'cache', 'results', `net-${cid}-eth0`))).toBe(false);
  });

  test('and cannot be taken back whole says what is left, the same reason once', async () => {
    plugins.answer('p2', 'ADD', broken);
    plugins.answer('p2', 'DEL', broken);
    plugins.answer('p1', 'DEL', { status: 1, stdout: { code: 1, msg: 'in use' } });
    expect((await run('add', 'net', netns)).last).toBe(
      'plugin type="p2" failed (add): m; taking back what was made failed too, of p2 for the same reason; of p1: in use',
    );
  });

  test('takes nothing back from an attachment that was there before it', async () => {
    await run('add', 'net', netns);
    plugins.taken();
    plugins.answer('p2', 'ADD', broken);
    expect((await run('add', 'net', netns)).last).toBe(
      `plugin type="p2" failed (add): m; ${cid}, eth0 was attached to net before, so nothing was taken back: DEL first`,
    );
    expect(plugins.taken()).toEqual(['p1 ADD', 'p2 ADD']);
  });

  test('since a plugin is missing has started none', async () => {
    putList({ plugins: [{ type: 'p1' }, { type: 'absent' }] });
    expect((await run('add', 'net', netns)).last).toMatch(
      /^plugin type="absent" failed \(add\): failed to find/,
    );
    expect(plugins.taken()).toEqual([]);
  });

  test('since it could not be remembered has started no plugin', async () => {
    writeFileSync(join(plugins.dir, 'cache'), 'a file where the folder should be');
    expect((await run('add', 'net', netns)).last).toMatch(/^failed to set network "net" cached result: /);
    expect(plugins.taken()).toEqual([]);
  });
});

test('DEL does all it can where a plugin is missing, and says which', async () => {
  await run('add', 'net', netns);
  plugins.taken();
  putList({ plugins: [{ type: 'p1' }, { type: 'absent' }, { type: 'p2' }] });
  expect((await run('del', 'net', netns)).last).toMatch(
    /^plugin type="absent" failed \(delete\): failed to find plugin "absent"/,
  );
  expect(plugins.taken()).toEqual(['p2 DEL', 'p1 DEL']);
  expect(readdirSync(join(plugins.dir, 'cache', 'results'))).toEqual([`net-${cid}-eth0`]);
  putList({});
  expect((await run('del', 'net', netns)).status).toBe(0);
  expect(readdirSync(join(plugins.dir, 'cache', 'results'))).toEqual([]);
});

test('CHECK and DEL get the arguments of the ADD, unless they are given others', async () => {
  putList({ plugins: [{ type: 'p1', capabilities: { mac: true } }] });
  env.CAP_ARGS = '{"mac":"02:00:00:00:00:01"}';
  env.CNI_ARGS = 'A=1';
  await run('add', 'net', netns);
  delete env.CAP_ARGS;
  delete env.CNI_ARGS;
  await run('check', 'net', netns);
  env.CNI_ARGS = 'A=2';
  await run('check', 'net', netns);
  env.CAP_ARGS = '{"mac":"02:00:00:00:00:02"}';
  await run('del', 'net', netns);
  expect(plugins.calls().map((call) => [call.env.CNI_ARGS, call.request.runtimeConfig])).toEqual([
    ['A=1', { mac: '02:00:00:00:00:01' }],
    ['A=1', { mac: '02:00:00:00:00:01' }],
    ['A=2', { mac: '02:00:00:00:00:01' }],
    ['A=2', { mac: '02:00:00:00:00:02' }],
  ]);
});

describe('a namespace that can be reached by several paths', () => {
  let real: string;
  let other: string;
  beforeEach(() => {
    real = join(plugins.dir, 'run', 'x');
    other = join(plugins.dir, 'var-run', 'x');
    mkdirSync(join(plugins.dir, 'run'));
    symlinkSync('run', join(plugins.dir, 'var-run'));
  });
  const results = () => readdirSync(join(plugins.dir, 'cache', 'results'));

  test.each([
    ['without links, removed by a link', () => [real, other]],
    ['by a link, removed without', () => [other, real]],
  ])('%s, is one container, though its file be gone', async (_name, paths) => {
    const [first = '', second = ''] = paths();
    await run('add', 'net', first);
    await run('check', 'net', second);
    await run('del', 'net', second);
    const seen = plugins
      .calls()
      .map(({ env: { CNI_CONTAINERID, CNI_NETNS } }) => [CNI_CONTAINERID, CNI_NETNS]);
    expect(new Set(seen.map(String))).toEqual(new Set([`${containerIdOf(first)},${first}`]));
    expect(results()).toEqual([]);
  });

  test('/run and /var/run are one for ADD too, in either order, as the reference tool names them', async () => {
    for (const [first, second] of [
      ['/run/netns/none', '/var/run/netns/none'],
      ['/var/run/netns/none', '/run/netns/none'],
    ] as const) {
      await run('add', 'net', first);
      await run('add', 'net', second);
      expect(results()).toEqual([`net-${containerIdOf(first)}-eth0`]);
      await run('del', 'net', second);
      expect(results()).toEqual([]);
    }
  });

  test('a link to the namespace itself is the same', async () => {
    const link = join(plugins.dir, 'link');
    symlinkSync('/proc/self/ns/net', link);
    await run('add', 'net', '/proc/self/ns/net');
    await run('del', 'net', link);
    expect(results()).toEqual([]);
  });

  test('another is another', async () => {
    await run('add', 'net', real);
    await run('del', 'net', `${other}y`);
    expect(results()).toHaveLength(1);
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
    expect((await run('--version')).stdout).toBe(stdout);
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
  expect(ended).toMatchObject({ status: 0, stdout: `${JSON.stringify(result, undefined, 4)}\n`, stderr: '' });
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
