/**
 * `npm run cluster-demo`: addresses for a cluster before your eyes. Builds, then works in namespaces of its own, so that
 * nothing of the machine is touched: three members of etcd and three nodes on one flat network; containers on each node get
 * addresses of one pool and reach each other; members and a node go; then everything is taken away, and shown to be gone.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ledgerKeys } from '@cni-ts/cluster-rig/look';
import { Members } from '@cni-ts/cluster-rig/members';
import { type NodeSetup, RigNode } from '@cni-ts/cluster-rig/node';
import { layBridge, sleep } from '@cni-ts/cluster-rig/stage';
import { commandLine } from '@cni-ts/setup/command-line';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { bin, build, cyan, enter, title } from './demo-stage.ts';

const { values } = commandLine('npm run cluster-demo', {
  options: { built: { type: 'boolean', default: false }, inside: { type: 'boolean', default: false } },
});
const cooldown = 2;

const conflist = {
  cniVersion: '1.1.0',
  name: 'flat',
  plugins: [
    {
      type: 'macvlan',
      master: 'eth0',
      ipam: { type: 'cluster-pool', range: '10.90.64.0/22', node_slice_size: '/28', cooldown },
    },
  ],
};

async function prepare(): Promise<void> {
  if (etcdProgram() === undefined) {
    console.error('The demo needs etcd: the package etcd-server has it.');
    process.exit(1);
  }
  if (!values.built) await build();
  await enter(
    import.meta.filename,
    '--net --mount --pid --fork --kill-child --mount-proc --propagation private'.split(' '),
  );
}

function tell(text: string): void {
  console.log(text);
}

/** A machine of the cluster, with an agent, on which commands are typed. */
class Node {
  readonly rig: RigNode;
  readonly #configs: string;

  private constructor(rig: RigNode) {
    this.rig = rig;
    this.#configs = join(rig.folder, 'net.d');
    mkdirSync(this.#configs);
    writeFileSync(join(this.#configs, '10-flat.conflist'), `${JSON.stringify(conflist, null, 2)}\n`);
  }

  static async open(name: string, address: string, setup: NodeSetup): Promise<Node> {
    return new Node(await RigNode.open(name, address, setup));
  }

  /** Runs a command on it, shows it as it would be typed, and its output; some end with 1 for what they tell. */
  sh(command: string, { quiet = false, mayEndWith = 0 } = {}): string {
    const { name, pid } = this.rig.place;
    if (!quiet) tell(cyan(`${name}$ ${command}`));
    const path = `export PATH=${bin}:$PATH CNI_PATH=${bin} NETCONFPATH=${this.#configs}`;
    const { status, stdout, stderr } = run('nsenter', [
      ...['-t', String(pid), '-m', '-n', '--', 'bash', '-c', `${path}\n${command}`],
    ]);
    const said = [stdout, stderr].map((text) => text.trimEnd()).filter(Boolean);
    if (!quiet && said.length > 0) tell(said.join('\n'));
    if (status !== 0 && status !== mayEndWith) fail(`${name}: ${command}: ${said.join('\n')}`);
    return stdout;
  }

  /** The address of a container's eth0. */
  address(container: string): string {
    const listed = JSON.parse(this.sh(`ip -n ${container} -j -4 address show dev eth0`, { quiet: true }));
    const { addr_info: [info] = [] } = (listed as { addr_info?: { local: string }[] }[])[0] ?? {}; // reason: iproute2's JSON
    return info?.local ?? fail(`${container} has no address`);
  }
}

/** Runs a command in the demo's own namespaces. */
function own(command: string): void {
  const { status, stdout, stderr } = run('bash', ['-c', command]);
  if (stdout) tell(stdout.trimEnd());
  if (status !== 0) fail(`${command}: ${stderr}`);
}

function run(file: string, args: string[]) {
  return spawnSync(file, args, { encoding: 'utf8' });
}

function fail(text: string): never {
  console.error(`failed: ${text}`);
  process.exit(1);
}

async function show(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'cni-cluster-demo-'));
  try {
    own('mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/cni-ts');
    layBridge();
    title('Three members of etcd, m1 to m3, and three nodes, n1 to n3, on one flat network');
    const members = await Members.open(etcdProgram() ?? '', join(dir, 'etcd'));
    const nodes: Node[] = [];
    // Their plugins are called by cnitool alone.
    const setup = { folder: dir, endpoints: members.endpoints, bin, networks: [], launcher: '', lanes: 0 };
    for (const i of [1, 2, 3]) nodes.push(await Node.open(`n${i}`, `10.90.1.${i}`, setup));
    const [n1, n2, n3] = nodes;
    if (!n1 || !n2 || !n3) throw new Error('three nodes'); // reason: made above
    await sleep(0.5);
    own('ip -brief link show master rig0');
    tell(`\nOn each node runs: cluster-agent --endpoints ${members.endpoints.join(',')}`);
    for (const { rig } of nodes) rig.startAgent();
    for (const { rig } of nodes) await rig.waitUntilWell();

    title('The network, the same file on each node');
    n1.sh('cat $NETCONFPATH/10-flat.conflist');

    title('Two containers on each node');
    for (const node of nodes) {
      const { name } = node.rig;
      for (const colour of ['blue', 'green']) {
        node.sh(`ip netns add ${name}-${colour} && cnitool add flat /run/netns/${name}-${colour} >/dev/null`);
      }
    }
    tell('');
    for (const node of nodes) {
      node.sh(`for c in blue green; do ip -n ${node.rig.name}-$c -brief -4 address show dev eth0; done`);
    }
    tell('\nEach node has borrowed a block of 16 addresses; inside it ADD asks nobody:');
    n1.sh('cnitool ipam spaces', { mayEndWith: 1 });

    title('From container to container, across nodes');
    n1.sh(`ip netns exec n1-blue ping -c 2 -i 0.2 -W 2 ${n3.address('n3-green')}`);
    n2.sh(`ip netns exec n2-green ping -c 1 -W 2 ${n1.address('n1-blue')}`);

    title('A member is killed: the others go on');
    const [m1, m2] = members.all;
    if (!m1 || !m2) throw new Error('three members'); // reason: made above
    await members.kill(m1);
    tell('m1 is dead');
    await members.ready();
    n2.sh(
      'ip netns add n2-red && cnitool add flat /run/netns/n2-red >/dev/null && ip -n n2-red -brief -4 address show dev eth0',
    );

    title('The second one is killed, and etcd with it: what nodes have borrowed goes on');
    await members.kill(m2);
    tell('m2 is dead');
    n3.sh(
      'ip netns add n3-red && cnitool add flat /run/netns/n3-red >/dev/null && ip -n n3-red -brief -4 address show dev eth0',
    );
    n1.sh(`ip netns exec n1-green ping -c 1 -W 2 ${n3.address('n3-red')}`);
    n3.sh(
      'cnitool del flat /run/netns/n3-red && cnitool check flat /run/netns/n3-blue && echo DEL and CHECK need no etcd',
    );
    for (const member of [m1, m2]) members.start(member);
    await members.ready();
    for (const { rig } of nodes) await rig.waitUntilWell();
    tell('m1 and m2 are back');

    title('Node n3 is to leave: its containers go, then what it has borrowed is asked back');
    n3.sh('for c in blue green; do cnitool del flat /run/netns/n3-$c; done');
    tell(`Freed addresses rest for ${cooldown} seconds`);
    await sleep(cooldown + 1);
    for (let i = 0; ; i++) {
      n1.sh('cnitool ipam fence n3 --yes', { mayEndWith: 1, quiet: i > 0 });
      const held = (await ledgerKeys(members)).filter(({ node }) => node === 'n3');
      if (held.length === 0) break;
      if (i > 30) fail('n3 did not give its blocks back');
      await sleep(1);
    }
    n1.sh('cnitool ipam spaces', { mayEndWith: 1 });
    tell(
      '\nA node that is dead cannot give anything back. When it is off, you say so: cnitool ipam fence n3 --off --yes',
    );

    title('Everything goes');
    n1.sh('for c in blue green; do cnitool del flat /run/netns/n1-$c; done');
    n2.sh('for c in blue green red; do cnitool del flat /run/netns/n2-$c; done');
    tell('When all have rested the blocks return');
    for (let i = 0; (await ledgerKeys(members)).length > 0; i++) {
      if (i > 60) fail(`blocks did not return: ${JSON.stringify(await ledgerKeys(members))}`);
      await sleep(0.5);
    }
    n1.sh('cnitool ipam spaces', { mayEndWith: 1 });
    const left = nodes.flatMap(({ rig }) =>
      readdirSync(rig.reservations({ name: 'flat' })).filter((name) => /^[0-9]+\./.test(name)),
    );
    const links = nodes.flatMap((node) => {
      const names = readdirSync(node.rig.place.path('/run/netns'));
      return names.flatMap((name) =>
        node.sh(`ip -n ${name} -o link show | grep -v ' lo:' || true`, { quiet: true }),
      );
    });
    if (left.length > 0 || links.join('') !== '') fail(`left: ${left.join(', ')} ${links.join('')}`);
    tell('\nNo block is held, no address reserved, and no container has a link.');
    for (const { rig } of nodes) await rig.close();
    await members.close();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  process.exit(0);
}

if (!values.inside) await prepare();
else await show();
