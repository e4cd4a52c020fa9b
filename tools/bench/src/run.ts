/** The measuring, inside the bench's own namespaces. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Host, type Side, type SideName } from './host.ts';
import { type Row, rowsOf } from './report.ts';
import type { Sample, Scenario } from './scenario.ts';

export interface Sides {
  readonly ours: Side;
  readonly theirs: Side | undefined;
}

/** Runs a scenario in alternating order. One round before the first is not counted: it makes bridges and tables, and
 *  brings the programs into memory. */
export function runScenario(scenario: Scenario, { ours, theirs }: Sides, rounds: number): Row[] {
  const root = mkdtempSync('/run/bench-');
  const hosts: Host[] = [];
  const samples: Record<SideName, Sample[]> = { ours: [], theirs: [] };
  try {
    for (const side of [ours, theirs]) if (side) hosts.push(new Host(side, root));
    for (const host of hosts) scenario.prepare?.(host);
    for (const host of hosts) scenario.round(host);
    for (let round = 0; round < Math.min(rounds, scenario.rounds ?? rounds); round++) {
      for (const host of round % 2 === 0 ? hosts : hosts.toReversed()) {
        samples[host.side.name].push(...scenario.round(host));
      }
    }
    return rowsOf(scenario, samples);
  } catch (error) {
    throw new Error(`${scenario.title}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    for (const host of hosts) host.close();
    rmSync(root, { recursive: true, force: true });
  }
}

/** What one of the sides lacks for a scenario. */
export function missing(scenario: Scenario, { ours, theirs }: Sides): string[] {
  return [ours, theirs].flatMap((side) =>
    side
      ? scenario.needs
          .filter((name) => !existsSync(join(side.folder, name)))
          .map((name) => `${side.name}: ${name}`)
      : [],
  );
}
