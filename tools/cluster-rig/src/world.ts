/** All that a run has: etcd's members, nodes with their runtimes, the load on them, and chance. */
import type { Random } from '@cni-ts/torture/random';
import type { Load } from './load.ts';
import type { Members } from './members.ts';
import type { RigNetwork } from './networks.ts';
import type { NodeSetup } from './node.ts';
import type { Recorder } from './recorder.ts';
import type { Runtime } from './runtime.ts';
import { now } from './stage.ts';

export interface World {
  readonly members: Members;
  readonly runtimes: readonly Runtime[];
  readonly networks: readonly RigNetwork[];
  readonly setup: NodeSetup;
  readonly recorder: Recorder;
  readonly load: Load;
  readonly random: Random;
  /** Faults last as long as the run has time: 1 in the long one, less in the short one. */
  readonly patience: number;
  /** What went wrong that is no matter of the history. */
  readonly complaints: string[];
}

const began = now();

export function say(line: string): void {
  process.stdout.write(`${(now() - began).toFixed(1).padStart(7)}  ${line}\n`);
}

/** So many of them, by chance. */
export function some<T>(random: Random, list: readonly T[], count: number): T[] {
  const rest = [...list];
  const picked: T[] = [];
  while (picked.length < count && rest.length > 0) picked.push(...rest.splice(random.below(rest.length), 1));
  return picked;
}
