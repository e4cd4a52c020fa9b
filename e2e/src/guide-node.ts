/**
 * A node for who follows a guide: namespaces of network, mounts and processes, where /etc, /opt, /run and /var/lib are
 * copies or empty, so that commands can be typed as they stand there. eth0 leads to a namespace `outside`, which has
 * 192.0.2.2 and answers; eth1 and eth2 lead there, too, and have no address. The kernel ends all of it with the node.
 */
import { runToEnd } from '@cni-ts/libc/program';
import { ours } from './lab.ts';
import { openRoom, type Room } from './room.ts';

const nsenter = '/usr/bin/nsenter';

/** `archive` is what a reader has unpacked: our executables. */
const furnish = `
set -e
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock /run/node/archive /run/node/etc
cp -a "$OURS/." /run/node/archive
[ ! -e "$OURS/../js/cluster-agent.js" ] || cp "$OURS/../js/cluster-agent.js" /run/node/archive
cp -a /etc/. /run/node/etc 2>/dev/null || true
rm -rf /run/node/etc/cni
mkdir -p /run/node/etc/cni/net.d
mount --bind /run/node/etc /etc
mount -t tmpfs lib /var/lib
mount -t tmpfs opt /opt
mkdir -p /opt/cni/bin
cp -a /run/node/archive/. /opt/cni/bin
read -r pid rest </proc/self/stat
mount -t proc proc /proc
ip link set lo up
ip netns add outside
ip -n outside link set lo up
for i in 0 1 2; do
  ip link add eth$i type veth peer name far$i netns outside
  ip link set eth$i up
  ip -n outside link set far$i up
done
ip address add 192.0.2.1/24 dev eth0
ip -n outside address add 192.0.2.2/24 dev far0
ip route add default via 192.0.2.2
echo "ready $pid"
exec sleep 600
`;

export class GuideNode {
  #room: Room | undefined;

  /** Throws with what a program said when this machine does not let it. */
  async open(): Promise<void> {
    this.#room = await openRoom(furnish, { ...process.env, OURS: ours });
  }

  /** Runs commands as a reader types them: in the folder of the archive, each block in a shell of its own that ends with the
   *  first command that fails. Output of both kinds is one text. What a block leaves running has the node's life. */
  run(
    commands: string,
    env: Readonly<Record<string, string>> = {},
  ): { status: number | null; output: string } {
    // A bash whose input is a pipe of Node's, or that nobody's SHLVL counts, would read the reader's own ~/.bashrc.
    const shell = ['bash', '--norc', '-e', '-c', `exec 2>&1; cd /run/node/archive\n${commands}`];
    const { status, signal, stdout, stderr } = runToEnd(
      nsenter,
      ['-t', this.#room?.pid ?? '', '--net', '--mount', '--pid', ...shell],
      {
        PATH: `${process.env.PATH ?? ''}:/opt/cni/bin`,
        HOME: '/root',
        DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent/bus',
        ...env,
      },
      '',
      60_000,
    );
    return { status: status ?? null, output: `${stdout}${stderr}${signal ?? ''}` };
  }

  /** Writes a file, and the folders that it is in. */
  write(path: string, text: string): void {
    const { status, output } = this.run(`mkdir -p "$(dirname "$FILE")"; printf %s "$TEXT" >"$FILE"`, {
      FILE: path,
      TEXT: text,
    });
    if (status !== 0) throw new Error(`${path}: ${output}`);
  }

  close(): void {
    this.#room?.close();
  }
}
