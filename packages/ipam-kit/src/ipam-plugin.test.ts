/** The verbs of an IPAM plugin over a store that is no folder: blocks of addresses that lie in memory. */
import { parseCidr } from '@cni-ts/address/cidr';
import { type Ip, parseIp } from '@cni-ts/address/ip';
import { callPlugin } from '@cni-ts/skeleton/dispatch';
import type { Attachment, Plugin } from '@cni-ts/skeleton/plugin';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { allocation } from './allocation.ts';
import { ipamPlugin } from './ipam-plugin.ts';
import { type RangeSet, rangeSets } from './ranges.ts';
import { isHeldBy, type Owned, ownerOf, type Reservations, type Store } from './store.ts';

/** Who has what, until the process ends. */
class Memory implements Reservations, Store {
  readonly where = 'memory';
  readonly held: Map<string, string>;
  /** Whether all of it is from another life of the host. */
  isOld = false;
  #cursors = new Map<number, Ip>();

  constructor(held: ReadonlyMap<string, string> = new Map()) {
    this.held = new Map(held);
  }

  hold<T>(work: (store: Store) => T): T {
    return work(this);
  }

  peek(): Store {
    const copy = new Memory(this.held);
    copy.isOld = this.isOld;
    return copy;
  }

  requireAccess(): void {}

  isKept(): boolean {
    return true;
  }

  take(name: string, at: Attachment): boolean {
    if (this.held.has(name)) return false;
    this.held.set(name, ownerOf(at));
    return true;
  }

  release(name: string): void {
    this.held.delete(name);
  }

  giveBack(name: string, at: Attachment): void {
    if (isHeldBy(this.held.get(name), at)) this.release(name);
  }

  owned(at: Attachment): Owned {
    const exact = [...this.held].filter(([, holder]) => holder === ownerOf(at)).map(([name]) => name);
    return { exact, legacy: [] };
  }

  ownedForSure(at: Attachment): Owned {
    return this.owned(at);
  }

  all(): ReadonlyMap<string, string> {
    return this.held;
  }

  names(): string[] {
    return [...this.held.keys()];
  }

  holder(name: string): string | undefined {
    return this.held.get(name);
  }

  isFree(name: string): boolean {
    return !this.held.has(name);
  }

  isOlderThan(): boolean {
    return this.isOld;
  }

  cursor(set: number): Ip | undefined {
    return this.#cursors.get(set);
  }

  setCursor(set: number, ip: Ip): void {
    this.#cursors.set(set, ip);
  }
}

/** One block: its network, whose gateway is somewhere else, and the first and last address that are borrowed. */
function block(subnet: string, start: string, end: string): RangeSet {
  const gateway = parseIp('192.168.255.254');
  return rangeSets(
    [[{ subnet: parseCidr(subnet), rangeStart: parseIp(start), rangeEnd: parseIp(end), gateway }]],
    '1.0.0',
  )[0]!;
}

function blocks(memory: Memory, ...sets: RangeSet[]): Plugin {
  return ipamPlugin({
    type: 'blocks',
    config: z.object({}),
    parse: () => ({ sets, requested: [] }),
    rest: () => ({}),
    choose: allocation,
    sets: ({ sets }) => sets,
    store: () => memory,
    failsWhenFull: () => true,
  });
}

const two = block('192.168.0.0/16', '192.168.7.0', '192.168.7.1');

async function call(plugin: Plugin, command: string, id: string, more: object = {}) {
  let stdout = '';
  await callPlugin(plugin, {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_IFNAME: 'eth0',
      CNI_NETNS: '/none',
      CNI_PATH: '/none',
    },
    readStdin: () => JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: 'blocks', ...more }),
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      throw new Error(`unexpected on stderr: ${text}`);
    },
  });
  return stdout === '' ? {} : JSON.parse(stdout);
}

describe('an IPAM plugin over a store of its own', () => {
  test('gives the next address of its block, and one that was released after a full turn', async () => {
    const memory = new Memory();
    const plugin = blocks(memory, two);
    expect((await call(plugin, 'ADD', 'a')).ips).toEqual([
      { address: '192.168.7.0/16', gateway: '192.168.255.254' },
    ]);
    await call(plugin, 'ADD', 'b');
    expect((await call(plugin, 'ADD', 'c')).msg).toBe(
      'failed to allocate for range 0: no IP addresses available in range set: 192.168.7.0-192.168.7.1',
    );
    await call(plugin, 'DEL', 'a');
    expect((await call(plugin, 'ADD', 'c')).ips[0].address).toBe('192.168.7.0/16');
  });

  test('has given back what it took when one block of several has nothing left', async () => {
    const memory = new Memory(new Map([['10.0.0.4', 'x\r\neth0']]));
    const plugin = blocks(memory, two, block('10.0.0.0/8', '10.0.0.4', '10.0.0.4'));
    expect((await call(plugin, 'ADD', 'a')).msg).toContain('failed to allocate for range 1');
    expect(memory.names()).toEqual(['10.0.0.4']);
  });

  test('finds by CHECK what is missing or somebody else’s, and REPAIR takes again what is missing', async () => {
    const memory = new Memory();
    const plugin = blocks(memory, two);
    const prevResult = await call(plugin, 'ADD', 'a');
    expect(await call(plugin, 'CHECK', 'a', { prevResult })).toEqual({});
    memory.held.clear();
    expect((await call(plugin, 'CHECK', 'a', { prevResult })).msg).toBe(
      'blocks: Failed to find address added by container a',
    );
    expect(await call(plugin, 'REPAIR', 'a', { prevResult })).toEqual({
      repaired: ['the reservation of 192.168.7.0 was gone'],
    });
    expect(await call(plugin, 'CHECK', 'a', { prevResult })).toEqual({});
    memory.held.set('192.168.7.0', ownerOf({ containerId: 'b', ifname: 'net1' }));
    expect((await call(plugin, 'REPAIR', 'a', { prevResult })).msg).toBe(
      '192.168.7.0 of container a is held by container b, interface net1',
    );
  });

  test('keeps by GC what is valid, and leaves what is no reservation', async () => {
    const memory = new Memory(new Map([['192.168.7.1', 'kept aside for the printer']]));
    const plugin = blocks(memory, two);
    await call(plugin, 'ADD', 'a');
    const valid = (id: string) => ({ 'cni.dev/valid-attachments': [{ containerID: id, ifname: 'eth0' }] });
    await call(plugin, 'GC', '', valid('a'));
    expect(memory.names()).toEqual(['192.168.7.1', '192.168.7.0']);
    await call(plugin, 'GC', '', valid('b'));
    expect(memory.names()).toEqual(['192.168.7.1']);
  });

  test('fails STATUS while a block is full, if it is asked to', async () => {
    const memory = new Memory();
    const plugin = blocks(memory, two);
    expect(await call(plugin, 'STATUS', '')).toEqual({});
    for (const id of ['a', 'b']) await call(plugin, 'ADD', id);
    expect(await call(plugin, 'STATUS', '')).toMatchObject({
      code: 50,
      msg: 'range set 0 (192.168.7.0-192.168.7.1) has 2 addresses and all are used',
    });
  });

  test('tells by a dry run what ADD would take, and takes nothing', async () => {
    const memory = new Memory();
    const plugin = blocks(memory, two);
    const dry = await call(plugin, 'PLAN', 'a');
    expect(JSON.stringify(dry)).toContain('reservation of 192.168.7.0 in memory');
    expect(memory.names()).toEqual([]);
    expect(JSON.stringify(await call(plugin, 'ADD', 'a'))).toContain('192.168.7.0/16');
  });

  test('gives nothing back when a dry run fails', async () => {
    const own = new Map([
      ['192.168.7.0', ownerOf({ containerId: 'a', ifname: 'eth0' })],
      ['10.0.0.4', 'x\r\neth0'],
    ]);
    const memory = new Memory(own);
    memory.isOld = true;
    const plugin = blocks(memory, two, block('10.0.0.0/8', '10.0.0.4', '10.0.0.4'));
    expect((await call(plugin, 'PLAN', 'a')).msg).toContain('failed to allocate for range 1');
    expect(memory.held).toEqual(own);
  });
});

test('one that remembers nothing gives what stands in its configuration', async () => {
  const cidr = parseCidr('10.9.0.7/24')!;
  const plugin = ipamPlugin({
    type: 'fixed',
    config: z.object({}),
    parse: () => ({}),
    rest: () => ({ dns: { domain: 'example.org' } }),
    choose: () => [{ cidr, gateway: undefined }],
  });
  expect(await call(plugin, 'ADD', 'a')).toEqual({
    cniVersion: '1.1.0',
    ips: [{ address: '10.9.0.7/24' }],
    dns: { domain: 'example.org' },
  });
  for (const command of ['CHECK', 'DEL', 'STATUS']) expect(await call(plugin, command, 'a')).toEqual({});
});
