/** A node of the test's own with networks of cluster-pool: configurations, cache, reservations and blocks below one folder. */
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeCacheEntry } from '@cni-ts/testing/cache-entry';
import { runCnitool } from './run-cnitool.ts';

export interface TestBlock {
  readonly first: string;
  readonly length: number;
  readonly state?: 'held' | 'draining' | 'lost';
  readonly owner?: string;
}

export class ClusterNode {
  readonly dir: string;
  readonly socket: string;
  readonly #env: Record<string, string>;

  constructor(dir: string) {
    this.dir = dir;
    this.socket = join(dir, 'cluster.sock');
    for (const folder of ['net.d', 'cache/results', 'cluster'])
      mkdirSync(join(dir, folder), { recursive: true });
    this.#env = {
      NETCONFPATH: join(dir, 'net.d'),
      CNI_PATH: dir,
      CNI_CACHE_DIR: join(dir, 'cache'),
      PATH: '',
    };
  }

  network(name: string, ipam: object = { range: '10.214.0.0/16' }, type = 'cluster-pool'): void {
    const at = {
      dataDir: join(this.dir, 'networks'),
      stateDir: join(this.dir, 'cluster'),
      agentSocket: this.socket,
    };
    const plugins = [{ type: 'bridge', ipam: { type, ...at, ...ipam } }];
    writeFileSync(
      join(this.dir, 'net.d', `10-${name}.conflist`),
      JSON.stringify({ cniVersion: '1.0.0', name, plugins }),
    );
  }

  /** As the agent writes it. */
  blocks(network: string, blocks: readonly TestBlock[], boot = bootNow()): string {
    const path = join(this.dir, 'cluster', `${network}.json`);
    const whole = blocks.map((one, i) => ({
      state: 'held',
      space: 'default',
      revision: `${i + 1}`,
      claim: `c${i}`,
      ...one,
    }));
    writeFileSync(path, JSON.stringify({ node: 'node1', boot, blocks: whole }));
    return path;
  }

  reserve(network: string, address: string, id: string): string {
    const folder = join(this.dir, 'networks', network);
    mkdirSync(folder, { recursive: true });
    const path = join(folder, address);
    writeFileSync(path, `${id}\r\neth0`);
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(path, hourAgo, hourAgo);
    return path;
  }

  remember(network: string, containerId: string, netns: string, address?: string): void {
    const config = readFileSync(join(this.dir, 'net.d', `10-${network}.conflist`), 'utf8');
    const result = { cniVersion: '1.0.0', ips: [{ address: `${address}/16` }] };
    const entry = { network, containerId, netns, config };
    writeCacheEntry(join(this.dir, 'cache'), entry, address === undefined ? {} : { result });
  }

  run(...argv: string[]) {
    return runCnitool(argv, { env: this.#env });
  }
}

export function bootNow(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
