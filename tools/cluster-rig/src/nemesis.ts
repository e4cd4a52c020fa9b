/** What befalls a cluster. Each fault sets in, lasts for a while, and is healed by itself; the order is the seed's. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RigNode } from './node.ts';
import { Runtime } from './runtime.ts';
import { now, sleep } from './stage.ts';
import { say, some, type World } from './world.ts';

export interface Fault {
  readonly name: string;
  /** Whom it befalls: one of each kind may go on at a time; for `all` the load is paused, and nothing else happens. */
  readonly of: 'etcd' | 'nodes' | 'all';
  /** Returns what there is to tell. */
  readonly run: (world: World) => Promise<string>;
}

/** Between two limits in seconds, by chance, as long as the run has patience. */
function lasting({ random, patience }: World, least: number, most: number): number {
  return (least + random.fraction() * (most - least)) * patience;
}

const nodesOn = ({ runtimes }: World): Runtime[] => runtimes.filter(({ node }) => node.isOn);

/** Of the nodes that are on, one in so many. */
const oneIn = (count: number, world: World): Runtime[] =>
  some(world.random, nodesOn(world), Math.max(1, Math.floor(world.runtimes.length / count)));

/** For `cut`. */
const ways = ['in', 'out', 'both'] as const;

/** So many members are killed, and started again. */
const killedMembers = (name: string, count: number, least: number, most: number): Fault => ({
  name,
  of: 'etcd',
  async run(world) {
    const hit = some(world.random, world.members.all, count);
    for (const member of hit) await world.members.kill(member);
    await sleep(lasting(world, least, most));
    for (const member of hit) world.members.start(member);
    return hit.map(({ place }) => place.name).join(', ');
  },
});

/** One node is hit, if any is on. */
const onOne = (name: string, run: (world: World, target: Runtime) => Promise<string>): Fault => ({
  name,
  of: 'nodes',
  async run(world) {
    const [target] = some(world.random, nodesOn(world), 1);
    if (!target) return '';
    return `${target.node.name}${await run(world, target)}`;
  },
});

/** One is hit, and another one has a part in it. */
const onTwo = (
  name: string,
  run: (world: World, target: Runtime, by: Runtime) => Promise<string>,
): Fault => ({
  name,
  of: 'nodes',
  async run(world) {
    const [target, by] = some(world.random, nodesOn(world), 2);
    if (!target || !by) return '';
    return `${target.node.name}${await run(world, target, by)}`;
  },
});

const stoppedMember: Fault = {
  name: 'a member stopped',
  of: 'etcd',
  async run(world) {
    const [member] = some(world.random, world.members.all, 1);
    member?.process?.kill('SIGSTOP');
    await sleep(lasting(world, 3, 15));
    member?.process?.kill('SIGCONT');
    return member?.place.name ?? '';
  },
};

const leaderChanges: Fault = {
  name: 'leaders change',
  of: 'etcd',
  async run(world) {
    let changes = 0;
    for (let i = 0; i < 3; i++) {
      if (await world.members.changeLeader().catch(() => false)) changes++; // reason: there may be none just now
      await sleep(lasting(world, 0.5, 2));
    }
    return `${changes} times`;
  },
};

const memberApart: Fault = {
  name: 'a member cut off from the others',
  of: 'etcd',
  async run(world) {
    const [member] = some(world.random, world.members.all, 1);
    const others = world.members.addresses.filter((one) => one !== member?.place.address);
    const way = world.random.pick(ways);
    member?.place.cut(others, way);
    await sleep(lasting(world, 5, 20));
    member?.place.heal();
    return `${member?.place.name}, ${way}`;
  },
};

const nodesApart: Fault = {
  name: 'nodes cut off from etcd',
  of: 'nodes',
  async run(world) {
    const cut = oneIn(5, world);
    const way = world.random.pick(ways);
    for (const { node } of cut) node.place.cut(world.members.addresses, way);
    await sleep(lasting(world, 5, 20));
    for (const { node } of cut) node.place.heal();
    return `${cut.map(({ node }) => node.name).join(', ')}, ${way}`;
  },
};

const killedAgents: Fault = {
  name: 'agents killed',
  of: 'nodes',
  async run(world) {
    const hit = oneIn(3, world);
    const signal = world.random.pick(['SIGKILL', 'SIGTERM'] as const);
    for (const { node } of hit) await node.stopAgent(signal);
    await sleep(lasting(world, 0, 5));
    for (const { node } of hit) if (node.isOn) node.startAgent();
    return `${hit.length}, ${signal}`;
  },
};

/** Drains a node as a cluster's operator does: its containers go, then it is asked to give back its blocks. */
async function fenceLiving(world: World, target: Runtime, by: Runtime): Promise<string> {
  const deadline = now() + 30 + lasting(world, 10, 60);
  let said = '';
  while (now() < deadline && target.node.isOn) {
    for (const [id, { network }] of [...target.live]) {
      // What has come under a CHECK meanwhile goes the next time: after its DEL it would be taken for living.
      if (target.live.has(id)) await target.del(0, id, network);
    }
    try {
      const answer = (await by.node.ask({ ask: 'fence', node: target.node.nodeName, off: false }, 20)) as {
        ok?: boolean; // reason: as agent-talk.ts has it
        returned?: string[];
        waiting?: string[];
      };
      said = JSON.stringify(answer).slice(0, 200);
      if (answer.ok && answer.waiting?.length === 0) return `gave back ${answer.returned?.length ?? 0}`;
    } catch (error) {
      said = String(error);
    }
    await sleep(1);
  }
  return `not done: ${said}`;
}

const fencedLiving = onTwo(
  'a living node fenced',
  async (world, target, by) => ` by ${by.node.name}: ${await fenceLiving(world, target, by)}`,
);

const stoppedAcrossFence = onTwo(
  'an agent stopped across a request to fence its node',
  async (world, target, by) => {
    target.node.pauseAgent('SIGSTOP');
    const fencing = fenceLiving(world, target, by);
    await sleep(lasting(world, 5, 90));
    target.node.pauseAgent('SIGCONT');
    return `: ${await fencing}`;
  },
);

const stoppedNode = onOne('a node stands still', async (world, { node }) => {
  node.pauseAll('SIGSTOP');
  await sleep(lasting(world, 5, 90));
  node.pauseAll('SIGCONT');
  return '';
});

/** The node is off: a person says so. Refused while it seems alive. */
async function fenceOff(world: World, target: Runtime): Promise<string> {
  // A minute after its last sign of life, and each new leader of etcd gives it another.
  const deadline = now() + 300;
  let said = '';
  while (now() < deadline) {
    const [by] = some(world.random, nodesOn(world), 1);
    try {
      const answer = await by?.node.ask({ ask: 'fence', node: target.node.nodeName, off: true }, 20);
      said = JSON.stringify(answer).slice(0, 200);
      if (answer?.ok) return `gave back ${(answer.returned as unknown[]).length}`;
    } catch (error) {
      said = String(error);
    }
    await sleep(2);
  }
  return `refused: ${said}`;
}

const lostNode = onOne('a node lost, fenced --off, and back through a boot', async (world, target) => {
  const had = [...target.live].map(([id, { network }]) => [id, network] as const);
  target.powerOff(now());
  const said = await fenceOff(world, target);
  if (said.startsWith('refused')) world.complaints.push(`fence --off of ${target.node.name}: ${said}`);
  await sleep(lasting(world, 2, 15));
  target.node.powerOn();
  // Its runtime takes away what died with the power; these DELs must succeed, whoever has the addresses now.
  for (const [id, network] of had) await target.del(0, id, network);
  return `: ${said}`;
});

const rebooted = onOne('a node reboots', async (world, target) => {
  const apart = world.random.chance(0.5);
  target.powerOff(now());
  await sleep(lasting(world, 1, 5));
  target.node.powerOn();
  // It comes back before it reaches etcd.
  if (apart) {
    target.node.place.cut(world.members.addresses, 'both');
    await sleep(lasting(world, 3, 10));
    target.node.place.heal();
  }
  return apart ? ', cut off at first' : '';
});

const diskFull: Fault = {
  name: 'disks full',
  of: 'nodes',
  async run(world) {
    const hit = nodesOn(world).filter(({ node }) => node.hasSmallDisk);
    const ballast = (target: Runtime) => join(target.node.folder, 'disk/ballast');
    for (const target of hit) {
      try {
        writeFileSync(ballast(target), Buffer.alloc(64 << 20));
      } catch {
        // reason: that it does not fit is what it is for
      }
    }
    await sleep(lasting(world, 3, 15));
    for (const { node } of hit) node.place.sh('rm -f /var/lib/cni/ballast');
    return hit.map(({ node }) => node.name).join(', ');
  },
};

const compacted: Fault = {
  name: 'compaction and defragmentation',
  of: 'etcd',
  async run(world) {
    await world.members.compact();
    return '';
  },
};

/** Another machine gets the name of one that is there: from a copied image, say. */
const twin = onOne('one name on two nodes', async (world, target) => {
  const { networks, setup, recorder, complaints } = world;
  const { nodeName } = target.node;
  const node = await RigNode.open(
    `t-${target.node.name}`,
    '10.90.200.1',
    { ...setup, networks, lanes: 1, disk: 0 },
    nodeName,
  );
  const stranger = new Runtime(node, recorder);
  node.startAgent();
  await sleep(lasting(world, 3, 8));
  const said = new Set<string>();
  for (const network of networks) {
    let { error, answer } = await stranger.add(0, network);
    // Its agent may not be up yet, or not have asked etcd: then it says to try again, and the next answer has the reason.
    const deadline = now() + 30;
    while (error?.includes('has not answered in time') && now() < deadline) {
      await sleep(0.5);
      ({ error, answer } = await stranger.add(0, network));
    }
    said.add(error ?? `status ${answer?.status}`);
    if (answer?.status === 0) {
      complaints.push(`a second node ${nodeName} was given an address of ${network.name}`);
    } else if (!error?.includes(nodeName)) {
      complaints.push(`a second node ${nodeName} was refused, but not told why: ${error}`);
    }
  }
  stranger.powerOff(now());
  await node.close();
  return `: ${[...said].join('; ').slice(0, 300)}`;
});

const backUp: Fault = {
  name: 'a copy of etcd’s disks made',
  of: 'all',
  async run(world) {
    await world.members.backUp();
    return '';
  },
};

/** All agents must notice, and take nothing new until a person has said yes on each node; ADDs rest meanwhile. */
const restored: Fault = {
  name: 'etcd restored from an old copy',
  of: 'all',
  async run(world) {
    if (!world.members.hasBackup) {
      await world.members.backUp();
      return 'there was no copy yet: one was made';
    }
    await world.members.restore();
    const refusing: Runtime[] = [];
    const deadline = now() + 30;
    while (refusing.length < nodesOn(world).length && now() < deadline) {
      await sleep(0.5);
      for (const target of nodesOn(world)) {
        if (!refusing.includes(target) && !(await target.node.isWell())) refusing.push(target);
      }
    }
    const blind = nodesOn(world).filter((target) => !refusing.includes(target));
    if (blind.length > 0) {
      world.complaints.push(
        `a restored etcd went unnoticed by ${blind.map(({ node }) => node.name).join(', ')}`,
      );
    }
    for (const { node } of nodesOn(world)) {
      await node.stopAgent('SIGTERM');
      node.startAgent(['--accept-restored']);
    }
    for (const { node } of nodesOn(world)) await node.waitUntilWell();
    return `noticed by ${refusing.length}`;
  },
};

/** Every kind of fault. */
export const faults: readonly Fault[] = [
  killedMembers('a member killed', 1, 1, 8),
  killedMembers('two members killed', 2, 3, 15),
  stoppedMember,
  leaderChanges,
  memberApart,
  nodesApart,
  killedAgents,
  fencedLiving,
  stoppedAcrossFence,
  stoppedNode,
  lostNode,
  rebooted,
  diskFull,
  compacted,
  twin,
  backUp,
  restored,
];

/** Lets one set in and waits until it is healed. */
export async function strike(world: World, fault: Fault): Promise<void> {
  const began = now();
  say(`fault: ${fault.name}`);
  try {
    const told = await fault.run(world);
    say(`healed after ${(now() - began).toFixed(1)} s: ${fault.name}${told && `: ${told}`}`);
  } catch (error) {
    world.complaints.push(`${fault.name}: ${error instanceof Error ? error.message : String(error)}`);
    say(`${fault.name} went wrong: ${error instanceof Error ? error.message : String(error)}`);
  }
}
