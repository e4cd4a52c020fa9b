/** A network namespace as somebody names it: a path, a name that `ip netns` knows, or a process by `pid:1234`. */
export function netnsPath(word: string): string {
  const pid = /^pid:(\d+)$/.exec(word)?.[1];
  if (pid !== undefined) return `/proc/${pid}/ns/net`;
  return word.includes('/') ? word : `/run/netns/${word}`;
}
