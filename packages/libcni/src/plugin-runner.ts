/** The plugins of a network as an operation runs them: with the runtime's environment, from its folders. */
import { type Reply, replyResult, replyText } from '@cni-ts/invoke/call-plugin';
import type { Input } from '@cni-ts/invoke/input';
import { CniError } from '@cni-ts/spec/cni-error';
import { checkContainerId, checkInterfaceName, checkNetworkName } from '@cni-ts/spec/names';
import { newestVersion } from '@cni-ts/spec/released-versions';
import type { VersionedResult } from '@cni-ts/spec/result-version';
import type { RuntimeConf } from './attachment.ts';
import type { Call } from './call.ts';
import { type Command, type Environment, pluginEnvironment, versionEnvironment } from './environment.ts';
import type { Executor } from './executor.ts';
import type { PluginConfig } from './plugin-config.ts';
import { attachmentRequest, type Network, statusRequest } from './request.ts';
import { textOf } from './wrapped-error.ts';

export class PluginRunner {
  readonly #path: readonly string[];
  readonly #executor: Executor;
  readonly #env: Environment;

  constructor(path: readonly string[], executor: Executor, env: Environment) {
    this.#path = path;
    this.#executor = executor;
    this.#env = env;
  }

  /** The plugin's program. Throws where there is none. */
  find(type: string): string {
    return this.#executor.find(type, this.#path);
  }

  /** The same; undefined where there is none. */
  findIfAny(type: string): string | undefined {
    try {
      return this.find(type);
    } catch {
      return undefined;
    }
  }

  /** What a plugin finds in its configuration when it is asked for it (VALIDATE, which is ours): parsed, and not looked at.
   *  Undefined of one that is not there or does not know what to do. */
  async findings(network: Network, plugin: PluginConfig, call: Call): Promise<unknown> {
    try {
      const reply = await this.run(
        'VALIDATE',
        this.find(plugin.type),
        statusRequest(network, plugin),
        undefined,
        call,
      );
      return JSON.parse(replyText(reply));
    } catch {
      return undefined; // every other plugin refuses a command that is not in the specification
    }
  }

  /** What ADD is asked with; refuses names before anything is run. */
  addRequest(
    network: Network,
    plugin: PluginConfig,
    conf: RuntimeConf,
    before: VersionedResult | undefined,
  ): Input {
    checkContainerId(conf.containerId);
    checkNetworkName(network.name);
    checkInterfaceName(conf.ifname);
    return attachmentRequest(network, plugin, conf, before);
  }

  async add(
    network: Network,
    program: string,
    input: Input,
    conf: RuntimeConf,
    call: Call,
  ): Promise<VersionedResult> {
    return replyResult(await this.run('ADD', program, input, conf, call), network.cniVersion);
  }

  async attachment(
    command: 'CHECK' | 'DEL',
    network: Network,
    plugin: PluginConfig,
    conf: RuntimeConf,
    result: VersionedResult | undefined,
    call: Call,
  ): Promise<void> {
    const program = this.find(plugin.type);
    await this.run(command, program, attachmentRequest(network, plugin, conf, result), conf, call);
  }

  run(
    command: Command,
    program: string,
    input: Input,
    conf: RuntimeConf | undefined,
    call: Call,
  ): Promise<Reply> {
    const env = pluginEnvironment(this.#env, command, this.#path, conf, call.span);
    return this.#executor.run({
      program,
      input,
      get stdin() {
        return input.text;
      },
      env,
      signal: call.signal,
    });
  }

  /** The spec versions a plugin supports, by its own account. */
  async supportedVersions(type: string, call: Call): Promise<readonly string[]> {
    const { signal, span } = call;
    const program = this.find(type);
    // For plugins that read it before they look at the command.
    const stdin = JSON.stringify({ cniVersion: newestVersion });
    try {
      const env = versionEnvironment(this.#env, span);
      const reply = await this.#executor.run({ program, stdin, env, signal });
      return this.#executor.supportedVersions(replyText(reply));
    } catch (error) {
      if (error instanceof CniError && textOf(error) === 'unknown CNI_COMMAND: VERSION') return ['0.1.0'];
      throw error;
    }
  }

  async validate(type: string, cniVersion: string, call: Call): Promise<void> {
    const wanted = cniVersion || '0.1.0';
    const supported = await this.supportedVersions(type, call);
    if (supported.includes(wanted)) return;
    throw new Error(`plugin ${type} does not support config version "${wanted}"`);
  }
}
