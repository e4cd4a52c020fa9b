/** `cnitool install` over what others have put there, and `uninstall`: in a folder of the Go plugins, at any moment. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { installSchema } from '@cni-ts/cli/report-schemas';
import { type FaultMode, reported, underFault } from '@cni-ts/testing/fault-injector';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copyProgram, Lab, ours, theirs } from './lab.ts';

let lab: Lab;
let folder: string;
beforeEach(() => {
  lab = new Lab();
  folder = join(lab.dir, 'bin');
  mkdirSync(folder);
});
afterEach(() => lab.close());

const install = (...words: string[]) => lab.cnitool(['install', '--dir', folder, ...words]);
const uninstall = (...words: string[]) => lab.cnitool(['uninstall', '--dir', folder, ...words]);

/** A program that says it is a plugin of the reference, in one file that a test can copy: 1.9.1 where nothing else is said. */
function referencePlugin(name: string, version = 'v1.9.1'): string {
  const file = join(lab.dir, `go-${name}-${version.replace(/\W/g, '-')}`);
  const text = `CNI ${name} plugin ${version}\\nCNI protocol versions supported: 1.0.0\\n`;
  const source = `#include <stdio.h>\nint main(void) { return fputs("${text}", stderr) < 0; }\n`;
  execFileSync('gcc', ['-x', 'c', '-', '-o', file], { input: source });
  return file;
}

/** Every file of the folder: mode, owner, times, number, and contents. */
function contents(): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(folder, name);
      const { mode, uid, ino, mtimeMs } = lstatSync(path);
      if (lstatSync(path).isDirectory()) return `${name}/`;
      const bytes = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : readFileSync(path);
      const hash = createHash('sha256').update(bytes).digest('hex');
      return `${name} ${mode.toString(8)} ${uid} ${ino} ${mtimeMs} ${hash}`;
    });
}

/** What is told of one that is called without a command, as people do. */
function about(name: string): string {
  const { stderr } = spawnSync(join(folder, name), { encoding: 'utf8', env: {} });
  return stderr.split('\n')[0] ?? '';
}

test('what it replaces is told with its version, kept, and put back as it was', async () => {
  copyProgram(referencePlugin('bridge'), join(folder, 'bridge'));
  copyProgram(referencePlugin('vlan', 'version unknown'), join(folder, 'vlan'));
  symlinkSync(referencePlugin('tap', 'v1.4.0'), join(folder, 'tap'));
  const before = contents();
  const { stdout, stderr, status } = await install('bridge', 'vlan', 'tap', 'ptp');
  expect([stderr, status]).toEqual(['', 0]);
  expect(stdout.split('\n')).toEqual([
    'bridge 1.9.1 (Go) → 0.1.0, kept as .cni-ts/bridge.1.9.1',
    `installed ${folder}/ptp`,
    'tap 1.4.0 (Go) → 0.1.0, kept as .cni-ts/tap.1.4.0',
    'vlan of unknown version (Go) → 0.1.0, kept as .cni-ts/vlan.unknown',
    '',
  ]);
  expect(['bridge', 'ptp', 'tap', 'vlan'].map(about)).toEqual(
    ['bridge', 'ptp', 'tap', 'vlan'].map((name) => `CNI plugin ${name} v0.1.0`),
  );
  expect(readdirSync(join(folder, '.cni-ts')).sort()).toEqual(['bridge.1.9.1', 'tap.1.4.0', 'vlan.unknown']);
  const back = await uninstall();
  expect(back).toMatchObject({ stderr: '', status: 0 });
  expect(back.stdout.split('\n')).toEqual([
    'bridge 0.1.0 → 1.9.1, back from .cni-ts/bridge.1.9.1',
    `removed ${folder}/ptp`,
    'tap 0.1.0 → 1.4.0, back from .cni-ts/tap.1.4.0',
    'vlan 0.1.0 → that of unknown version, back from .cni-ts/vlan.unknown',
    '',
  ]);
  expect(contents()).toEqual(before);
});

test.skipIf(!existsSync(theirs))('Debian’s plugins come back byte for byte after two installs', async () => {
  execFileSync('cp', ['-a', `${theirs}/.`, folder]);
  const before = contents();
  for (let round = 0; round < 2; round++) expect((await install()).status).toBe(0);
  expect(about('bridge')).toBe('CNI plugin bridge v0.1.0');
  expect((await uninstall()).status).toBe(0);
  expect(contents()).toEqual(before);
  expect(await uninstall()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(contents()).toEqual(before);
});

test('installed again nothing more is kept, and the same file comes back', async () => {
  copyProgram(referencePlugin('bridge'), join(folder, 'bridge'));
  const before = contents();
  await install('bridge');
  const again = await install('bridge');
  expect(again.stdout).toBe(`installed ${folder}/bridge (this build was there before)\n`);
  expect(readdirSync(join(folder, '.cni-ts'))).toEqual(['bridge.1.9.1']);
  await uninstall('bridge');
  expect(contents()).toEqual(before);
});

test('where another was put over ours meanwhile, that is what is kept and comes back', async () => {
  copyProgram(referencePlugin('bridge'), join(folder, 'bridge'));
  await install('bridge');
  rmSync(join(folder, 'bridge'));
  copyProgram(referencePlugin('bridge', 'v1.10.0'), join(folder, 'bridge'));
  const left = await uninstall('bridge');
  expect(left).toMatchObject({ status: 1, stdout: '' });
  expect(left.stderr).toBe(
    `cnitool: CNI4032 ${folder}/bridge: somebody has replaced what was installed; it stays, and so does .cni-ts/bridge.1.9.1\n`,
  );
  await install('bridge');
  expect(readdirSync(join(folder, '.cni-ts'))).toEqual(['bridge.1.10.0']);
  await uninstall('bridge');
  expect(about('bridge')).toBe('CNI bridge plugin v1.10.0');
});

describe('what is somebody else’s stays', () => {
  test('a script is not even started; with --force it is kept, and comes back', async () => {
    const started = join(lab.dir, 'started');
    writeFileSync(join(folder, 'loopback'), `#!/bin/sh\ntouch ${started}\n`, { mode: 0o755 });
    const before = contents();
    const { stdout, stderr, status } = await install('loopback', 'ptp');
    expect([stdout, status]).toEqual([`installed ${folder}/ptp\n`, 1]);
    expect(stderr).toBe(
      `cnitool: CNI4030 ${folder}/loopback: it is neither ours nor the reference’s, and stays; --force replaces and keeps it\n`,
    );
    await uninstall();
    expect([contents(), existsSync(started)]).toEqual([before, false]);
    expect((await install('--force', 'loopback')).stdout).toBe(
      'loopback another program → 0.1.0, kept as .cni-ts/loopback.other\n',
    );
    await uninstall('loopback');
    expect(contents()).toEqual(before);
  });

  test('a program that never ends is given up', async () => {
    const source = '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n';
    execFileSync('gcc', ['-x', 'c', '-', '-o', join(folder, 'dummy')], { input: source });
    const started = performance.now();
    expect((await install('dummy')).stderr).toContain('CNI4030');
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('a folder, also with --force', async () => {
    mkdirSync(join(folder, 'sbr'));
    expect((await install('--force', 'sbr')).stderr).toContain(`CNI4030 ${folder}/sbr: it is a folder`);
  });

  test('a newer one of ours; an older one is replaced and not kept', async () => {
    await install('static');
    const as = (version: string) => {
      const bytes = readFileSync(join(folder, 'static'));
      const at = bytes.indexOf('cni-ts program v');
      bytes.write(`${version}\0`, at + 'cni-ts program v'.length, 'latin1');
      // Of another build, in the 32 bytes after the version's.
      bytes[at + 32] = bytes[at + 32] === 0x61 ? 0x62 : 0x61;
      rmSync(join(folder, 'static'));
      writeFileSync(join(folder, 'static'), bytes, { mode: 0o755 });
    };
    as('0.0.9');
    expect(await install('static')).toMatchObject({ status: 0, stdout: 'static 0.0.9 → 0.1.0\n' });
    as('0.10.0');
    const { status, stderr } = await install('static');
    expect([status, stderr]).toEqual([
      1,
      `cnitool: CNI4031 ${folder}/static: it is of version 0.10.0, and this is 0.1.0: it stays; --force replaces it\n`,
    ]);
    expect(await install('--force', 'static')).toMatchObject({
      status: 0,
      stdout: 'static 0.10.0 → 0.1.0\n',
    });
    expect(readdirSync(folder)).toEqual(['static']);
  });
});

test('as JSON it is told what was done and why not', async () => {
  copyProgram(referencePlugin('bridge'), join(folder, 'bridge'));
  writeFileSync(join(folder, 'loopback'), '#!/bin/sh\n', { mode: 0o755 });
  const { json, stderr, status } = await install('--json', 'bridge', 'loopback', 'ptp');
  expect([stderr, status]).toEqual(['', 1]);
  const path = (name: string) => join(folder, name);
  expect(json).toMatchObject({ folder, version: '0.1.0' });
  expect(installSchema().safeParse(json).error).toBeUndefined();
  expect(json?.files).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'loopback', action: 'refused', code: 'CNI4030' }),
      expect.objectContaining({
        ...{ name: 'bridge', action: 'replaced', kept: path('.cni-ts/bridge.1.9.1') },
        before: { whose: 'go', version: '1.9.1', thisBuild: false },
      }),
      expect.objectContaining({ name: 'ptp', path: path('ptp'), action: 'installed' }),
    ]),
  );
  const back = await uninstall('--json');
  expect(installSchema().safeParse(back.json).error).toBeUndefined();
  const files = back.json?.files as { name: string; action: string }[]; // reason: the schema says so
  expect(files.map(({ name, action }) => `${name} ${action}`)).toEqual(['bridge restored', 'ptp removed']);
});

test.skipIf(!existsSync('/usr/bin/strace'))(
  'where a file can have one name only, what is replaced is copied',
  async () => {
    copyProgram(referencePlugin('bridge'), join(folder, 'bridge'));
    const same = (lines: string[]) => lines.map((line) => line.replace(/ (\d+) ([\d.]+) (?=\w+$)/, ' $2 '));
    const before = contents();
    const refused = '-f -o /dev/null -e inject=link,linkat:error=EPERM';
    lab.sh(`strace ${refused} ${ours}/cnitool install --dir ${folder} bridge`);
    expect(readdirSync(join(folder, '.cni-ts'))).toEqual(['bridge.1.9.1']);
    await uninstall();
    expect(same(contents())).toEqual(same(before));
    expect(contents()).not.toEqual(before);
  },
);

test('the plugins are the small program, the tool the one that has them too', async () => {
  await install();
  const size = (path: string) => lstatSync(path).size;
  expect(size(join(folder, 'bridge'))).toBe(size(join(ours, 'bridge')));
  expect(size(join(folder, 'cnitool'))).toBe(size(join(ours, 'cnitool')));
  // Where the plugins' program is there but was cut short, the tool is every plugin, as it is alone.
  const cut = join(lab.dir, 'cut');
  mkdirSync(cut);
  copyProgram(join(ours, 'cnitool'), join(cut, 'cnitool'));
  writeFileSync(join(cut, 'ptp'), readFileSync(join(ours, 'ptp')).subarray(0, 3_000_000), { mode: 0o755 });
  lab.sh(`${cut}/cnitool install --dir ${folder} ptp`);
  expect(size(join(folder, 'ptp'))).toBe(size(join(ours, 'cnitool')));
  const alone = join(lab.dir, 'alone');
  mkdirSync(alone);
  copyProgram(join(ours, 'cnitool'), join(alone, 'cnitool'));
  rmSync(join(folder, 'bridge'));
  expect(lab.sh(`${alone}/cnitool install --dir ${folder} bridge`)).toBe(`installed ${folder}/bridge\n`);
  expect(about('bridge')).toBe('CNI plugin bridge v0.1.0');
});

describe('at any moment', () => {
  const names = ['bridge', 'host-local', 'tap'];
  let made: { bridge: string; tap: string };
  beforeEach(() => {
    made = { bridge: referencePlugin('bridge'), tap: referencePlugin('tap') };
  });

  /** Of the reference, of the reference through a link, and not there. */
  function fill(): string[] {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    copyProgram(made.bridge, join(folder, 'bridge'));
    symlinkSync(made.tap, join(folder, 'tap'));
    return contents().map((line) => line.replace(/ \d+ [\d.]+ (?=\w+$)/, ' '));
  }

  const words = (command: string) => [command, '--dir', folder, ...names];

  function under(mode: FaultMode, at: number, command: string) {
    const report = join(lab.dir, 'report');
    const [file, args] = underFault({ mode, at }, report, join(ours, 'cnitool'), words(command));
    const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
    return { status, stderr, changes: reported(report).length };
  }

  const whole = {
    bridge: ['CNI bridge plugin v1.9.1', 'CNI plugin bridge v0.1.0'],
    tap: ['CNI tap plugin v1.9.1', 'CNI plugin tap v0.1.0'],
    'host-local': ['', 'CNI plugin host-local v0.1.0'],
  };
  const looked = () =>
    Object.entries(whole).filter(([name, may]) => {
      const is = existsSync(join(folder, name)) ? about(name) : '';
      return !may.includes(is);
    });

  test.each(['install', 'uninstall'])(
    'a kill of %s leaves each name old or new, and working',
    async (command) => {
      fill();
      if (command === 'uninstall') await install(...names);
      const { changes } = under('kill', 0, command);
      expect(changes).toBeGreaterThan(command === 'install' ? 10 : 2);
      for (let at = 1; at <= changes; at++) {
        const before = fill();
        if (command === 'uninstall') await install(...names);
        under('kill', at, command);
        expect(looked(), `killed at change ${at}`).toEqual([]);
        // Whatever was left, the next ones come to their end.
        expect((await install(...names)).status, `install after ${at}`).toBe(0);
        expect(names.map((name) => about(name))).toEqual(names.map((name) => whole[name as 'tap'][1]));
        expect((await uninstall(...names)).status, `uninstall after ${at}`).toBe(0);
        const after = contents().filter((line) => !line.startsWith('.cnitool-install-'));
        expect(
          after.map((line) => line.replace(/ \d+ [\d.]+ (?=\w+$)/, ' ')),
          `after ${at}`,
        ).toEqual(before);
      }
    },
    180_000,
  );

  test('so does a signal, after which nothing of an install stays', async () => {
    fill();
    const { changes } = under('term', 0, 'install');
    const ends = new Set<number | null>();
    for (let at = 1; at <= changes; at++) {
      fill();
      const { status, stderr } = under('term', at, 'install');
      ends.add(status);
      expect(looked(), `stopped at ${at}`).toEqual([]);
      if (status !== 0) expect(stderr, `stopped at ${at}`).toContain('SIGTERM');
      expect(
        readdirSync(folder).filter((name) => name.startsWith('.cnitool')),
        `stopped at ${at}: ${stderr}`,
      ).toEqual([]);
    }
    expect(ends).toEqual(new Set([0, 1]));
  }, 120_000);

  test('so does a refusal, which is told, and nothing of it stays', async () => {
    fill();
    const { changes } = under('refuse', 0, 'install');
    for (let at = 1; at <= changes; at++) {
      fill();
      const { status, stderr } = under('refuse', at, 'install');
      expect(looked(), `refused at ${at}`).toEqual([]);
      const left = readdirSync(folder).filter((name) => name.startsWith('.cnitool'));
      // What cannot be removed once is what the refusal was of.
      if (status !== 0) expect(stderr, `refused at ${at}`).toMatch(/^Error: .*(could not be installed|: )/);
      expect(left.length, `refused at ${at}: ${left}`).toBeLessThanOrEqual(1);
    }
  }, 120_000);
});

test('plugins that run, and are called without a pause, notice nothing', async () => {
  await install('bridge', 'dhcp');
  const daemon = spawn(join(folder, 'dhcp'), ['daemon', '-socketpath', join(lab.dir, 'dhcp.sock')]);
  const callers: ChildProcess[] = [];
  const script = `while [ ! -e ${lab.dir}/stop ]; do CNI_COMMAND=VERSION ${folder}/bridge || echo failed; done`;
  try {
    for (let at = 0; at < 2; at++) {
      const caller = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
      callers.push(caller);
    }
    const told = callers.map((one) => {
      let text = '';
      one.stdout?.on('data', (chunk) => {
        text += chunk;
      });
      one.stderr?.on('data', (chunk) => {
        text += chunk;
      });
      return new Promise<string>((done) => one.on('close', () => done(text)));
    });
    for (let round = 0; round < 5; round++) {
      expect((await install('bridge', 'dhcp')).status).toBe(0);
    }
    writeFileSync(join(lab.dir, 'stop'), '');
    for (const text of await Promise.all(told)) {
      const lines = new Set(text.trim().split('\n'));
      expect([...lines]).toEqual([expect.stringContaining('supportedVersions')]);
    }
    expect(daemon.exitCode).toBeNull();
  } finally {
    daemon.kill();
    for (const one of callers) one.kill();
  }
});

test('two installs at once wait for each other', async () => {
  copyProgram(referencePlugin('bridge'), join(folder, 'bridge'));
  const both = await Promise.all([install('bridge'), install('bridge')]);
  expect(both.map(({ status }) => status)).toEqual([0, 0]);
  expect(both.map(({ stdout }) => stdout).sort()).toEqual([
    'bridge 1.9.1 (Go) → 0.1.0, kept as .cni-ts/bridge.1.9.1\n',
    `installed ${folder}/bridge (this build was there before)\n`,
  ]);
  expect(readdirSync(join(folder, '.cni-ts'))).toEqual(['bridge.1.9.1']);
});

test('a folder that cannot be written to is told, and is as it was', async () => {
  copyProgram(referencePlugin('bridge'), join(folder, 'bridge'));
  const before = contents();
  const run = (command: string) =>
    lab.sh(`unshare -m --propagation private bash -c '
      mount --bind ${folder} ${folder} && mount -o remount,bind,ro ${folder}
      ${ours}/cnitool ${command} --dir ${folder} bridge 2>&1; echo status $?'`);
  expect(run('install')).toMatch(
    /^Error: .*\/bridge could not be installed, and is as it was: open .*: read-only file system\nstatus 1\n$/,
  );
  expect(contents()).toEqual(before);
  await install('bridge');
  const installed = contents();
  expect(run('uninstall')).toMatch(
    /^Error: .*\/bridge could not be taken out, and is as it was: rename .*: read-only file system\nstatus 1\n$/,
  );
  expect(contents()).toEqual(installed);
});

test('on a full disk nothing is replaced, though some of it had room', () => {
  const go = referencePlugin('bridge');
  const told = lab.sh(`unshare -m --propagation private bash -c '
    mount -t tmpfs -o size=10m t ${folder} && cp ${go} ${folder}/bridge
    ${ours}/cnitool install --dir ${folder} bridge ptp tap 2>&1; echo status $?; ls -A ${folder}
    cmp ${go} ${folder}/bridge && echo same'`);
  expect(told).toMatch(
    /^Error: .*\/tap could not be installed, and is as it was: write .*: no space left on device\nstatus 1\nbridge\nsame\n$/,
  );
});

describe('in a container', () => {
  /** Installs by a root that has nothing but the programs and the host's folder. */
  function inContainer(host: string): string {
    const root = join(lab.dir, 'root');
    return lab.sh(`unshare -m --propagation private bash -c '
      mkdir -p ${root}/{proc,host/opt/cni/bin,opt/cni-ts/bin} && mount --bind /proc ${root}/proc
      mount --bind ${host} ${root}/host/opt/cni/bin
      cp ${ours}/{cnitool,bridge} ${root}/opt/cni-ts/bin
      chroot ${root} /opt/cni-ts/bin/cnitool install bridge; ls -A ${root}/opt'`);
  }

  test('where the host’s folder is mounted, that is the one', () => {
    expect(inContainer(folder)).toBe('installed /host/opt/cni/bin/bridge\ncni-ts\n');
    expect(readdirSync(folder)).toEqual(['bridge']);
  });

  test.skipIf(!existsSync(theirs))(
    'a Go plugin is known that cannot be started without the host’s libc',
    () => {
      copyProgram(join(theirs, 'bridge'), join(folder, 'bridge'));
      expect(inContainer(folder)).toBe(
        'bridge of unknown version (Go) → 0.1.0, kept as .cni-ts/bridge.unknown\ncni-ts\n',
      );
    },
  );
});
