/** The measuring, inside the bench's own namespaces. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Floor, floorOf } from './busy.ts';
import { Calls } from './calls.ts';
import { emptyProgram } from './floor.ts';
import { Host, type Side, type SideName } from './host.ts';
import { kernelHas } from './kernel.ts';
import { type Row, rowsOf } from './report.ts';
import type { Sample, Scenario } from './scenario.ts';
import { which } from './which.ts';

export interface Sides {
  readonly ours: Side;
  readonly theirs: Side | undefined;
}

/** What a scenario gave. */
export interface Measured {
  readonly rows: readonly Row[];
  /** Of the starts of an empty program before each round; undefined where there are too few to tell. */
  readonly floor?: Floor;
  /** Results that were not what plugins said. */
  readonly wrong: readonly string[];
}

/** Runs a scenario in alternating order. One round before the first is not counted: it makes bridges and tables, and
 *  brings the programs into memory. Calls that fail are counted; what the bench itself cannot do throws. */
export function runScenario(scenario: Scenario, { ours, theirs }: Sides, rounds: number): Measured {
  const root = mkdtempSync('/run/bench-');
  const hosts: Host[] = [];
  const samples: Record<SideName, Sample[]> = { ours: [], theirs: [], floor: [] };
  const calls: Record<SideName, Calls> = { ours: new Calls(), theirs: new Calls(), floor: new Calls() };
  const starts: number[] = [];
  try {
    const floor: Side | undefined = scenario.floor && { name: 'floor', folder: '' };
    for (const side of [ours, theirs, floor]) if (side) hosts.push(new Host(side, root));
    for (const host of hosts) scenario.prepare?.(host);
    const round = (host: Host, of: Calls): Sample[] =>
      host.side.name === 'floor' ? (scenario.floor?.(host) ?? []) : scenario.round(host, of);
    if (!scenario.once) for (const host of hosts) round(host, new Calls());
    for (let at = 0; at < (scenario.once ? 1 : Math.min(rounds, scenario.mostRounds ?? rounds)); at++) {
      for (const host of at % 2 === 0 ? hosts : hosts.toReversed()) {
        starts.push(emptyProgram(host));
        const { name } = host.side;
        samples[name].push(...round(host, calls[name]));
      }
    }
    for (const host of hosts) {
      const { name } = host.side;
      if (name === 'floor' || !scenario.finish) continue;
      try {
        samples[name].push(...scenario.finish(host));
      } catch (error) {
        calls[name].failed('costs', error);
      }
    }
    const failures = { ours: calls.ours.failures(), theirs: calls.theirs.failures() };
    return {
      rows: rowsOf(scenario, samples, failures),
      ...(starts.length >= 4 && { floor: floorOf(scenario.title, starts) }),
      wrong: [...calls.ours.wrong, ...calls.theirs.wrong],
    };
  } catch (error) {
    throw new Error(`${scenario.title}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    for (const host of hosts) host.close();
    rmSync(root, { recursive: true, force: true });
  }
}

/** What one of the sides lacks for a scenario, and what this machine does. */
export function missing(scenario: Scenario, { ours, theirs }: Sides): string[] {
  const plugins = [ours, theirs].flatMap((side) =>
    side
      ? scenario.needs
          .filter((name) => !existsSync(join(side.folder, name)))
          .map((name) => `${side.name}: ${name}`)
      : [],
  );
  const kinds = (scenario.kinds ?? []).filter((kind) => !kernelHas(kind));
  return [
    ...(plugins.length > 0 ? [`not built: ${plugins.join(', ')}`] : []),
    ...kinds.map((kind) => `this kernel has no ${kind} links: npm run bench -- --uml`),
    ...(scenario.programs ?? [])
      .filter((name) => which(name) === undefined)
      .map((name) => `${name} is not installed`),
  ];
}
