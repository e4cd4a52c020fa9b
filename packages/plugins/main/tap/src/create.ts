/** How the tap is made. */
import { formatMac } from '@cni-ts/address/mac';
import { closeFile, openFile, openFlags, writeWhole } from '@cni-ts/libc/file';
import { mayAccess } from '@cni-ts/libc/file-status';
import { runToEnd } from '@cni-ts/libc/program';
import { createTap, type NewTap } from '@cni-ts/libc/tap';
import type { Namespace } from '@cni-ts/resource/namespace';
import { changeLink } from '@cni-ts/rtnetlink/change-link';
import { deleteLink, findLink, getLink } from '@cni-ts/rtnetlink/link';
import { messageOf } from '@cni-ts/spec/cni-error';

export interface WantedTap extends NewTap {
  readonly mtu: number;
  readonly alias: string;
  /** The SELinux context of the process that makes it, which becomes the tap's; '' for this process's. */
  readonly selinuxContext: string;
}

/** Makes it with its MAC, MTU and alias: before it has these it does not outlive this process. */
export function makeTap(tap: WantedTap, inside: Namespace, mac: Uint8Array): void {
  const { name, mtu, alias: ifAlias, selinuxContext } = tap;
  const finish = () => {
    const link = getLink(inside.route, name);
    changeLink(inside.route, link, { mac, ifAlias, ...(mtu && { mtu }) });
  };
  try {
    inside.netns.run(() => {
      if (selinuxContext === '') createTap(tap, finish);
      else byLabelledProgram(tap, inside, finish);
    });
  } catch (error) {
    const other = findLink(inside.route, name);
    if (!other || formatMac(other.mac) === formatMac(mac)) throw error;
    throw nameTaken(name, error);
  }
}

export function nameTaken(name: string, cause?: unknown): Error {
  const text = `failed to rename tap to "${name}": file exists: the container has a link of that name`;
  return new Error(text, { cause });
}

/** The kernel labels a tap as the process is that makes it, and a process is labelled when it is executed. */
function byLabelledProgram(tap: WantedTap, inside: Namespace, finish: () => void): void {
  const { name, multiQueue, owner, group } = tap;
  const ip = programIn(process.env.PATH ?? '', 'ip');
  if (ip === undefined) {
    throw new Error(
      'failed to run command : exec: "ip": executable file not found in $PATH (selinuxContext needs it)',
    );
  }
  label(tap.selinuxContext);
  const words = ['tuntap', 'add', 'mode', 'tap', 'name', name];
  if (multiQueue) words.push('multi_queue');
  if (owner !== undefined) words.push('user', String(owner));
  if (group !== undefined) words.push('group', String(group));
  const { status, signal, stdout, stderr } = runToEnd(ip, words, process.env, '');
  if (status !== 0) {
    throw new Error(
      `failed to run command ${stdout}${stderr}: ${signal ? `signal ${signal}` : `exit status ${status}`}`,
    );
  }
  try {
    finish();
  } catch (error) {
    deleteLink(inside.route, name);
    throw error;
  }
}

/** For the program that this thread executes next. */
function label(context: string): void {
  const path = '/proc/thread-self/attr/exec';
  try {
    const fd = openFile(path, openFlags.writeOnly);
    try {
      writeWhole(fd, new TextEncoder().encode(context), path);
    } finally {
      closeFile(fd);
    }
  } catch (error) {
    const text = `failed set socket label: ${messageOf(error)}: selinuxContext is "${context}"; without SELinux leave it out`;
    throw new Error(text, { cause: error });
  }
}

function programIn(path: string, name: string): string | undefined {
  const files = path.split(':').map((folder) => `${folder || '.'}/${name}`);
  return files.find((file) => mayAccess(file, { execute: true }));
}
