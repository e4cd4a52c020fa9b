/**
 * A system bus, and firewalld on it, of a test's own: the machine's are never spoken to. Both are child processes in
 * the network namespace of the calling thread. They are found in PATH: firewalld may be unpacked and not installed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UnixSocket } from '@cni-ts/libc/unix-socket';

export function hasBus(): boolean {
  return found('dbus-daemon') !== undefined;
}

/** Whether firewalld is there and can be started: it is a script, and what it imports is another package. */
export function hasFirewalld(): boolean {
  return hasBus() && ['firewalld', 'firewall-cmd'].every((name) => spawnSync(name, ['--help']).status === 0);
}

/** The file of a program. */
function found(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(':');
  return folders.map((folder) => join(folder, program)).find((file) => existsSync(file));
}

export interface Running {
  /** Ends it, and waits until it is gone. */
  stop(): Promise<void>;
}

/** `address` is what belongs into DBUS_SYSTEM_BUS_ADDRESS. Anybody may own any name. */
export async function startBus(folder: string): Promise<Running & { address: string }> {
  const socket = join(folder, 'system-bus');
  const file = join(folder, 'system-bus.conf');
  writeFileSync(
    file,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig>
      <type>system</type>
      <listen>unix:path=${socket}</listen>
      <auth>EXTERNAL</auth>
      <policy context="default">
        <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
      </policy>
    </busconfig>`,
  );
  const child = spawn('dbus-daemon', [`--config-file=${file}`, '--nofork', '--nopidfile', '--nosyslog'], {
    stdio: 'ignore',
  });
  await until('dbus-daemon listens', child, () => existsSync(socket) && listens(socket));
  return { address: `unix:path=${socket}`, stop: () => ended(child) };
}

function listens(socket: string): boolean {
  try {
    UnixSocket.connect(socket, 1000).close();
    return true;
  } catch {
    return false; // reason: the file is there a moment before anybody listens
  }
}

/** firewalld on the bus of DBUS_SYSTEM_BUS_ADDRESS, as it comes, with `folder` for /etc/firewalld and its log. */
export async function startFirewalld(folder: string): Promise<Running> {
  const program = found('firewalld');
  if (!program) throw new Error('firewalld is not installed');
  // usr/sbin/firewalld, /usr/lib/firewalld and /etc/firewalld belong together, wherever they are.
  const root = resolve(program, '../../..');
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'etc/firewalld'), folder, { recursive: true });
  const child = spawn(
    program,
    [
      ...['--nofork', '--nopid', '--system-config', folder, '--log-file', join(folder, 'log')],
      ...['--default-config', join(root, 'usr/lib/firewalld')],
    ],
    { stdio: 'ignore' },
  );
  await until('firewalld runs', child, () => spawnSync('firewall-cmd', ['--state']).status === 0);
  return { stop: () => ended(child) };
}

async function until(what: string, child: ChildProcess, isSo: () => boolean): Promise<void> {
  for (let patience = 300; !isSo(); patience--) {
    if (patience === 0 || child.exitCode !== null) {
      await ended(child);
      throw new Error(`no hope any more that ${what}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
