/** The protocol between a runtime and a plugin (CNI specification, section 2), from environment and stdin to stdout
 *  and exit status. Everything it touches of the process comes in through Process. */
import { type Reply, replyText } from '@cni-ts/invoke/call-plugin';
import { type Environment, readEnvironment, type Variables } from '@cni-ts/invoke/environment';
import { errorObject } from '@cni-ts/invoke/error-object';
import { Input } from '@cni-ts/invoke/input';
import { stopSignal } from '@cni-ts/libc/interruption';
import { holdDescriptors } from '@cni-ts/libc/spare-descriptors';
import { CniError, ErrorCode, errorText, oneLine, toCniError } from '@cni-ts/spec/cni-error';
import { newestVersion } from '@cni-ts/spec/released-versions';
import type { Result } from '@cni-ts/spec/result';
import {
  convertResult,
  decodeResult,
  resultJson,
  takenResult,
  type VersionedResult,
  versionedResult,
} from '@cni-ts/spec/result-version';
import { compareVersions, parseVersion } from '@cni-ts/spec/spec-version';
import { CallLog } from './call-log.ts';
import { configFindings } from './config-findings.ts';
import { delegateTo } from './delegate.ts';
import { interruptedAnswer, Stopped, stopOf } from './interrupted.ts';
import { configVersion, type Json, member, readNetwork } from './network.ts';
import type { DryRun, Plugin, RawRequest, Verb } from './plugin.ts';
import type { Process, Surroundings } from './process.ts';
import { Undo } from './undo.ts';
import { validAttachments } from './valid-attachments.ts';

interface Command {
  readonly verb: Verb | 'plan' | 'repair' | 'validate';
  /** Where the command is younger than the protocol: the first spec version that has it. */
  readonly since?: string;
}

const commands: Readonly<Record<string, Command>> = {
  ADD: { verb: 'add' },
  DEL: { verb: 'del' },
  CHECK: { verb: 'check', since: '0.4.0' },
  GC: { verb: 'gc', since: '1.1.0' },
  STATUS: { verb: 'status', since: '1.1.0' },
  // Ours, for the operator's tool; another plugin does not know them, and says so.
  PLAN: { verb: 'plan' },
  REPAIR: { verb: 'repair' },
  VALIDATE: { verb: 'validate' },
};

/** Answers one call and returns the exit status: 0, or 1 after an error object on stdout. */
export async function callPlugin(plugin: Plugin, streams: Process): Promise<number> {
  try {
    await answer(
      plugin,
      streams,
      () => {
        const text = readAll(streams);
        return new Input(() => text);
      },
      (reply) => streams.writeStdout(replyText(reply)),
    );
    return 0;
  } catch (thrown) {
    const error = interruptedAnswer(thrown) ?? toCniError(thrown);
    if (isStartedByHand(plugin, streams.env, error)) {
      const versions = plugin.versions.join(', ');
      streams.writeStderr(`${plugin.about}\nCNI protocol versions supported: ${versions}\n`);
      return 0;
    }
    return report(error, streams);
  }
}

/** Answers a call of another plugin of the same program, or of the program itself, by values instead of texts. Throws
 *  the CniError that is the answer. */
export async function servePlugin(plugin: Plugin, around: Surroundings, input: Input): Promise<Reply> {
  let reply: Reply = '';
  try {
    await answer(
      plugin,
      around,
      () => input,
      (given) => {
        reply = given;
      },
    );
    return reply;
  } catch (thrown) {
    throw interruptedAnswer(thrown) ?? toCniError(thrown);
  }
}

/** What a call does that is no step of its own: it reads the configuration by its schema, plans, looks. */
const betweenSteps = 'other work';

/** Gives the answer to whom it is for. */
type Replying = (reply: Reply) => void;

/** The answer, complete; or an error. Logged only where somebody asked for it: the way without has nothing of it. */
function answer(plugin: Plugin, around: Surroundings, given: () => Input, reply: Replying): Promise<void> {
  const { CNI_LOG, CNI_COMMAND } = around.env;
  return CNI_LOG && CNI_COMMAND !== 'VERSION'
    ? logged(plugin, around, given, reply)
    : answered(plugin, around, given, reply);
}

async function logged(
  plugin: Plugin,
  around: Surroundings,
  given: () => Input,
  reply: Replying,
): Promise<void> {
  const { env } = around;
  const note = (text: string) => around.writeStderr(text);
  const log = new CallLog({ kind: 'plugin', plugin: plugin.type, env, note }, 'read the configuration');
  // What it delegates to is part of this call. All else is as it was.
  const within: Surroundings = Object.create(around, {
    env: { value: { ...env, TRACEPARENT: log.traceParent } },
  });
  try {
    await answered(plugin, within, given, reply, log);
  } catch (error) {
    log.end(error);
    throw error;
  }
  log.end();
}

/** VERSION reads nothing. */
async function answered(
  plugin: Plugin,
  around: Surroundings,
  given: () => Input,
  reply: Replying,
  log?: CallLog,
): Promise<void> {
  const environment = readEnvironment(around.env);
  if (environment.command === 'VERSION') {
    reply(`${JSON.stringify({ cniVersion: newestVersion, supportedVersions: plugin.versions })}\n`);
    return;
  }
  const input = given();
  const json = readNetwork(input);
  const command = Object.hasOwn(commands, environment.command) ? commands[environment.command] : undefined;
  const isMissing = (verb: 'plan' | 'repair') => command?.verb === verb && !plugin[verb];
  if (command === undefined || isMissing('plan') || isMissing('repair')) {
    throw new CniError(ErrorCode.invalidEnvironment, `unknown CNI_COMMAND: ${environment.command}`);
  }
  const cniVersion = configVersion(json);
  if (log) {
    log.json = json;
    log.network = String(member(json, 'name'));
    log.step(betweenSteps);
  }
  if (command.verb === 'validate') {
    const request = requestOf(environment, input, json, cniVersion, around, []);
    reply(
      `${JSON.stringify({ findings: configFindings(plugin, request, around.inProcess) }, undefined, 4)}\n`,
    );
    return;
  }
  if (command.since !== undefined) {
    checkCommandVersion(environment.command, command.since, cniVersion, plugin.versions);
  }
  checkVersion(cniVersion, plugin.versions);
  const releases: (() => void)[] = [];
  const request = requestOf(environment, input, json, cniVersion, around, releases, log);
  try {
    if (command.verb === 'add') await orNothing(request, () => add(plugin, request, around, reply));
    else if (command.verb === 'repair') await orNothing(request, () => repair(plugin, request, reply));
    else if (command.verb === 'plan') await plan(plugin, request, reply);
    else await plugin.run(command.verb, request);
  } finally {
    for (const release of releases.reverse()) release();
  }
}

async function add(
  plugin: Plugin,
  request: RawRequest,
  around: Surroundings,
  reply: Replying,
): Promise<void> {
  const made = (await plugin.run('add', request)) ?? {};
  request.undo.log?.step('answer');
  const result = converted(plugin, made, request.cniVersion);
  const signal = await signalMeanwhile(around);
  if (signal !== undefined) throw new Stopped(`interrupted by ${signal}`);
  reply(result);
}

/** `{ "changes": [{ "sign": "+", "text": … }], "result": …, "notes": ["…"] }`, `notes` where there are any. */
async function plan(plugin: Plugin, request: RawRequest, reply: Replying): Promise<void> {
  const dry: DryRun = (await plugin.plan?.(request)) ?? { changes: [], result: {} };
  const { changes, result, notes = [] } = dry;
  const printed = resultJson(converted(plugin, result, request.cniVersion));
  reply(
    `${JSON.stringify({ changes, result: printed, ...(notes.length > 0 && { notes }) }, undefined, 4)}\n`,
  );
}

/** `{ "repaired": ["…"] }` */
async function repair(plugin: Plugin, request: RawRequest, reply: Replying): Promise<void> {
  const repaired = (await plugin.repair?.(request)) ?? [];
  reply(`${JSON.stringify({ repaired }, undefined, 4)}\n`);
}

/** All or nothing: whatever keeps the runtime from getting the answer, the runtime gets a host as it was before. */
async function orNothing(request: RawRequest, work: () => Promise<void>): Promise<void> {
  holdDescriptors();
  try {
    await work();
  } catch (thrown) {
    request.undo.log?.failed(thrown);
    const stop = stopOf(thrown, stopSignal());
    const left = await request.undo.run();
    const error = stop ? stop.answer(left.length === 0) : toCniError(thrown);
    if (left.length === 0) throw error;
    const details = [error.details, ...left].filter((text) => text !== '').join('; ');
    throw new CniError(error.code, error.message, details, { cause: error });
  }
}

/** In the version of the configuration, which may have no words for it: no addresses, for one, before 0.3.0. */
function converted(plugin: Plugin, result: Result, cniVersion: string): VersionedResult {
  return convertResult(checkedResult(plugin, result, cniVersion), cniVersion);
}

function checkedResult(plugin: Plugin, result: Result, cniVersion: string): VersionedResult {
  try {
    return versionedResult(result, cniVersion);
  } catch (thrown) {
    const why = oneLine(toCniError(thrown));
    throw new CniError(ErrorCode.internal, `plugin ${plugin.type} made a result that is none: ${why}`);
  }
}

/** Kernel work is synchronous, so a signal that came meanwhile waits for the event loop. The first turn may be the
 *  rest of one that had polled already; the second has polled for certain. */
async function signalMeanwhile(around: Surroundings): Promise<string | undefined> {
  if (around.interrupted === undefined) return undefined;
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  return around.interrupted();
}

function readAll(streams: Process): string {
  try {
    return streams.readStdin();
  } catch (cause) {
    if (cause instanceof CniError) throw cause;
    const message = `error reading from stdin: ${errorText(cause)}`;
    throw new CniError(ErrorCode.ioFailure, message, '', { cause });
  }
}

function checkVersion(version: string, supported: readonly string[]): void {
  if (supported.includes(version)) return;
  const list = supported.map((entry) => JSON.stringify(entry)).join(' ');
  const details = `config is ${JSON.stringify(version)}, plugin supports [${list}]`;
  throw new CniError(ErrorCode.incompatibleVersion, 'incompatible CNI versions', details);
}

/** For commands younger than the protocol: the configuration must be new enough, and the plugin as new as that. */
function checkCommandVersion(
  command: string,
  since: string,
  version: string,
  supported: readonly string[],
): void {
  parseVersion(version);
  if (compareVersions(version, since) < 0) {
    throw new CniError(ErrorCode.incompatibleVersion, `config version does not allow ${command}`);
  }
  if (!supported.some((entry) => compareVersions(entry, version) >= 0)) {
    throw new CniError(ErrorCode.incompatibleVersion, `plugin version does not allow ${command}`);
  }
}

function requestOf(
  environment: Environment,
  input: Input,
  json: Json,
  cniVersion: string,
  around: Surroundings,
  releases: (() => void)[],
  log?: CallLog,
): RawRequest {
  const { containerId, netns, ifname, args } = environment;
  const undo = new Undo(log);
  let previous: { result: Result | undefined } | undefined;
  return {
    containerId,
    netns,
    netnsOverride: environment.netnsOverride,
    ownNetns: around.ownNetns,
    ifname,
    args,
    network: String(member(json, 'name')),
    cniVersion,
    json,
    get stdin() {
      return input.text;
    },
    undo,
    get prevResult() {
      previous ??= { result: previousResult(member(json, 'prevResult'), cniVersion) };
      return previous.result;
    },
    get validAttachments() {
      return validAttachments(json);
    },
    ipam: (type) => delegateTo(type, { around, input, cniVersion, undo, servePlugin }),
    onEnd: (release) => void releases.push(release),
    log: (line) => around.writeStderr(`${line}\n`),
  };
}

/** Read by the configuration's version, which it may leave out but must not contradict. */
function previousResult(json: unknown, cniVersion: string): Result | undefined {
  if (json === undefined) return undefined;
  try {
    const labelled = typeof json === 'object' && !Array.isArray(json) ? { cniVersion, ...json } : json;
    return takenResult(decodeResult(cniVersion, labelled));
  } catch (cause) {
    const { code, message, details } = toCniError(cause);
    throw new CniError(code, `could not parse prevResult: ${message}`, details, { cause });
  }
}

/** Somebody typed the plugin's name into a shell: tell what it is. */
function isStartedByHand(plugin: Plugin, env: Variables, error: CniError): boolean {
  const nothingAsked = (env.CNI_COMMAND ?? '') === '';
  return error.code === ErrorCode.invalidEnvironment && nothingAsked && plugin.about !== '';
}

function report(error: CniError, streams: Process): number {
  try {
    streams.writeStdout(JSON.stringify(errorObject(error), undefined, 4));
  } catch (thrown) {
    streams.writeStderr(
      `Error writing error JSON to stdout: ${errorText(thrown)}; the error was: ${oneLine(error)}\n`,
    );
  }
  return 1;
}
