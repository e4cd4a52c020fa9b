/** Every address that is on a link of this node now, in whichever network namespace: the last sign of life. */
import { formatIp } from '@cni-ts/address/ip';
import { readText } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { namesIn } from '@cni-ts/libc/folder';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { everywhere, listAddresses } from '@cni-ts/rtnetlink/address';

/** Where each is, as a path of the namespace. Namespaces that may not be entered are passed over. */
export function addressesHere(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const path of namespacesHere()) {
    for (const address of addressesIn(path)) if (!found.has(address)) found.set(address, path);
  }
  return found;
}

/** A path of each: those that are mounted somewhere, and those of processes. */
function namespacesHere(): string[] {
  const found = new Map<string, string>();
  const processes = namesIn('/proc').filter((name) => /^\d+$/.test(name));
  for (const path of [...mounted(), ...processes.map((pid) => `/proc/${pid}/ns/net`)]) {
    const status = tryStat(path);
    if (!status) continue; // it has ended meanwhile
    const id = `${status.dev}:${status.ino}`;
    if (!found.has(id)) found.set(id, path);
  }
  return [...found.values()];
}

/** proc_pid_mountinfo(5): the fifth field is the place, with blanks as octal numbers; after the dash comes the type. */
function mounted(): string[] {
  return readText('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => line.includes(' - nsfs '))
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => octalText(octal)),
    );
}

function octalText(octal: string): string {
  return String.fromCharCode(Number.parseInt(octal, 8));
}

function addressesIn(path: string): string[] {
  try {
    const place = Netns.open(path);
    try {
      return place.run(() => {
        const route = Netlink.open('route');
        try {
          return listAddresses(route, everywhere).map(({ cidr }) => formatIp(cidr.ip));
        } finally {
          route.close();
        }
      });
    } finally {
      place.close();
    }
  } catch {
    return []; // reason: ended meanwhile, of another kind (mount, pid …), or not ours to enter; others go on
  }
}
