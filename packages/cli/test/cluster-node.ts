/** A node of the test's own with networks of cluster-pool: configurations, cache, reservations and blocks below one folder. */
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeCacheEntry } from '@cni-ts/testing/cache-entry';
import { FakeClusterAgent } from '@cni-ts/testing/fake-cluster-agent';
import { onTestFinished } from 'vitest';
import { runCnitool } from './run-cnitool.ts';

export class ClusterNode {
  readonly dir: string;
  /** It runs when it is started; what it has written down of blocks is in `dir`/cluster. */
  readonly agent: FakeClusterAgent;
  readonly #env: Record<string, string>;

  constructor(dir: string) {
    this.dir = dir;
    this.agent = new FakeClusterAgent(join(dir, 'cluster'));
    onTestFinished(() => this.agent.end());
    for (const folder of ['net.d', 'cache/results']) mkdirSync(join(dir, folder), { recursive: true });
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
      stateDir: this.agent.stateDir,
      agentSocket: this.agent.socket,
    };
    const plugins = [{ type: 'bridge', ipam: { type, ...at, ...ipam } }];
    writeFileSync(
      join(this.dir, 'net.d', `10-${name}.conflist`),
      JSON.stringify({ cniVersion: '1.0.0', name, plugins }),
    );
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
