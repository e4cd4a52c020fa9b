/** One run in the rig's namespaces: etcd and nodes come up, figures are taken, the trial is gone through, the history is held
 *  against the law. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { machine } from '@cni-ts/bench/machine';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { Random } from '@cni-ts/torture/random';
import { check } from './checker.ts';
import { type FiguresPlan, measure } from './figures.ts';
import type { HistoryEvent } from './history.ts';
import { launcherProgram } from './launcher.ts';
import { Load } from './load.ts';
import { Members } from './members.ts';
import { dual, overlapping, tight } from './networks.ts';
import { RigNode } from './node.ts';
import { Recorder } from './recorder.ts';
import type { RunReport } from './report.ts';
import { Runtime } from './runtime.ts';
import { sabotages } from './sabotage.ts';
import { layBridge, now, sh } from './stage.ts';
import { settle, trial } from './trial.ts';
import { say, type World } from './world.ts';

export interface RunPlan {
  readonly seed: number;
  readonly nodes: number;
  readonly adds: number;
  readonly minutes: number;
  readonly bin: string;
  /** Gets logs, the history, and the report. */
  readonly out: string;
  readonly patience: number;
  /** Seconds that whoever starts and removes containers rests after each call. */
  readonly rest: number;
  /** undefined: none are taken. */
  readonly figures: FiguresPlan | undefined;
  /** Parts of the names of faults; undefined: all. */
  readonly faults: readonly string[] | undefined;
  readonly sabotage: string | undefined;
}

const cooldown = 2;
/** Seconds for which an agent keeps a block at least: who has been told of it takes an address meanwhile. */
const leastAge = 10;
/** Seconds between two looks of an agent at what is in use, and at what etcd has. */
const periods = { period: 2, compare: 4 };
const lanes = 2;

export async function run(plan: RunPlan): Promise<RunReport> {
  const began = now();
  const program = etcdProgram();
  if (program === undefined) throw new Error('etcd is not installed');
  layBridge();
  mkdirSync(plan.out, { recursive: true });
  const random = new Random(plan.seed);
  const networks = [tight(plan.nodes, cooldown), overlapping(plan.nodes, cooldown), dual(cooldown)];
  const members = await Members.open(program, join(plan.out, 'etcd'));
  say('etcd is up');
  // Each node has a disk of its own, and so has etcd: what one writes does not make the others wait.
  const folder = join(plan.out, 'nodes');
  mkdirSync(folder);
  sh(`mount -t tmpfs -o size=8g,nr_inodes=0 tmpfs ${folder}`);
  const setup = {
    ...{ folder, launcher: launcherProgram(), bin: plan.bin, lanes },
    ...{ endpoints: members.endpoints, networks },
    agentOptions: ['--period', String(periods.period), '--compare', String(periods.compare)],
  };
  const nodes: RigNode[] = [];
  for (let i = 1; i <= plan.nodes; i++) {
    // Two have a small disk, which can be filled.
    nodes.push(await RigNode.open(`n${i}`, `10.90.1.${i}`, { ...setup, disk: i <= 2 ? 16 << 10 : 0 }));
  }
  // What is measured is an agent that is started without options.
  if (plan.figures) for (const node of nodes) node.agentOptions = [];
  for (const node of nodes) node.startAgent();
  for (const node of nodes) await node.waitUntilWell();
  say(`${nodes.length} agents are up`);
  const recorder = new Recorder(join(plan.out, 'history.jsonl'));
  const runtimes = nodes.map((node) => new Runtime(node, recorder));
  const load = new Load(
    { networks, living: livingOn(plan.nodes), hurt: 0.01, rest: plan.rest },
    runtimes,
    random,
  );
  const world: World = {
    ...{ members, runtimes, networks, setup, recorder, load, random, patience: plan.patience },
    complaints: [],
  };
  const figures = plan.figures && (await measure(world, plan.figures));
  if (figures) {
    for (const node of nodes) {
      node.agentOptions = setup.agentOptions;
      await node.stopAgent('SIGTERM');
      node.startAgent();
    }
    for (const node of nodes) await node.waitUntilWell();
  }
  const sabotage = plan.sabotage === undefined ? undefined : sabotages[plan.sabotage];
  const tried = await trial(world, {
    ...{ adds: plan.adds, until: began + plan.minutes * 60, lanes, faults: plan.faults },
    ...(sabotage && { sabotage: sabotage.act }),
  });
  const law = {
    networks: Object.fromEntries(networks.map(({ name, law: of }) => [name, of])),
    emptyBlocksReturnIn: leastAge + cooldown + 2 * periods.period,
  };
  say('all is taken away');
  await settle(world, law.emptyBlocksReturnIn);
  for (const node of nodes) await node.close();
  await members.close();
  await recorder.close();
  for (const { name, folder: own } of nodes)
    copyFileSync(join(own, 'agent.log'), join(plan.out, `${name}.log`));
  const report: RunReport = {
    ...{ seed: plan.seed, nodes: plan.nodes, machine: machine(), versions: versionsOf(program) },
    minutes: (now() - began) / 60,
    counts: countsOf(recorder.events, load),
    faults: Object.fromEntries(
      [...Map.groupBy(tried, (name) => name)].map(([name, all]) => [name, all.length]),
    ),
    violations: check(recorder.events, law),
    complaints: world.complaints,
    refusals: Object.fromEntries(load.refused),
    ...(figures && { figures }),
  };
  writeFileSync(join(plan.out, 'report.json'), JSON.stringify(report, undefined, 1));
  return report;
}

/** Of tight's addresses most are in use, so that they go round. */
function livingOn(nodes: number): number {
  return nodes > 20 ? 40 : 30;
}

function versionsOf(program: string): Record<string, string> {
  const [, etcd = 'unknown'] =
    /Version: (\S+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' })) ?? [];
  return { etcd, Node: process.versions.node };
}

function countsOf(events: readonly HistoryEvent[], load: Load): RunReport['counts'] {
  const of = (kind: HistoryEvent['kind']) => events.filter((event) => event.kind === kind);
  const adds = events.filter((event) => event.kind === 'add');
  return {
    adds: adds.filter(({ answered }) => answered !== undefined).length,
    refused: [...load.refused.values()].reduce((sum, times) => sum + times, 0),
    killed: adds.filter(({ answered, error }) => answered === undefined && error === undefined).length,
    dels: of('del').length,
    checks: of('check').length,
    collections: of('gc').length,
    looks: of('look').length,
  };
}
