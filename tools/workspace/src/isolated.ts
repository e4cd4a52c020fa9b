/** Where plugins and the tool look without being told, and where they keep what they know. What a machine has there is
 *  its own: tests neither read it nor write to it. */
export const machinesOwn = ['/etc/cni', '/opt/cni', '/var/lib/cni', '/run/cni', '/run/cni-ts'] as const;

/** Shell command that lays empty folders over them, in a namespace of mounts of its own. */
export const hideMachinesOwn = `for own in ${machinesOwn.join(' ')}; do
  [ ! -d "$own" ] || mount -t tmpfs tmpfs "$own" || exit 1
done`;

/** Command line before a test command that keeps it away from the machine's own network, mounts and settings, whatever
 *  a test forgets: namespaces of its own, with a loopback device that is up. Without root, in a user namespace of its
 *  own. */
export function isolated(uid: number | undefined): string[] {
  const user = uid === 0 ? [] : ['--user', '--map-root-user'];
  return [
    ...['unshare', ...user, '--mount', '--net', '--propagation', 'private', '--'],
    ...['sh', '-c', `${hideMachinesOwn}\nip link set lo up && exec "$0" "$@"`],
  ];
}
