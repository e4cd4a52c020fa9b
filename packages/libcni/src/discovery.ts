/** Finding the configuration of a network by its name in a folder such as /etc/cni/net.d. */
import { configFiles } from './config-files.ts';
import { type NetworkList, networkListFromFile, networkListOf } from './network-list.ts';
import { type PluginConfig, pluginConfigFromFile } from './plugin-config.ts';

/** The folder holds no single configuration at all. */
export class NoConfigsFoundError extends Error {
  readonly dir: string;

  constructor(dir: string) {
    super(`no net configurations found in ${dir}`);
    this.name = 'NoConfigsFoundError';
    this.dir = dir;
  }
}

/** The folder holds configurations, but none of this name. */
export class NetworkNotFoundError extends Error {
  readonly dir: string;
  readonly network: string;

  constructor(dir: string, network: string) {
    super(`no net configuration with name "${network}" in ${dir}`);
    this.name = 'NetworkNotFoundError';
    this.dir = dir;
    this.network = network;
  }
}

export interface SearchOptions {
  /**
   * Called with each file that cannot be loaded; the search then goes on. Without it the first such file ends the
   * search with its error, as in the reference library: one broken file hides every good one sorted after it.
   */
  onUnloadable?(path: string, error: unknown): void;
}

/** The first `.conf` or `.json`, by file name, whose `name` is this one. Files after it are never read. */
export function loadPluginConfig(dir: string, network: string, options: SearchOptions = {}): PluginConfig {
  const paths = configFiles(dir, ['.conf', '.json']);
  if (paths.length === 0) throw new NoConfigsFoundError(dir);
  const found = firstNamed(network, paths, pluginConfigFromFile, options);
  if (found === undefined) throw new NetworkNotFoundError(dir, network);
  return found;
}

/** The first `.conflist` of this name; else a single configuration of this name, as a list of one. */
export function loadNetworkList(dir: string, network: string, options: SearchOptions = {}): NetworkList {
  const paths = configFiles(dir, ['.conflist']);
  const found = firstNamed(network, paths, networkListFromFile, options);
  if (found !== undefined) return found;
  try {
    return networkListOf(loadPluginConfig(dir, network, options));
  } catch (error) {
    if (error instanceof NoConfigsFoundError && paths.length > 0)
      throw new NetworkNotFoundError(dir, network);
    throw error;
  }
}

function firstNamed<T extends { readonly name: string }>(
  network: string,
  paths: readonly string[],
  load: (path: string) => T,
  options: SearchOptions,
): T | undefined {
  for (const path of paths) {
    try {
      const config = load(path);
      if (config.name === network) return config;
    } catch (error) {
      if (options.onUnloadable === undefined) throw error;
      options.onUnloadable(path, error);
    }
  }
  return undefined;
}
