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
import type { Host } from './host.ts';

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

/** Milliseconds: less is better. Attachments per second: more is better. */
export type Unit = 'ms' | '/s';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Plugins that both sides must have. */
  readonly needs: readonly string[];
  /** Ratios to reach, ours to theirs, by what is measured: at most for times, at least for rates. */
  readonly targets?: Readonly<Record<string, number>>;
  /** Rounds this one needs at most, where one takes seconds. */
  readonly rounds?: number;
  /** Before the first round, once per side; not measured. */
  prepare?(host: Host): void;
  /** One round on one side: measures and verifies. Throws when a result is wrong. */
  round(host: Host): Sample[];
  /** The attachment for counting processes and memory, where that makes sense. */
  attachment?(host: Host): Attachment;
}

export interface AttachmentScenario extends Omit<Scenario, 'round' | 'attachment' | 'needs'> {
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
      mustBeThere(attachment, checks);
      if (verbs.includes('CHECK')) measure('CHECK');
      measure('DEL');
      mustBeGone(attachment, checks);
      return verbs.includes('DEL') ? samples : samples.filter(({ of }) => !of.startsWith('DEL'));
    },
    attachment: (host) => make(scenario, host, 0),
  };
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
        if (failures.length > 0) {
          throw new Error(`${failures.length} of ${count} failed, the first: ${failures[0]?.message}`);
        }
        samples.push({ of: `${verb} rate`, unit: '/s', value: (count * 1000) / wall });
        samples.push({ of: `${verb} slowest`, unit: 'ms', value: Math.max(...each) });
        if (verb === 'ADD') {
          const distinct = new Set(all.map(({ address }) => address));
          if (distinct.size !== count) throw new Error(`${count} attachments got ${distinct.size} addresses`);
          for (const one of all) mustBeThere(one, checks);
        }
      }
      for (const one of all) mustBeGone(one, checks);
      return samples;
    },
  };
}
