/** with-tools on a machine whose apt, dpkg and npm only write down what they are asked to do. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const setup = resolve(import.meta.dirname, '..');
let machine: string;
let log: string;
beforeEach(() => {
  machine = mkdtempSync(join(tmpdir(), 'cni-setup-'));
  log = join(machine, 'log');
  const tools = join(machine, 'tools/setup');
  mkdirSync(tools, { recursive: true });
  mkdirSync(join(machine, 'bin'));
  writeFileSync(log, '');
  writeFileSync(join(machine, 'package-lock.json'), '{}');
  for (const file of ['with-tools', 'packages']) copyFileSync(join(setup, file), join(tools, file));
  program('npm', `mkdir -p node_modules/.bin && cp /bin/true node_modules/.bin/node`);
  program('dpkg-query', 'exit 1');
  program('apt-get', `case " $* " in *" download "*) cp ${machine}/\${!#}.deb . ;; esac`);
  program('apt-cache', 'echo "  Candidate: 1.0"');
  // Where it is called by someone who is not root, it is as if it were.
  program('id', '[ "$*" = -u ] && echo 0');
  for (const name of ['kea-dhcp4', 'kea-dhcp6']) debian(`${name}-server`, `usr/sbin/${name}`);
  debian('etcd-server', 'usr/sbin/etcd');
});
afterEach(() => rmSync(machine, { recursive: true }));

function program(name: string, script: string): void {
  const file = join(machine, 'bin', name);
  writeFileSync(file, `#!/bin/bash\necho "${name} $*" >>${log}\n${script}\n`);
  chmodSync(file, 0o755);
}

/** A package with one program. */
function debian(name: string, file: string): void {
  const folder = join(machine, name);
  mkdirSync(join(folder, 'DEBIAN'), { recursive: true });
  const control = {
    Package: name,
    Version: '1.0',
    Architecture: 'all',
    Maintainer: 'a test',
    Description: 'one',
  };
  const text = Object.entries(control).map(([field, value]) => `${field}: ${value}\n`);
  writeFileSync(join(folder, 'DEBIAN/control'), text.join(''));
  mkdirSync(join(folder, 'usr/sbin'), { recursive: true });
  writeFileSync(join(folder, file), '#!/bin/sh\necho it runs\n', { mode: 0o755 });
  execFileSync('dpkg-deb', ['--build', folder, join(machine, `${name}.deb`)]);
}

function withTools(...args: string[]) {
  const file = join(machine, 'tools/setup/with-tools');
  const env = { PATH: `${machine}/bin:/usr/sbin:/usr/bin:/sbin:/bin` };
  return spawnSync('bash', [file, ...args], { env, encoding: 'utf8' });
}

/** What apt and npm were asked to do. */
const asked = () =>
  readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /^apt-get .* (install|download) |^npm ci/.test(line));

test('what Node is linked with is there before npm installs Node, whatever for', () => {
  for (const purpose of ['build', 'bench', 'demo', 'fresh', 'lint']) {
    writeFileSync(log, '');
    rmSync(join(machine, 'node_modules'), { recursive: true, force: true });
    expect(withTools('--for', purpose, 'true').status, purpose).toBe(0);
    expect(asked().map((line) => line.split(' ')[0])).toEqual(['apt-get', 'npm']);
    expect(asked()[0]).toMatch(/ install --no-install-recommends .*\blibatomic1\b/);
  }
});

test('no shell that a test starts reads somebody’s ~/.bashrc', () => {
  writeFileSync(join(machine, '.bashrc'), 'echo read >&2\n');
  const start = `process.stdout.write(require('node:child_process').spawnSync('bash', ['-c', ':']).stderr)`;
  const path = `${join(machine, 'bin')}:${process.env.PATH}`;
  // As little around it as a container's first process has.
  const env = { HOME: machine, PATH: path };
  const { stdout } = spawnSync(
    'bash',
    [join(machine, 'tools/setup/with-tools'), '--for', 'lint', process.execPath, '-e', start],
    { encoding: 'utf8', env },
  );
  expect(stdout).not.toContain('read');
});

test('lint needs no compiler and no network tools', () => {
  withTools('--for', 'lint', 'true');
  expect(asked()[0]).toMatch(/ install --no-install-recommends libatomic1$/);
});

test('what would start a service is unpacked and not installed, its programs are in PATH, and what is there is left alone', () => {
  debian('firewalld', 'usr/sbin/unpacked-firewalld');
  debian('podman', 'usr/sbin/podman');
  const { status, stdout, stderr } = withTools('--for', 'test', 'unpacked-firewalld');
  expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: 'it runs\n' });
  const installed = asked()
    .filter((line) => line.includes(' install '))
    .join('\n');
  expect(installed).toMatch(/\bpython3-firewall\b/);
  expect(installed).not.toMatch(/ (firewalld|podman|dbus)( |$)/);
  expect(existsSync(join(machine, '.cache/unpacked/usr/sbin/podman'))).toBe(true);
  // It never needs to keep services from starting, so nothing of that kind can be left behind.
  expect(readFileSync(join(setup, 'with-tools'), 'utf8')).not.toMatch(/policy-rc|systemctl|invoke-rc/);
  writeFileSync(log, '');
  withTools('--for', 'test', 'true');
  expect(asked().filter((line) => line.includes(' download '))).toEqual([]);
});

test('a version of which there is no use is not fetched, with a line, and not asked for again that day', () => {
  debian('firewalld', 'usr/sbin/firewalld');
  program(
    'apt-cache',
    'case $2 in podman) echo "  Candidate: 5.4.2+ds1-2" ;; *) echo "  Candidate: 1.0" ;; esac',
  );
  const { status, stderr } = withTools('--for', 'test', 'true');
  expect(status).toBe(0);
  expect(stderr).toContain(
    'this distribution has podman 5.4.2+ds1-2, and there is use only of versions below 5',
  );
  expect(asked().join('\n')).not.toContain('download podman');
  program('dpkg-query', 'echo installed');
  writeFileSync(log, '');
  expect(withTools('--for', 'test', 'true').stderr).toBe('');
});

test('a name that the distribution has not is gone without, also when many are asked for', () => {
  debian('firewalld', 'usr/sbin/firewalld');
  debian('podman', 'usr/sbin/podman');
  program(
    'apt-cache',
    'case $2 in tcpdump) echo "  Candidate: (none)" ;; *) echo "  Candidate: 1.0"; yes | head -c 1M ;; esac',
  );
  const { stderr } = withTools('--for', 'test', 'true');
  expect(stderr.match(/this distribution has no (\S+):/g)).toEqual(['this distribution has no tcpdump:']);
});

/** Of Debian's own scripts: those that start something, not those that restart what runs. */
const starts = /deb-systemd-invoke (start|\$_dh_action)|invoke-rc\.d .*\bstart\b/;
const status = '/var/lib/dpkg/info';

test.skipIf(!existsSync(status))('no package that is installed starts a service', () => {
  const names = readFileSync(join(setup, 'packages'), 'utf8')
    .split('\n')
    .flatMap((line) => /^([a-z][\w.+-]*) +\S+ +(?:required|optional)\b/.exec(line)?.[1] ?? []);
  expect(names).toContain('dbus-daemon');
  const guilty = names.filter((name) => {
    const said = spawnSync('dpkg-query', ['-s', name], { encoding: 'utf8' }).stdout;
    const script = join(status, `${name}.postinst`);
    // util-linux is on every system.
    return (
      !said.includes('Essential: yes') && existsSync(script) && starts.test(readFileSync(script, 'utf8'))
    );
  });
  expect(guilty).toEqual([]);
});

test('lint, types and format work in a fresh clone: they go through with-tools', () => {
  const { scripts } = JSON.parse(readFileSync(resolve(setup, '../../package.json'), 'utf8'));
  for (const [name, line] of Object.entries(scripts)) {
    expect(line, name).toMatch(
      /^bash tools\/setup\/(with-tools --for (build|bench|demo|cluster|test|fresh|lint) |setup$)/,
    );
  }
});
