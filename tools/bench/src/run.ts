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
  const samples: Record<SideName, Sample[]> = { ours: [], theirs: [], floor: [] };
  try {
    const floor: Side | undefined = scenario.floor && { name: 'floor', folder: '' };
    for (const side of [ours, theirs, floor]) if (side) hosts.push(new Host(side, root));
    for (const host of hosts) scenario.prepare?.(host);
    const round = (host: Host): Sample[] =>
      host.side.name === 'floor' ? (scenario.floor?.(host) ?? []) : scenario.round(host);
    if (!scenario.once) for (const host of hosts) round(host);
    for (let at = 0; at < (scenario.once ? 1 : Math.min(rounds, scenario.mostRounds ?? rounds)); at++) {
      for (const host of at % 2 === 0 ? hosts : hosts.toReversed()) {
        samples[host.side.name].push(...round(host));
      }
    }
    for (const host of hosts) {
      if (host.side.name !== 'floor') samples[host.side.name].push(...(scenario.finish?.(host) ?? []));
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
