/**
 * Configurations and environments that are broken in some way, with every verb of every plugin. Each answer must be what
 * the protocol says, in time; what an ADD refused must leave nothing, what it made a DEL of the same words must remove.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { callOf, configOf, environment, predecessor } from '../attachment.ts';
import { type Call, difference, Host } from '../host.ts';
import { asBytes, cniArgs, containerIds, ifnames, mutated } from '../mutations.ts';
import { type Network, networks } from '../networks.ts';
import { type Random, randomOf } from '../random.ts';
import { type Report, say } from '../report.ts';
import { clip, fault, parsed, type Seen, type Verb } from '../verdict.ts';

const phase = 'mutated';
/** So many cases share a host, which is looked at after them. */
const group = 50;

export function mutatedCases(bin: string, report: Report, count: number, from = 0, until = Infinity): void {
  for (let first = from; first < from + count && performance.now() < until; first += group) {
    const cases = Math.min(group, from + count - first);
    const left = runGroup(bin, report, first, cases, true);
    if (left.length === 0) continue;
    // Which of them? Each on a host of its own, looked at by itself.
    let found = 0;
    for (let index = first; index < first + cases; index++) {
      found += runGroup(bin, report, index, 1, false).length > 0 ? 1 : 0;
    }
    if (found === 0) report.fail(phase, first, `left by ${cases} cases together: ${left.join('; ')}`, []);
  }
}

/** Returns what was left; failures of single answers are reported where `tell` is set, and what a single case left
 *  where it is not. */
function runGroup(bin: string, report: Report, first: number, cases: number, tell: boolean): string[] {
  const host = new Host(bin);
  oddFiles();
  try {
    const netns = host.container('torture');
    const prevResult = predecessor(host, netns, 'before0', 1);
    const stage: Stage = { host, netns, prevResult };
    for (const network of networks) warmUp(stage, network);
    const before = host.everything([netns]);
    let last: Call[] = [];
    for (let index = first; index < first + cases; index++) {
      const { calls, complaint } = tryOne(stage, randomOf(report.seed, phase, index), index);
      last = calls;
      if (tell && complaint) report.fail(phase, index, complaint, calls);
      if (tell && !complaint) report.pass();
    }
    const left = difference(before, settled(host, netns, before), sharedByDesign);
    if (!tell && left.length > 0) {
      report.fail(phase, first, `left: ${left.map((line) => clip(line, 300)).join('; ')}`, last);
    }
    return left;
  } finally {
    host.close();
  }
}

/** What the kernel removes a moment later is given that moment. */
function settled(host: Host, netns: string, before: ReadonlySet<string>): Set<string> {
  let now = host.everything([netns]);
  for (let tries = 0; tries < 10 && difference(before, now, sharedByDesign).length > 0; tries++) {
    host.sh('sleep 0.05');
    now = host.everything([netns]);
  }
  return now;
}

/**
 * What finished attachments leave for good, under names that a mutation may have chosen: bridges with their addresses and
 * routes, chains and tables, jumps to a chain of rules, forwarding, the values of tuning's keys.
 */
function sharedByDesign(line: string): boolean {
  if (/^[+] host (links|addresses|routes|settings): /.test(line)) {
    return (
      /"kind":"bridge"|"cni0"|"cni1"|linkdown|"net\/ipv[46]\/(conf|neigh|route)/.test(line) ||
      bridgeOfRun.some((name) => line.includes(`"${name}"`))
    );
  }
  if (
    /^[-+] host settings: .*"net\/ipv(4\/ip_forward|6\/conf\/[^"]*forwarding|4\/conf\/[^"]*(forwarding|route_localnet))/.test(
      line,
    )
  )
    return true;
  if (/^[+] host nftables: /.test(line)) {
    return (
      /^[+] host nftables: \{"(table|chain|map|set)"/.test(line) ||
      /"jump"|"goto"|CNI-ISOLATION-STAGE/.test(line)
    );
  }
  return /^[+] host iptables: \S+ (:|-A .* -j CNI-)/.test(line);
}

/** Names that mutations gave to bridges. */
const bridgeOfRun: string[] = [];

interface Stage {
  readonly host: Host;
  readonly netns: string;
  readonly prevResult: object;
}

/** Files that are no network namespace. */
function oddFiles(): void {
  rmSync('/run/odd', { recursive: true, force: true });
  mkdirSync('/run/odd/folder', { recursive: true });
  writeFileSync('/run/odd/file', '');
  execFileSync('mkfifo', ['/run/odd/fifo']);
  symlinkSync('/run/odd/loop', '/run/odd/loop');
}

const oddNamespaces: readonly string[] = [
  '',
  '/run/odd/file',
  '/run/odd/fifo',
  '/run/odd/folder',
  '/run/odd/loop',
  '/run/netns/gone',
  '/proc/self/ns/net',
  '/proc/self/ns/mnt',
  '/proc/1/ns/net',
  '/proc/999999/ns/net',
  '/dev/null',
  'relative',
  '/run/netns/torture/',
  '/run/netns/../netns/torture',
  `/run/netns/${'x'.repeat(5000)}`,
];

/** How descriptors and bytes of the environment are spoilt. `mute`: it cannot answer. */
const spoilt: readonly { words: string; mute?: boolean }[] = [
  { words: 'exec "$0" <&-' },
  { words: 'exec "$0" >&-', mute: true },
  { words: 'exec "$0" 2>&-' },
  { words: 'exec "$0" <&- >&- 2>&-', mute: true },
  { words: 'exec "$0" >/dev/full', mute: true },
  { words: 'exec "$0" </run/odd/folder' },
  { words: 'CNI_CONTAINERID=$(printf "a\\377") exec "$0"' },
  { words: 'CNI_NETNS=$(printf "/run/netns/n\\377") exec "$0"' },
  { words: 'CNI_ARGS=$(printf "a=\\377\\376") exec "$0"' },
  { words: 'ulimit -f 0; exec "$0"' },
  { words: 'ulimit -n 3; exec "$0"' },
  { words: 'cd /run/odd/folder && exec "$0"' },
];

function warmUp({ host, netns, prevResult }: Stage, network: Network): void {
  const one = { id: 'warmup', netns, ifname: network.ifname ?? (network.chained ? 'eth0' : 'net1') };
  const prev = network.chained ? prevResult : undefined;
  for (const verb of ['ADD', 'DEL'] as const) {
    const { status, stdout } = host.call(callOf(host, verb, network, 'torture', one, prev));
    if (status !== 0) throw new Error(`a valid configuration: ${network.type} ${verb}: ${stdout}`);
  }
}

function tryOne(
  stage: Stage,
  random: Random,
  index: number,
): { calls: Call[]; complaint: string | undefined } {
  const { host } = stage;
  const network = random.pick(networks);
  const original = configOf(network, 'torture', network.chained ? stage.prevResult : undefined);
  const config = random.chance(0.15) ? original : mutated(random, original);
  noteBridge(config);
  const stdin = asBytes(random, config);
  const { env, through, mute } = broken(stage, random, network, index);
  const calls: Call[] = [];
  const run = (verb: Verb | string, input: string | Uint8Array = stdin): Seen => {
    const made = { verb, type: network.type, env: { ...env, CNI_COMMAND: verb }, stdin: input };
    calls.push(through === undefined ? made : { ...made, through });
    return host.call(calls.at(-1) ?? made);
  };
  const complaints: string[] = [];
  const judge = (verb: Verb | string, seen: Seen): Seen => {
    const wrong = fault(verb, seen, mute);
    if (wrong) complaints.push(`${verb}: ${wrong}`);
    return seen;
  };
  for (const verb of ['VERSION', 'STATUS', random.pick(['GC', 'add', '', 'CHECK'])]) judge(verb, run(verb));
  const added = judge('ADD', run('ADD'));
  const withResult = added.status === 0 ? withPrevResult(config, added.stdout) : undefined;
  // The second half sees what a refused ADD left, before any DEL.
  if (added.status !== 0 && random.chance(0.5)) return { calls, complaint: complaints[0] };
  judge('CHECK', run('CHECK', withResult));
  const deleted = judge('DEL', run('DEL', withResult));
  if (added.status === 0 && deleted.status !== 0 && !mute) {
    complaints.push(`ADD succeeded, and DEL with the same words fails: ${clip(deleted.stdout)}`);
  }
  judge('GC', run('GC'));
  return { calls, complaint: complaints[0] };
}

/** As a runtime does for CHECK and DEL; undefined where the configuration was none. */
function withPrevResult(config: unknown, result: string): string | undefined {
  const prevResult = parsed(result);
  if (typeof config !== 'object' || config === null || prevResult === undefined) return undefined;
  return JSON.stringify({ ...config, prevResult });
}

function noteBridge(config: unknown): void {
  const name = (config as { bridge?: unknown } | null)?.bridge; // reason: whatever it is, undefined will do
  if (typeof name === 'string' && !bridgeOfRun.includes(name)) bridgeOfRun.push(name);
}

function broken(
  { host, netns }: Stage,
  random: Random,
  network: Network,
  index: number,
): { env: Record<string, string>; through: string | undefined; mute: boolean } {
  const ifname = network.ifname ?? (network.chained ? 'eth0' : 'net1');
  const env = environment(host, 'ADD', { id: `m${index}`, netns, ifname });
  const spoil = random.chance(0.08) ? random.pick(spoilt) : undefined;
  if (random.chance(0.35)) {
    const [name, values] = random.pick([
      ['CNI_CONTAINERID', containerIds],
      ['CNI_NETNS', oddNamespaces],
      ['CNI_NETNS', oddNamespaces],
      ['CNI_IFNAME', ifnames],
      ['CNI_ARGS', cniArgs],
      ['CNI_PATH', ['', '/nonexistent', ':', '/run/odd/file', `${'x'.repeat(5000)}:${host.bin}`]],
    ] as const);
    env[name] = random.pick<string>(values);
    if (random.chance(0.1)) delete env[name];
  }
  return { env, through: spoil?.words, mute: spoil?.mute ?? false };
}

export function mutatedPhase(bin: string, report: Report, count: number, from: number, until: number): void {
  const started = performance.now();
  const before = report.counts;
  mutatedCases(bin, report, count, from, until);
  const { passed, failed } = report.counts;
  say(
    `${phase}: ${count} configurations with every verb, ${passed - before.passed} passed, ${failed - before.failed} failed (${((performance.now() - started) / 1000).toFixed(1)} s)`,
  );
}
