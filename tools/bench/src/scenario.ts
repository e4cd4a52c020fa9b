/** What a scenario is, and the kinds of them. */
import {
  type Attachment,
  ByCnitool,
  ByPlugins,
  drive,
  driveAll,
  driveDel,
  type Network,
  type Verb,
} from './attachment.ts';
import { type Check, mustBeGone, mustBeThere } from './check.ts';
import { canCount, countVerb } from './count.ts';
import type { Host } from './host.ts';
import { measureMemory } from './memory.ts';

/** One measured value of one round. */
export interface Sample {
  /** What was measured: `ADD`, `ADD portmap`, `rate`. */
  readonly of: string;
  readonly unit: Unit;
  readonly value: number;
  /** Processor time, user and system, in milliseconds. */
  readonly cpu?: number;
  /** Whether it succeeded only when it was called again. */
  readonly repeated?: boolean;
}

/** Milliseconds, megabytes (10⁶ bytes), counts: less is better. Attachments per second: more is better. */
export type Unit = 'ms' | '/s' | 'MB' | '';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Plugins that both sides must have. */
  readonly needs: readonly string[];
  /** Ratios to reach, ours to theirs, by what is measured: at most for times, at least for rates. */
  readonly targets?: Readonly<Record<string, number>>;
  /** What ours may have at most, by what is measured. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Rounds at most, where one takes seconds. */
  readonly mostRounds?: number;
  /** One round is enough, for what does not vary. */
  readonly once?: boolean;
  /** Before the first round, once per side; not measured. */
  prepare?(host: Host): void;
  /** One round on one side: measures and verifies. Throws when a result is wrong. */
  round(host: Host): Sample[];
  /** After the rounds, once per side: what is not timed, such as counts. */
  finish?(host: Host): Sample[];
  /** One round of the same kernel requests alone, from a process that is warm; on a host of its own. */
  floor?(host: Host): Sample[];
}

export interface AttachmentScenario extends Omit<Scenario, 'round' | 'finish' | 'needs'> {
  readonly network: (host: Host) => Network;
  readonly checks: readonly Check[];
  /** IPAM plugins besides those in the list. */
  readonly ipam?: string;
  /** Verbs to measure; ADD and DEL are always done. */
  readonly verbs?: readonly Verb[];
  /** Whether our side is the operator's tool instead of plugins executed one by one. */
  readonly byCnitool?: boolean;
  /** The plugin types, to know whether they are built. */
  readonly types: readonly string[];
  /** Whether each plugin's time is told too. */
  readonly details?: boolean;
  /** Whether processes, requests, transactions and memory are told too. */
  readonly costs?: boolean;
}

function make(
  scenario: Pick<AttachmentScenario, 'network' | 'byCnitool'>,
  host: Host,
  index: number,
): Attachment {
  const kind = scenario.byCnitool && host.side.name === 'ours' ? ByCnitool : ByPlugins;
  return new kind(host, scenario.network(host), index);
}

/** ADD, CHECK and DEL of one container after another. */
export function attachments(scenario: AttachmentScenario): Scenario {
  const { verbs = ['ADD', 'CHECK', 'DEL'], checks, types, details, byCnitool } = scenario;
  return {
    ...scenario,
    needs: types,
    round(host) {
      const attachment = make(scenario, host, 0);
      const samples: Sample[] = [];
      const measure = (verb: Verb) => {
        const { steps, repeated } =
          verb === 'DEL' ? driveDel(attachment) : { steps: drive(attachment, verb), repeated: false };
        const cpu = (of: typeof steps) => of.reduce((sum, { ended }) => sum + ended.user + ended.system, 0);
        const wall = steps.reduce((sum, { ended }) => sum + ended.wall, 0);
        samples.push({ of: verb, unit: 'ms', value: wall, cpu: cpu(steps), repeated });
        if (!details || byCnitool) return;
        for (const step of steps) {
          samples.push({
            of: `${verb} ${step.plugin}`,
            unit: 'ms',
            value: step.ended.wall,
            cpu: cpu([step]),
          });
        }
      };
      measure('ADD');
      mustBeThere([attachment], checks);
      if (verbs.includes('CHECK')) measure('CHECK');
      measure('DEL');
      mustBeGone([attachment], checks);
      return verbs.includes('DEL') ? samples : samples.filter(({ of }) => !of.startsWith('DEL'));
    },
    ...(scenario.costs && { finish: (host: Host) => costs(scenario, host) }),
  };
}

/** What the verbs take of processes, requests and memory. */
function costs(scenario: AttachmentScenario, host: Host): Sample[] {
  const samples: Sample[] = [];
  if (canCount()) {
    const attachment = make(scenario, host, 0);
    for (const verb of ['ADD', 'CHECK', 'DEL'] as const) {
      const { processes, requests, transactions } = countVerb(attachment, verb);
      samples.push({ of: `${verb} processes`, unit: '', value: processes });
      samples.push({ of: `${verb} netlink requests`, unit: '', value: requests });
      samples.push({ of: `${verb} rule transactions`, unit: '', value: transactions });
    }
  }
  const pair = [make(scenario, host, 0), make(scenario, host, 1)] as const;
  const memory = measureMemory(pair, 'ADD');
  for (const one of pair) driveDel(one);
  samples.push({ of: 'private memory', unit: 'MB', value: memory.private });
  samples.push({ of: 'peak memory', unit: 'MB', value: memory.peak });
  return samples;
}

/** `count` attachments at once: how many per second, and how long the slowest takes. */
export function parallel(scenario: AttachmentScenario & { readonly count: number }): Scenario {
  const { count, checks, types } = scenario;
  return {
    ...scenario,
    needs: types,
    round(host) {
      const all = Array.from({ length: count }, (_, index) => make(scenario, host, index));
      const samples: Sample[] = [];
      for (const verb of ['ADD', 'DEL'] as const) {
        const { wall, each, failures } = driveAll(all, verb);
        for (const { message } of failures) process.stderr.write(`${host.side.name}: ${message}\n`);
        samples.push({ of: `${verb} rate`, unit: '/s', value: (each.length * 1000) / wall });
        samples.push({ of: `${verb} failures`, unit: '', value: failures.length });
        samples.push({ of: `${verb} slowest`, unit: 'ms', value: Math.max(...each) });
        if (verb === 'ADD') {
          const attached = all.filter(({ result }) => result);
          const distinct = new Set(attached.map(({ address }) => address));
          if (distinct.size !== attached.length) throw new Error('two attachments got the same address');
          mustBeThere(attached, checks);
        } else if (failures.length > 0) {
          // As runtimes do; it must succeed then, for the checks below.
          for (const one of all) driveDel(one);
        }
      }
      mustBeGone(
        all.filter(({ result }) => result),
        checks,
      );
      return samples;
    },
  };
}
