/** How a person names a network namespace: its path, its name as `ip netns` has it, or `pid:1234`. */
import { tryStat } from '@cni-ts/libc/file-status';
import { UsageError } from './verb.ts';

/** Where `ip netns add` puts them. */
export const namedNamespaces = '/run/netns';

/**
 * The path of what a word names. What has a slash is a path, and so is what lies in the current folder; `pid:1234` is
 * the namespace of that process; everything else is a name. Nothing says that a namespace is there.
 */
export function netnsPath(word: string): string {
  return ofProcess(word) ?? (isPath(word) ? word : `${namedNamespaces}/${word}`);
}

/** `pid:1234` is a process; throws where no number follows. */
function ofProcess(word: string): string | undefined {
  if (!word.startsWith('pid:')) return undefined;
  const pid = word.slice(4);
  if (!/^[1-9][0-9]{0,9}$/.test(pid)) {
    throw new UsageError(`${word}: write the number of a process after "pid:", such as pid:1234`);
  }
  return `/proc/${pid}/ns/net`;
}

function isPath(word: string): boolean {
  return word === '' || word.includes('/') || tryStat(word) !== undefined;
}
