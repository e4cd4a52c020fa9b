/** Failures of the kernel and the disk, and signals, for a program that is executed: see fault-injector.c. */
import { readFileSync } from 'node:fs';
import { compiled } from './compiled.ts';

/** What happens at a change: it is refused, its answer is lost, or a signal comes before it. */
export type FaultMode = 'refuse' | 'lose' | 'kill' | 'term';

export interface Fault {
  readonly mode: FaultMode;
  /** The how many-th change, from 1; 0: none, they are counted only. */
  readonly at: number;
}

/** What the injector itself says by its exit status. */
export const injectorStatus = { hung: 124, broken: 125 } as const;

/** The command that runs `program` under this fault and writes its changes, one a line, to the file `report`. */
export function underFault(
  fault: Fault,
  report: string,
  program: string,
  args: readonly string[] = [],
): [file: string, args: string[]] {
  return [compiled('fault-injector'), [fault.mode, String(fault.at), report, program, ...args]];
}

/** The changes a program made until the fault, that one included. */
export function reported(report: string): string[] {
  return readFileSync(report, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
