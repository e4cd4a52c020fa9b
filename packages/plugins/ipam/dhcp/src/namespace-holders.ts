import { readLink, readText } from '@cni-ts/libc/file';
import { listFolder } from '@cni-ts/libc/folder';
import type { NamespaceId } from '@cni-ts/libc/netns';

/**
 * Which network namespaces a process or a mount keeps alive: those of containers whose runtime has dropped the path. What
 * cannot be looked at, in a PID namespace of our own, does not count. One look at all processes, when it is first asked.
 */
export class NamespaceHolders {
  #names: Set<string> | undefined;

  has({ ino }: NamespaceId): boolean {
    this.#names ??= heldNames();
    return this.#names.has(`net:[${ino}]`);
  }
}

function heldNames(): Set<string> {
  const names = new Set<string>();
  // The root of an nsfs mount is the namespace's name.
  for (const line of readText('/proc/self/mountinfo').split('\n')) {
    const root = line.split(' ')[3] ?? '';
    if (root.startsWith('net:[')) names.add(root);
  }
  for (const entry of listFolder('/proc')) {
    const name = /^\d/.test(entry) ? readLink(`/proc/${entry}/ns/net`) : undefined;
    if (name !== undefined) names.add(name);
  }
  return names;
}
