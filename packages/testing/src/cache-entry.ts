/** What a runtime remembers of an attachment, as libcni writes it, Go's too. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CacheEntry {
  readonly network: string;
  readonly containerId: string;
  readonly netns: string;
  /** The text of the network's configuration. */
  readonly config: string;
}

/** Writes it below the cache's folder, for interface eth0; its path. `more`: members of the entry besides. */
export function writeCacheEntry(
  cache: string,
  { network, containerId, netns, config }: CacheEntry,
  more: object = {},
): string {
  const entry = {
    kind: 'cniCacheV1',
    containerId,
    config: Buffer.from(config).toString('base64'),
    ifName: 'eth0',
    networkName: network,
    netns,
    ...more,
  };
  const results = join(cache, 'results');
  mkdirSync(results, { recursive: true });
  const path = join(results, `${network}-${containerId}-eth0`);
  writeFileSync(path, JSON.stringify(entry));
  return path;
}
