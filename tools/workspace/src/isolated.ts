/** Command line before a test command that keeps it away from the machine's own network and mounts, whatever a test
 *  forgets: namespaces of its own, with a loopback device that is up. Without root, in a user namespace of its own. */
export function isolated(uid: number | undefined): string[] {
  const user = uid === 0 ? [] : ['--user', '--map-root-user'];
  return [
    ...['unshare', ...user, '--mount', '--net', '--propagation', 'private', '--'],
    ...['sh', '-c', 'ip link set lo up && exec "$0" "$@"'],
  ];
}
