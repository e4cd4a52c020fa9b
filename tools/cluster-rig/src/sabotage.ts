/** Goes around the real thing, one way for each invariant: a run with one of these must fail, and say why. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseIp } from '@cni-ts/address/ip';
import { type Block, blockKey, blockOf, parseBlockKey } from '@cni-ts/cluster/block';
import type { Invariant } from './checker.ts';
import { ledgerKeys, prefix } from './look.ts';
import { configOf } from './networks.ts';
import type { Runtime } from './runtime.ts';
import type { World } from './world.ts';

export interface Sabotage {
  /** What the checker must find, at least. */
  readonly finds: Invariant;
  /** While the load is paused, before GC and a look. */
  readonly act: (world: World) => Promise<void>;
}

function two({ runtimes }: World): [Runtime, Runtime] {
  const [one, other] = runtimes.filter(({ node }) => node.isOn);
  if (!one || !other) throw new Error('sabotage takes two nodes');
  return [one, other];
}

function networkOf({ networks }: World) {
  const [network] = networks;
  if (!network) throw new Error('a run without networks');
  return network;
}

/** An attachment of the first network on that node, made where there is none. */
async function attached(world: World, runtime: Runtime): Promise<{ id: string; address: string }> {
  const network = networkOf(world);
  const known = runtime.liveOf(network)[0] ?? (await runtime.add(0, network)).id;
  const address = runtime.live.get(known)?.addresses[0];
  if (!address) throw new Error('sabotage found no attachment, and could not make one');
  return { id: known, address };
}

/** A block of the first network that etcd says a node has, and of which that node knows nothing. */
async function claim(world: World, node: string, block: Block): Promise<void> {
  const network = networkOf(world);
  const value = { node, uid: 'x', claim: 'x', network: network.name, time: '' };
  const key = `${prefix}space/${network.law.space}/block/${blockKey(block)}`;
  await world.members.gateway.put(key, JSON.stringify(value));
}

export const sabotages: Readonly<Record<string, Sabotage>> = {
  /** Another node's file gets the blocks of the first: both give the same addresses. */
  'two-holders': {
    finds: 'I1',
    async act(world) {
      const [one, other] = two(world);
      const network = networkOf(world);
      await attached(world, one);
      // From its first address on, as the other did.
      for (const name of readdirSync(other.node.reservations(network))) {
        if (name.startsWith('last_reserved')) unlinkSync(join(other.node.reservations(network), name));
      }
      const theirs = JSON.parse(readFileSync(one.node.blocksFile(network), 'utf8'));
      const own = JSON.parse(readFileSync(other.node.blocksFile(network), 'utf8'));
      writeFileSync(other.node.blocksFile(network), JSON.stringify({ ...own, blocks: theirs.blocks }));
      // As many as the blocks have, so that those of the first are among them.
      for (let i = 0; i < 16 * theirs.blocks.length; i++) await other.add(0, network);
    },
  },
  'block-in-block': {
    finds: 'I2',
    async act(world) {
      const [one] = two(world);
      await attached(world, one);
      const network = networkOf(world);
      const around = (await ledgerKeys(world.members)).find((key) => key.space === network.law.space);
      const block = around && parseBlockKey(around.key.includes('/') ? around.key : `${around.key}/128`);
      if (!block) throw new Error('sabotage found no block');
      await claim(world, 'stranger', blockOf(block.first, block.length + 1));
    },
  },
  'foreign-reservation': {
    finds: 'I3',
    async act(world) {
      const [one] = two(world);
      const network = networkOf(world);
      await attached(world, one);
      const id = 'sabotage-foreign';
      one.live.set(id, { network, addresses: ['10.99.99.99'] });
      writeFileSync(join(one.node.reservations(network), '10.99.99.99'), `${id}\r\neth0`);
    },
  },
  /** The file is away as soon as the answer is there. */
  'answer-without-file': {
    finds: 'I4',
    async act(world) {
      const [one] = two(world);
      const network = networkOf(world);
      const { id } = await one.add(0, network);
      const address = one.live.get(id)?.addresses[0] ?? '';
      rmSync(join(one.node.reservations(network), address));
      const last = world.recorder.events.findLast((event) => event.kind === 'add' && event.id === id);
      if (last?.kind === 'add') world.recorder.replace(last, { ...last, onDisk: existsSync(address) });
    },
  },
  /** GC is done, and a reservation is there again. */
  'stale-after-gc': {
    finds: 'I5',
    async act(world) {
      const [one] = two(world);
      const { address } = await attached(world, one);
      const network = networkOf(world);
      const folder = one.node.reservations(network);
      const next = parseIp(address)?.bytes.with(3, 253) ?? new Uint8Array();
      mkdirSync(folder, { recursive: true });
      // What is no attachment's is neither DEL's nor GC's to take.
      writeFileSync(join(folder, [...next].join('.')), 'kept by sabotage');
    },
  },
  /** A block that its node's agent knows nothing of. */
  'never-returned': {
    finds: 'I6',
    async act(world) {
      const [one] = two(world);
      const ip = parseIp('10.64.0.224');
      if (!ip) throw new Error('no address');
      await claim(world, one.node.name, blockOf(ip, 32));
    },
  },
  'failing-del': {
    finds: 'I7',
    async act(world) {
      const [one] = two(world);
      const { id } = await attached(world, one);
      const network = networkOf(world);
      const broken = join(one.node.folder, 'broken.json');
      writeFileSync(broken, '{');
      await one.del(0, id, network, undefined, broken);
    },
  },
  /** One node's configuration leaves out what is excluded. */
  excluded: {
    finds: 'I8',
    async act(world) {
      const [one] = two(world);
      const network = networkOf(world);
      // A whole block is excluded there, so it is nobody's.
      const excluded = network.law.exclude.find((cidr) => cidr.endsWith('/28'))?.split('/')[0] ?? '';
      const { exclude: _, ...ipam } = network.ipam;
      writeFileSync(one.node.config(network), configOf({ ...network, ipam }));
      await one.add(0, network, { args: `IP=${excluded}` });
      writeFileSync(one.node.config(network), configOf(network));
    },
  },
};
