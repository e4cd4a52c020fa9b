/**
 * One container on one network, and the calls a runtime makes for it: the list's plugins one after the other, or one
 * call of the operator's tool. A verb is a generator of programs to start, so that one attachment can be driven from
 * start to end, or sixty-four at a time.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, type Command, type Ended } from '@cni-ts/libc/child';
import type { Host } from './host.ts';

const root = join(import.meta.dirname, '../../..');

export type Verb = 'ADD' | 'CHECK' | 'DEL';

/** A plugin's part of the list, as an operator writes it; `capabilities` get their values from the runtime. */
export interface PluginConfig {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly [field: string]: unknown;
}

export interface Network {
  readonly name: string;
  readonly plugins: readonly PluginConfig[];
  /** Values for capabilities of one container. */
  readonly runtime?: (container: number) => Readonly<Record<string, unknown>>;
}

export interface Result {
  readonly ips?: readonly { readonly address: string }[];
  readonly interfaces?: readonly { readonly name: string; readonly sandbox?: string }[];
}

/** A program to start, and which plugin it is. */
export interface Call {
  readonly plugin: string;
  readonly command: Command;
  readonly input: string;
}

const cniVersion = '1.1.0';
export const ifname = 'eth0';

export abstract class Attachment {
  readonly host: Host;
  readonly network: Network;
  readonly index: number;
  readonly netns: string;
  /** What ADD answered. */
  result: Result | undefined;

  constructor(host: Host, network: Network, index: number) {
    this.host = host;
    this.network = network;
    this.index = index;
    this.netns = host.container(index);
  }

  abstract calls(verb: Verb): Generator<Call, void, string>;

  /** Its address without prefix; an error before ADD. */
  get address(): string {
    const first = this.result?.ips?.[0]?.address;
    if (!first) throw new Error(`ADD to ${this.network.name} answered no address`);
    return first.replace(/\/.*/, '');
  }
}

/** Each plugin a process of its own, as a runtime starts them. */
export class ByPlugins extends Attachment {
  *calls(verb: Verb): Generator<Call, void, string> {
    const { plugins, name, runtime } = this.network;
    const values = runtime?.(this.index) ?? {};
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: `container-${this.index}`,
      CNI_NETNS: this.netns,
      CNI_IFNAME: ifname,
      CNI_PATH: this.host.side.folder,
    };
    let prevResult = verb === 'ADD' ? undefined : this.result;
    for (const plugin of verb === 'DEL' ? plugins.toReversed() : plugins) {
      const { capabilities, ...config } = plugin;
      const wanted = Object.entries(values).filter(([capability]) => capabilities?.[capability]);
      const runtimeConfig = wanted.length > 0 ? Object.fromEntries(wanted) : undefined;
      const input = JSON.stringify({ cniVersion, name, ...config, runtimeConfig, prevResult });
      const stdout = yield { plugin: plugin.type, command: this.host.command(plugin.type, [], env), input };
      if (verb === 'ADD') prevResult = answerOf(plugin.type, stdout);
    }
    if (verb === 'ADD') this.result = prevResult;
  }
}

/** The whole list by one call of our cnitool, which runs its plugins in-process. */
export class ByCnitool extends Attachment {
  *calls(verb: Verb): Generator<Call, void, string> {
    const { name, plugins, runtime } = this.network;
    const folder = join(this.host.dir, 'net.d');
    if (verb === 'ADD') {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${name}.conflist`), JSON.stringify({ cniVersion, name, plugins }));
    }
    const env = {
      CNI_PATH: this.host.side.folder,
      NETCONFPATH: folder,
      CNI_CACHE_DIR: join(this.host.dir, 'cache'),
      CAP_ARGS: JSON.stringify(runtime?.(this.index) ?? {}),
      CNI_IFNAME: ifname,
    };
    const command = this.host.command('cnitool', [verb.toLowerCase(), name, this.netns], env);
    const stdout = yield { plugin: 'cnitool', command, input: '' };
    if (verb === 'ADD') this.result = answerOf('cnitool', stdout);
  }
}

function answerOf(program: string, stdout: string): Result {
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`ADD by ${program} answered no JSON: ${stdout.slice(0, 200)}`); // reason: its text tells more
  }
}

/** One program's run. */
export interface Step {
  readonly plugin: string;
  readonly ended: Ended;
}

/** Drives one attachment through a verb. Throws when a program fails. */
export function drive(attachment: Attachment, verb: Verb): Step[] {
  const steps: Step[] = [];
  const calls = attachment.calls(verb);
  for (let next = calls.next(''); !next.done; ) {
    const { plugin, command, input } = next.value;
    const ended = attachment.host.start(command, input).wait();
    steps.push({ plugin, ended });
    succeeded(attachment, verb, plugin, ended);
    next = calls.next(ended.stdout);
  }
  return steps;
}

/** DEL as runtimes do it: one that failed is called once more. */
export function driveDel(attachment: Attachment): void {
  try {
    drive(attachment, 'DEL');
  } catch {
    // Why it failed is of no interest if it succeeds now, and told again if it does not.
    drive(attachment, 'DEL');
  }
}

/** Drives several at once, each through its own programs in their order. Returns when each ended, in milliseconds
 *  since the beginning; the attachments that failed are told by their errors. */
export function driveAll(
  attachments: readonly Attachment[],
  verb: Verb,
): { wall: number; each: number[]; failures: Error[] } {
  const running = new Map<
    Child,
    { attachment: Attachment; calls: Generator<Call, void, string>; plugin: string }
  >();
  const each: number[] = [];
  const failures: Error[] = [];
  const began = performance.now();
  const advance = (attachment: Attachment, calls: Generator<Call, void, string>, stdout: string) => {
    const next = calls.next(stdout);
    if (next.done) return void each.push(performance.now() - began);
    const { plugin, command, input } = next.value;
    running.set(attachment.host.start(command, input), { attachment, calls, plugin });
  };
  for (const attachment of attachments) advance(attachment, attachment.calls(verb), '');
  while (running.size > 0) {
    for (const { child, ended } of Child.waitAny([...running.keys()])) {
      const { attachment, calls, plugin } = running.get(child)!; // reason: only running children are waited for
      running.delete(child);
      try {
        succeeded(attachment, verb, plugin, ended);
        advance(attachment, calls, ended.stdout);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        failures.push(error);
      }
    }
  }
  return { wall: performance.now() - began, each, failures };
}

/** Throws with what the program said unless it succeeded. */
export function succeeded({ host }: Attachment, verb: Verb, plugin: string, ended: Ended): void {
  if (ended.status === 0) return;
  const said = (ended.stdout + ended.stderr).trim();
  // Published, so by its place in the repository if it is there.
  const program = host.file(plugin).replace(`${root}/`, '');
  throw new Error(`${verb} by ${program} failed with exit status ${ended.status}: ${said}`);
}
