/** The network of the rig's own: a bridge in the rig's namespace, and places on it, each with namespaces of network and mounts.
 *  The kernel ends all of it with the rig. */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export const bridge = 'rig0';
/** The rig's own address on the bridge, from which it talks to members. */
export const ownAddress = '10.90.255.254';

/** What is started ends with whoever started it, however that ends. */
const tied = ['setpriv', '--pdeathsig', 'KILL', '--'] as const;

/** Runs a shell command in the rig's namespaces; a failure is an error with what it said. */
export function sh(command: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

export function layBridge(): void {
  sh(
    `ip link set lo up; ip link add ${bridge} type bridge; ip address add ${ownAddress}/16 dev ${bridge}; ip link set ${bridge} up`,
  );
}

/** Namespaces of network and mounts at an address of the bridge. */
export class Place {
  readonly name: string;
  readonly address: string;
  readonly pid: number;
  readonly #holder: ChildProcess;

  private constructor(name: string, address: string, holder: ChildProcess) {
    this.name = name;
    this.address = address;
    this.#holder = holder;
    this.pid = holder.pid ?? 0;
  }

  /** `furnish`: shell commands that lay out its mounts. */
  static async open(name: string, address: string, furnish: string): Promise<Place> {
    const script = `set -e\nmount -t tmpfs tmpfs /run\nmkdir -p /run/netns /run/cni-ts\nip link set lo up\n${furnish}\necho ready; exec sleep infinity`;
    const [command, ...args] = [...tied, 'unshare', '--mount', '--net', '--propagation', 'private'];
    const holder = spawn(command, [...args, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit').then(() => [''])]);
    if (!String(said).startsWith('ready')) throw new Error(`the namespaces of ${name} could not be laid out`);
    const place = new Place(name, address, holder);
    sh(
      `ip link add p-${name} type veth peer name eth0 netns ${place.pid} && ip link set p-${name} master ${bridge} up && ` +
        `nsenter -t ${place.pid} -n sh -c 'ip address add ${address}/16 dev eth0 && ip link set eth0 up'`,
    );
    return place;
  }

  /** Starts a program in it. */
  start(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const inside = ['-t', String(this.pid), '-m', '-n', '--', ...tied, command, ...args];
    return spawn('nsenter', inside, options);
  }

  /** Runs a shell command in it. */
  sh(command: string): string {
    const args = ['-t', String(this.pid), '-m', '-n', '--', 'sh', '-c', command];
    const { status, stdout, stderr } = spawnSync('nsenter', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${this.name}: ${command}: ${stderr}`);
    return stdout;
  }

  /** What lies at a path of its mounts, for whoever is outside. */
  path(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Packets from these addresses do not arrive, or those to them do not leave, or both; until `heal`. */
  cut(others: readonly string[], way: 'in' | 'out' | 'both'): void {
    const rules = [
      ...(way === 'out'
        ? []
        : [`chain in { type filter hook input priority 0\nip saddr { ${others.join(', ')} } drop\n}`]),
      ...(way === 'in'
        ? []
        : [`chain out { type filter hook output priority 0\nip daddr { ${others.join(', ')} } drop\n}`]),
    ];
    this.heal();
    this.sh(`nft -f - <<'END'\ntable inet rig {\n${rules.join('\n')}\n}\nEND`);
  }

  heal(): void {
    this.sh('nft flush ruleset');
  }

  /** Takes its cable out, or puts it in. */
  cable(plugged: boolean): void {
    sh(`ip link set p-${this.name} ${plugged ? 'up' : 'down'}`);
  }

  close(): void {
    // Its name may be wanted again, and the kernel may keep a namespace with its links for long after its last process. Where
    // it is gone already all is as it should be.
    sh(`ip link del p-${this.name} 2>/dev/null || true`);
    this.#holder.kill('SIGKILL');
  }
}

/** Kills it and waits until it is gone. */
export async function killed(
  child: ChildProcess | undefined,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

export function sleep(seconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, seconds * 1000));
}

/** Seconds of the machine's monotonic clock, which the launchers read too. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}
