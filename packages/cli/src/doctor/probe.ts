/** What a probe of doctor is, and what it is given. */
import type { Survey } from '../ipam/survey.ts';
import type { Attached } from '../node/attached.ts';
import type { Problem } from '../node/problem.ts';
import type { Sight } from '../node/sight.ts';
import type { VerbCall } from '../verb.ts';

/** What is looked at. Probes come one after the other, and a later one need not say again what an earlier one has said. */
export interface Exam {
  readonly sight: Sight;
  readonly call: VerbCall;
  /** Those of the container that was asked for, else all. */
  readonly attached: readonly Attached[];
  /** Attachments whose rules are known to be missing. */
  readonly withoutRules: Set<Attached>;
  /** Who holds which address, and what could not be read of that: looked at once. */
  readonly addresses: () => { readonly seen: Survey; readonly notes: readonly string[] };
  /** Milliseconds of performance.now() after which no probe begins anything that takes long. */
  readonly until: number;
}

export interface Found extends Problem {
  /** `c1/eth0 of web`, where it is about one attachment. */
  readonly attachment?: string;
}

export interface Diagnosis {
  readonly found: readonly Found[];
  /** What was looked at, for who reads that nothing was found: short. Undefined where there was nothing to look at. */
  readonly fine?: string | undefined;
  /** What could not be looked at, and why. */
  readonly unknown?: readonly string[];
}

export interface Probe {
  readonly name: string;
  /** Throws where it cannot look. */
  run(exam: Exam): Diagnosis | Promise<Diagnosis>;
}

/** Types of plugins whose containers reach the world through the host's own routes and rules. */
export function isForwarded({ plugins: [main] }: Attached): boolean {
  return main?.type === 'bridge' || main?.type === 'ptp';
}
