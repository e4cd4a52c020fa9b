/** A node of the test's own: configurations, cache and reservations below one folder. */
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeCacheEntry } from '@cni-ts/testing/cache-entry';
import { runCnitool } from './run-cnitool.ts';

export const hourAgo = Date.now() / 1000 - 3600;

export class TestNode {
  readonly dir: string;
  readonly #env: Record<string, string>;

  /** `env`: what of the tool's environment is other than on a node without plugins and programs. */
  constructor(dir: string, env: Record<string, string> = {}) {
    this.dir = dir;
    for (const folder of ['net.d', 'cache/results']) mkdirSync(join(dir, folder), { recursive: true });
    this.#env = {
      NETCONFPATH: join(dir, 'net.d'),
      CNI_PATH: dir,
      CNI_CACHE_DIR: join(dir, 'cache'),
      PATH: '',
      ...env,
    };
  }

  get dataDir(): string {
    return join(this.dir, 'networks');
  }

  configure(list: { readonly name: string } & Readonly<Record<string, unknown>>): void {
    writeFileSync(this.#fileOf(list.name), JSON.stringify(list));
  }

  /** What the runtime remembers of an attachment to a network that is configured; the entry's path. `more`: its members
   *  besides. */
  enter(network: string, containerId: string, netns: string, more: object = {}): string {
    const config = readFileSync(this.#fileOf(network), 'utf8');
    return writeCacheEntry(join(this.dir, 'cache'), { network, containerId, netns, config }, more);
  }

  /** As host-local writes it, Go's too; its path. */
  reserve(network: string, address: string, id: string, seconds = hourAgo): string {
    const folder = join(this.dataDir, network);
    mkdirSync(folder, { recursive: true });
    const path = join(folder, address);
    writeFileSync(path, id === '' ? '' : `${id}\r\neth0`);
    utimesSync(path, seconds, seconds);
    return path;
  }

  reserved(network: string): string[] {
    return readdirSync(join(this.dataDir, network)).filter((name) => name !== 'lock');
  }

  run(...argv: string[]) {
    return runCnitool(argv, { env: this.#env });
  }

  #fileOf(network: string): string {
    return join(this.dir, 'net.d', `10-${network}.conflist`);
  }
}
