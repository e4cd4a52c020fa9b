/**
 * A host for a real container engine: podman in namespaces of network, mounts and processes of its own, where it finds
 * our plugins in place of the distribution's. What podman keeps lies in a temporary folder, and /run and /var/lib are
 * empty there, so it meets neither the machine's containers nor its network; the kernel ends all of it with the room.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ours } from './lab.ts';
import { openRoom, type Room } from './room.ts';

/** The room's own: a crun that knows cgroup 2 only, and limits a container engine may set itself. */
const furnish = `
set -e
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs run /run; mkdir /run/netns /run/lock
mount -t tmpfs lib /var/lib
read -r pid rest </proc/self/stat
mount -t proc proc /proc
ip link set lo up
ip netns add outside
ip link add up0 type veth peer name eth0 netns outside
ip link set up0 up; ip address add 192.0.2.1/24 dev up0; ip address add 2001:db8::1/64 dev up0 nodad
ip -n outside link set lo up; ip -n outside link set eth0 up
ip -n outside address add 192.0.2.2/24 dev eth0; ip -n outside address add 2001:db8::2/64 dev eth0 nodad
echo "ready $pid"
exec sleep 300
`;

/** Answers on TCP 80 and UDP 53 with the protocol, its host's name, and the address it sees the question come from. */
const server = `
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
const line = (protocol, address) => protocol + ' ' + hostname() + ' ' + address.replace('::ffff:', '') + '\\n';
createServer((socket) => socket.end(line('tcp', socket.remoteAddress))).listen(80, '::');
const udp = createSocket('udp6');
udp.on('message', (_, { address, port }) => udp.send(line('udp', address), port, address)).bind(53, '::');
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
`;

export class EngineRoom {
  readonly dir = mkdtempSync(join(tmpdir(), 'cni-podman-'));
  /** Where podman looks for networks and keeps those it makes. */
  readonly networks = join(this.dir, 'net.d');
  #room: Room | undefined;

  /** Furnishes the room; throws with what a program said when this machine does not let it. */
  async open(): Promise<void> {
    this.#layOut();
    this.#room = await openRoom(furnish);
  }

  #layOut(): void {
    mkdirSync(this.networks);
    const root = join(this.dir, 'root');
    // The machine's programs, read-only; see `container`.
    for (const folder of ['usr', 'etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'node'])
      mkdirSync(join(root, folder), { recursive: true });
    for (const folder of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder));
    writeFileSync(join(root, 'server.mjs'), server);
    const conf = [
      '[network]',
      'network_backend="cni"',
      `cni_plugin_dirs=["${ours}"]`,
      `network_config_dir="${this.networks}"`,
      '[engine]',
      'cgroup_manager="cgroupfs"',
      'events_logger="file"',
      'runtime="crun"',
      '[containers]',
      'default_ulimits=["nofile=1024:1024","nproc=1024:1024"]',
    ];
    writeFileSync(join(this.dir, 'containers.conf'), conf.join('\n'));
  }

  /** Runs a shell command on the room's host: its output, and its exit status. */
  try(command: string): { status: number | null; stdout: string; stderr: string } {
    const args = ['-t', this.#room?.pid ?? '', '--net', '--mount', '--pid', 'bash', '-c', command];
    const env = { ...process.env, CONTAINERS_CONF: join(this.dir, 'containers.conf') };
    return spawnSync('nsenter', args, { encoding: 'utf8', env, timeout: 30_000 });
  }

  /** The same for one that succeeds. */
  sh(command: string): string {
    const { status, stdout, stderr } = this.try(command);
    if (status !== 0) throw new Error(`${command}: exit status ${status}: ${stderr}${stdout}`);
    return stdout;
  }

  /** The command line of podman up to its own commands. */
  get podman(): string {
    return `podman --root ${this.dir}/store --runroot /run/store --storage-driver vfs`;
  }

  /** Starts a container that answers questions, with more of podman's options; returns its ID. */
  container(name: string, options: string): string {
    return this.sh(
      this.run(`-d --name ${name} --hostname ${name} ${options}`, '/node/node /server.mjs'),
    ).trim();
  }

  /** The command line that runs a program in a container of the machine's own programs. */
  run(options: string, program: string): string {
    const volumes = `-v /usr:/usr:ro -v ${process.execPath}:/node/node:ro`;
    const here = '--cgroups=disabled --security-opt seccomp=unconfined';
    return `${this.podman} run ${here} ${volumes} ${options} --rootfs ${this.dir}/root ${program}`;
  }

  /** What podman knows of a container. */
  inspect(name: string): { NetworkSettings: { Networks: Record<string, Attached> } } {
    return JSON.parse(this.sh(`${this.podman} inspect ${name}`))[0];
  }

  /** Closes for good: every process of the room is killed, and its mounts and links go with it. */
  close(): void {
    this.#room?.close();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

/** An entry of podman's NetworkSettings. */
export interface Attached {
  readonly IPAddress: string;
  readonly IPPrefixLen: number;
  readonly Gateway: string;
  readonly GlobalIPv6Address: string;
  readonly IPv6Gateway: string;
  readonly MacAddress: string;
}

/** Why podman cannot run here; undefined when it can. It is asked without any network, so none of ours is to blame. */
export async function whyNot(): Promise<string | undefined> {
  const version = spawnSync('podman', ['--version'], { encoding: 'utf8' });
  const [, major] = /version ((\d+)\S*)/.exec(version.stdout ?? '') ?? [];
  if (version.error) return 'podman is not installed (version 4; later ones have no CNI backend)';
  if (!major) return version.stderr.trim();
  if (Number.parseInt(major, 10) > 4) return `podman ${major} has no CNI backend, version 4 had`;
  for (const program of ['crun', 'conmon', 'nsenter']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `${program} is not installed`;
  }
  if (!existsSync(join(ours, 'bridge'))) return 'the plugins are not built: npm run build';
  const room = new EngineRoom();
  try {
    await room.open();
    room.sh(room.run('--rm --network none', '/usr/bin/true'));
    return undefined;
  } catch (error) {
    const said = String(error)
      .split('\n')
      .filter((line) => line.trim() && !line.includes('dmesg(1)'));
    return said.at(-1) ?? 'it did not say why';
  } finally {
    room.close();
  }
}
