/** Settings of the container's network namespace: files below /proc/sys/net. */
import type { Netns } from '@cni-ts/libc/netns';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { isSameSysctl, readSysctl, writeSysctl } from '@cni-ts/libc/sysctl';
import type { Undo } from '@cni-ts/skeleton/undo';
import { messageOf } from '@cni-ts/spec/cni-error';

export interface Setting {
  /** As the configuration spells it. */
  readonly key: string;
  /** Below /proc/sys, with slashes: net/ipv4/conf/eth0.5/arp_notify. */
  readonly path: string;
  readonly value: string;
}

/** `net.ipv4.conf.IFNAME.x` or `net/ipv4/conf/IFNAME/x`. Every dot is a slash, so that nothing climbs out of
 *  /proc/sys; IFNAME is put in afterwards, so that an interface's name keeps its dots. */
function pathOf(key: string, ifname: string): string {
  const named = key.replaceAll('.', '/').replace('IFNAME', () => ifname);
  const path = named.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
  // The rest of the system is not the container's alone.
  if (path[0] === 'net' && path.length > 1) return path.join('/');
  throw new Error(`invalid net sysctl key: ${JSON.stringify(named)}`);
}

/** What is to be written, in the order of the configuration; `over` replaces what names the same file. */
export function settingsOf(
  configured: Readonly<Record<string, string>>,
  over: Readonly<Record<string, string>>,
  ifname: string,
): Setting[] {
  const settings = new Map(readAll(configured, ifname).map((setting) => [setting.path, setting]));
  for (const setting of readAll(over, ifname)) settings.set(setting.path, setting);
  return [...settings.values()];
}

function readAll(record: Readonly<Record<string, string>>, ifname: string): Setting[] {
  const all = Object.entries(record).map(([key, value]) => ({ key, path: pathOf(key, ifname), value }));
  for (const [i, one] of all.entries()) {
    const other = all.findIndex(({ path, value }) => path === one.path && value !== one.value);
    if (other <= i) continue;
    const keys = `${JSON.stringify(one.key)} and ${JSON.stringify(all[other]?.key)}`;
    throw new Error(`duplicated sysctl keys are not allowed: ${keys} are the same setting with two values`);
  }
  return all;
}

/** All are read before the first is written: one that is not there fails while nothing is changed yet. */
export function writeSettings(settings: readonly Setting[], container: Netns, undo: Undo): void {
  if (settings.length === 0) return;
  container.run(() => {
    const before = settings.map(({ path }) => readUnlessWriteOnly(path));
    for (const [i, { path, value }] of settings.entries()) {
      const old = before[i];
      const write = () => writeSysctl(path, value);
      if (old === undefined) write();
      else undo.make(`${path}=${value}`, write, () => container.run(() => writeSysctl(path, old)));
    }
  });
}

/** `toCome`: a link that is not there yet; it will have the values that links have when they come. */
export function settingDifferences(all: readonly Setting[], container: Netns, toCome?: string): string[] {
  if (all.length === 0) return [];
  const readable = (path: string) =>
    toCome === undefined ? path : path.replace(`/${toCome}/`, () => '/default/');
  return container.run(() =>
    all.flatMap(({ path, value }) => {
      try {
        const current = readUnlessWriteOnly(readable(path));
        if (current === undefined || isSameSysctl(current, value)) return [];
        return `Error: Tuning configured value of /proc/sys/${path} is ${value}, current value is ${current}`;
      } catch (error) {
        return messageOf(error);
      }
    }),
  );
}

/** undefined for the few that can only be written, like net/ipv4/route/flush. */
function readUnlessWriteOnly(path: string): string | undefined {
  try {
    return readSysctl(path);
  } catch (error) {
    if (errnoOf(error) === 'EACCES') return undefined;
    throw error;
  }
}
