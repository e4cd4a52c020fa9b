/**
 * A system bus, and firewalld on it, of a test's own: the machine's are never spoken to. Both are child processes in
 * the network namespace of the calling thread, firewalld also in a mount namespace where its folders are the test's.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UnixSocket } from '@cni-ts/libc/unix-socket';

const programs = ['/usr/bin/dbus-daemon', '/usr/sbin/firewalld', '/usr/bin/firewall-cmd'] as const;

export function hasBus(): boolean {
  return existsSync(programs[0]);
}

export function hasFirewalld(): boolean {
  return programs.every((program) => existsSync(program));
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
  const child = spawn(programs[0], [`--config-file=${file}`, '--nofork', '--nopidfile', '--nosyslog'], {
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

/** firewalld on the bus of DBUS_SYSTEM_BUS_ADDRESS, as it is installed, with `folder` for /etc/firewalld. */
export async function startFirewalld(folder: string): Promise<Running> {
  mkdirSync(join(folder, 'log'), { recursive: true });
  cpSync('/etc/firewalld', folder, { recursive: true });
  const script = [
    `mount --bind '${folder}' /etc/firewalld`,
    `mount --bind '${folder}/log' /var/log`,
    `exec ${programs[1]} --nofork --nopid`,
  ].join(' && ');
  const child = spawn('unshare', ['-m', '--propagation', 'private', 'bash', '-c', script], {
    stdio: 'ignore',
  });
  await until('firewalld runs', child, () => spawnSync(programs[2], ['--state']).status === 0);
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
