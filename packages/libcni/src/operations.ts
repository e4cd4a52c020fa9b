/**
 * The operations of a runtime, by whatever way of running plugins they are given. They run the plugins of a network in
 * order, hand each the result of the one before, and remember on disk what a later CHECK, DEL or GC needs.
 */
import { replyText } from '@cni-ts/invoke/call-plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { VersionedResult } from '@cni-ts/spec/result-version';
import { compareVersions } from '@cni-ts/spec/spec-version';
import type { CachedAttachment, RuntimeConf } from './attachment.ts';
import { Cache, type CachedArguments, keyOf, type Remembered } from './cache.ts';
import { type AddOptions, type Call, type CallOptions, callOf } from './call.ts';
import type { Environment } from './environment.ts';
import type { Executor } from './executor.ts';
import { Failures, type GcArgs, staleAttachments } from './garbage-collection.ts';
import type { NetworkList } from './network-list.ts';
import { hasGcAndStatus, requireCheck } from './network-version.ts';
import { capabilitiesOf, type PluginConfig } from './plugin-config.ts';
import { failed, naming, together, wasThereBefore } from './plugin-failure.ts';
import { PluginRunner } from './plugin-runner.ts';
import { attachmentRequest, gcRequest, type Network, statusRequest } from './request.ts';
import { takenBack } from './taking-back.ts';
import { during, textOf } from './wrapped-error.ts';

export interface OperationsOptions {
  /** Folders with plugins, first match wins. */
  readonly path: readonly string[];
  /** Default /var/lib/cni; attachments are remembered in `results` below it. */
  readonly cacheDir?: string;
  readonly executor: Executor;
  /** The environment plugins start from. Default: our own. */
  readonly env?: Environment;
  /** Name of the signal that asked to stop, asked between plugins; for who holds signals during an operation. ADD and
   *  GC go no further then. */
  readonly stopped?: () => Promise<string | undefined>;
  /** Told what was put right silently, such as a damaged cache entry. Default: nobody. */
  readonly log?: (line: string) => void;
}

export class Operations {
  readonly path: readonly string[];
  readonly #cache: Cache;
  readonly #plugins: PluginRunner;
  readonly #log: (line: string) => void;
  readonly #stopped: (() => Promise<string | undefined>) | undefined;

  constructor(options: OperationsOptions) {
    this.path = options.path;
    this.#cache = new Cache(options.cacheDir || undefined);
    this.#plugins = new PluginRunner(options.path, options.executor, options.env ?? process.env);
    this.#log = options.log ?? (() => {});
    this.#stopped = options.stopped;
  }

  /**
   * Runs ADD on every plugin and returns the last one's result in the version it was printed in (undefined for a
   * list without plugins). Stops at the first failure; undoing what was done is the caller's DEL, unless `takeBack` is
   * asked for. The plugin's own CniError is the `cause` of what is thrown.
   *
   * Unlike the reference library, a plugin that is missing and a cache that is not to be written to are told before the
   * first plugin is started.
   */
  async addNetworkList(
    list: NetworkList,
    conf: RuntimeConf,
    options?: AddOptions,
  ): Promise<VersionedResult | undefined> {
    const call = callOf(options);
    const programs: string[] = [];
    for (const plugin of list.plugins) {
      programs.push(await naming(plugin, 'add', async () => this.#plugins.find(plugin.type)));
    }
    this.#prepare(list.name);
    const wasThere = this.#cache.has(keyOf(list.name, conf));
    let result: VersionedResult | undefined;
    let begun = 0;
    try {
      for (const [at, plugin] of list.plugins.entries()) {
        const before = result;
        await this.#goOn();
        result = await naming(plugin, 'add', () => {
          const request = this.#plugins.addRequest(list, plugin, conf, before);
          begun = at + 1;
          return this.#plugins.add(list, programs[at] ?? '', request, conf, call);
        });
      }
      await this.#goOn();
      this.#remember(list, list.bytes, conf, result);
      return result;
    } catch (error) {
      if (options?.takeBack !== true || begun === 0) throw error;
      if (wasThere) throw wasThereBefore(error, list, conf);
      const made = { list: { ...list, plugins: list.plugins.slice(0, begun) }, conf, last: result };
      throw await takenBack(this.#plugins, error, made, call.span);
    }
  }

  /** The same for a single plugin object, under its own name and version. */
  async addNetwork(plugin: PluginConfig, conf: RuntimeConf, options?: CallOptions): Promise<VersionedResult> {
    const program = this.#plugins.find(plugin.type);
    const request = this.#plugins.addRequest(plugin, plugin, conf, undefined);
    this.#prepare(plugin.name);
    const result = await this.#plugins.add(plugin, program, request, conf, callOf(options));
    this.#remember(plugin, plugin.bytes, conf, result);
    return result;
  }

  /** Needs version 0.4.0. Plugins that were never added are asked too, without a `prevResult`. */
  async checkNetworkList(list: NetworkList, conf: RuntimeConf, options?: CallOptions): Promise<void> {
    requireCheck(list.cniVersion);
    if (list.disableCheck) return;
    const call = callOf(options);
    const result = this.#resultForCheck(list, conf);
    for (const plugin of list.plugins)
      await this.#plugins.attachment('CHECK', list, plugin, conf, result, call);
  }

  async checkNetwork(plugin: PluginConfig, conf: RuntimeConf, options?: CallOptions): Promise<void> {
    requireCheck(plugin.cniVersion);
    const result = this.#resultForCheck(plugin, conf);
    await this.#plugins.attachment('CHECK', plugin, plugin, conf, result, callOf(options));
  }

  /**
   * Runs DEL on every plugin, last first, and forgets the attachment when all have succeeded. A damaged cache entry
   * does not stand in the way: it is dropped and the plugins work from their configuration.
   */
  async delNetworkList(list: NetworkList, conf: RuntimeConf, options?: CallOptions): Promise<void> {
    await this.#delList(list, conf, callOf(options));
  }

  async delNetwork(plugin: PluginConfig, conf: RuntimeConf, options?: CallOptions): Promise<void> {
    const result = this.#resultForDel(plugin, conf);
    await this.#plugins.attachment('DEL', plugin, plugin, conf, result, callOf(options));
    this.#cache.remove(keyOf(plugin.name, conf));
  }

  /**
   * Removes every attachment of this network that is remembered and not valid, then tells the plugins what is valid
   * (from version 1.1.0). Does what it can and throws one AggregateError with all failures.
   *
   * Unlike the reference library, a cache that cannot be listed is a failure to report and no reason to skip the
   * plugins.
   */
  async gcNetworkList(list: NetworkList, args?: GcArgs, options?: CallOptions): Promise<void> {
    if (list.disableGC) return;
    const call = callOf(options);
    const failures = new Failures();
    let cached: CachedAttachment[] = [];
    await failures.attempt('failed to list cached attachments', () => {
      cached = this.#cache.attachments();
      this.#cache.sweep();
    });
    for (const stale of [...staleAttachments(cached, list.name, args), ...(args?.also ?? [])]) {
      const doing = `failed to delete stale attachment ${stale.containerId} ${stale.ifname}`;
      await this.#goOn();
      await failures.attempt(doing, async () => {
        await this.#delList(list, stale, call);
        this.#cache.removeListed(stale);
        args?.onRemoved?.(stale);
      });
    }
    if (hasGcAndStatus(list)) {
      for (const plugin of list.plugins) await this.#gcPlugin(list, plugin, args, call, failures);
    }
    failures.throwAny();
  }

  /** Whether ADD could be served. Throws the plugin's CniError itself: 50 and 51 say how bad it is. */
  async statusNetworkList(list: NetworkList, options?: CallOptions): Promise<void> {
    if (!hasGcAndStatus(list)) return;
    const call = callOf(options);
    for (const plugin of list.plugins) {
      const program = this.#plugins.find(plugin.type);
      const doing = `failed to generate configuration to get plugin STATUS ${plugin.type}`;
      const input = during(doing, () => statusRequest(list, plugin));
      await this.#plugins.run('STATUS', program, input, undefined, call);
    }
  }

  /** That every plugin is there and speaks the list's version. Returns the capabilities marked `true`. */
  async validateNetworkList(list: NetworkList, options?: CallOptions): Promise<string[]> {
    const problems: unknown[] = [];
    for (const { type } of list.plugins) {
      await this.#plugins
        .validate(type, list.cniVersion, callOf(options))
        .catch((problem: unknown) => problems.push(problem));
    }
    if (problems.length > 0) throw new AggregateError(problems, `[${problems.map(textOf).join(' ')}]`);
    return [...new Set(list.plugins.flatMap(capabilitiesOf))];
  }

  /** What a plugin finds in its configuration, asked by VALIDATE; undefined of one that does not know that. */
  findingsOf(network: Network, plugin: PluginConfig, options?: CallOptions): Promise<unknown> {
    return this.#plugins.findings(network, plugin, callOf(options));
  }

  /**
   * What one plugin answers to a command that is ours, or to CHECK: for who goes through a chain himself. `result` is that
   * of the plugins before it, or of the whole chain's ADD. Throws the plugin's CniError itself.
   */
  async askPlugin(
    command: 'PLAN' | 'REPAIR' | 'CHECK',
    network: Network,
    plugin: PluginConfig,
    conf: RuntimeConf,
    result: VersionedResult | undefined,
  ): Promise<string> {
    const input = attachmentRequest(network, plugin, conf, result);
    return replyText(
      await this.#plugins.run(command, this.#plugins.find(plugin.type), input, conf, callOf()),
    );
  }

  /** The program of a plugin; undefined where it is not there. */
  programOf(type: string): string | undefined {
    return this.#plugins.findIfAny(type);
  }

  async validateNetwork(plugin: PluginConfig, options?: CallOptions): Promise<string[]> {
    await this.#plugins.validate(plugin.type, plugin.cniVersion, callOf(options));
    return capabilitiesOf(plugin);
  }

  /** The spec versions a plugin supports, by its own account. */
  getVersionInfo(type: string, options?: CallOptions): Promise<readonly string[]> {
    return this.#plugins.supportedVersions(type, callOf(options));
  }

  /** What the last ADD returned, in the list's version; undefined when nothing is remembered. */
  getNetworkListCachedResult(list: NetworkList, conf: RuntimeConf): VersionedResult | undefined {
    return this.#cache.result(keyOf(list.name, conf), list.cniVersion);
  }

  getNetworkCachedResult(plugin: PluginConfig, conf: RuntimeConf): VersionedResult | undefined {
    return this.#cache.result(keyOf(plugin.name, conf), plugin.cniVersion);
  }

  /** The configuration the last ADD was made with, and `conf` with that ADD's arguments. */
  getNetworkListCachedConfig(list: NetworkList, conf: RuntimeConf) {
    return this.#cache.config(list.name, conf);
  }

  getNetworkCachedConfig(plugin: PluginConfig, conf: RuntimeConf) {
    return this.#cache.config(plugin.name, conf);
  }

  /** All attachments remembered, or those of one container. */
  getCachedAttachments(containerId = ''): CachedAttachment[] {
    return this.#cache.attachments(containerId);
  }

  async #goOn(): Promise<void> {
    const signal = await this.#stopped?.();
    if (signal === undefined) return;
    throw new CniError(ErrorCode.tryAgainLater, `interrupted by ${signal}`);
  }

  /** What is remembered of a network, and what may be of it and cannot be read. */
  remembered(network: string): Remembered {
    return this.#cache.remembered(network);
  }

  /** What an attachment was added with; undefined where nothing is remembered, or it cannot be read. */
  getCachedArguments(network: string, conf: RuntimeConf): CachedArguments | undefined {
    return this.#cache.arguments(keyOf(network, conf));
  }

  /** Container IDs of remembered attachments of this network and interface that begin so. */
  getCachedContainerIds(network: string, ifname: string, beginning: string): string[] {
    return this.#cache.containerIds(network, ifname, beginning);
  }

  /** Where a plugin's program is missing the others are called all the same: what they made must not stay for that. */
  async #delList(list: NetworkList, conf: RuntimeConf, call: Call): Promise<void> {
    const result = this.#resultForDel(list, conf);
    const missing: Error[] = [];
    for (const plugin of list.plugins.toReversed()) {
      await naming(plugin, 'delete', async () => {
        const program = this.#findIfAny(plugin, missing);
        if (program === undefined) return;
        await this.#plugins.run('DEL', program, attachmentRequest(list, plugin, conf, result), conf, call);
      });
    }
    if (missing.length > 0) throw missing.length === 1 ? missing[0] : together(missing);
    this.#cache.remove(keyOf(list.name, conf));
  }

  #findIfAny(plugin: PluginConfig, missing: Error[]): string | undefined {
    try {
      return this.#plugins.find(plugin.type);
    } catch (error) {
      missing.push(failed(plugin, 'delete', error));
      return undefined;
    }
  }

  async #gcPlugin(
    list: NetworkList,
    plugin: PluginConfig,
    args: GcArgs | undefined,
    call: Call,
    failures: Failures,
  ): Promise<void> {
    const valid = args === undefined ? undefined : (args.valid ?? null);
    await failures.attempt(`failed to generate configuration to GC plugin ${plugin.type}`, () => {
      const input = gcRequest(list, plugin, valid);
      return failures.attempt(`failed to GC plugin ${plugin.type}`, () =>
        this.#plugins.run('GC', this.#plugins.find(plugin.type), input, undefined, call),
      );
    });
  }

  #remember(
    network: Network,
    config: Uint8Array,
    conf: RuntimeConf,
    result: VersionedResult | undefined,
  ): void {
    during(`failed to set network ${JSON.stringify(network.name)} cached result`, () =>
      this.#cache.write(network.name, config, conf, result),
    );
  }

  #prepare(network: string): void {
    during(`failed to set network ${JSON.stringify(network)} cached result`, () => this.#cache.prepare());
  }

  #resultForCheck(network: Network, conf: RuntimeConf): VersionedResult | undefined {
    return during(`failed to get network ${JSON.stringify(network.name)} cached result`, () =>
      this.#cache.result(keyOf(network.name, conf), network.cniVersion),
    );
  }

  /** Before 0.4.0 DEL has no `prevResult`. */
  #resultForDel(network: Network, conf: RuntimeConf): VersionedResult | undefined {
    if (compareVersions(network.cniVersion, '0.4.0') < 0) return undefined;
    const key = keyOf(network.name, conf);
    try {
      return this.#cache.result(key, network.cniVersion);
    } catch (error) {
      // Whatever is wrong with the entry, a container must be able to go.
      this.#cache.remove(key);
      this.#log(
        `network ${JSON.stringify(network.name)}: DEL goes on without the cached result: ${textOf(error)}`,
      );
      return undefined;
    }
  }
}
