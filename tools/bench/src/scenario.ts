/** What a scenario is, and the kinds of them. */
import {
  type Attachment,
  ByCnitool,
  ByPlugins,
  drive,
  driveAll,
  driveDel,
  type Network,
  type Step,
  type Verb,
} from './attachment.ts';
import type { Calls } from './calls.ts';
import { type Check, mustBeGone, mustBeThere, WrongResult } from './check.ts';
import { canCount, countVerb } from './count.ts';
import type { Host } from './host.ts';
import type { Kind } from './kernel.ts';
import { measureMemory } from './memory.ts';

/** One measured value of one round. */
export interface Sample {
  /** What was measured: `ADD`, `ADD portmap`, `rate`. */
  readonly of: string;
  readonly unit: Unit;
  readonly value: number;
  /** Processor time, user and system, in milliseconds. */
  readonly cpu?: number;
}

/** Milliseconds, megabytes (10⁶ bytes), counts: less is better. Attachments per second: more is better. */
export type Unit = 'ms' | '/s' | 'MB' | '';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Plugins that both sides must have. */
  readonly needs: readonly string[];
  /** Kinds of links that the kernel must have. */
  readonly kinds?: readonly Kind[];
  /** Programs that it takes beside the plugins. */
  readonly programs?: readonly string[];
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
  /** One round on one side: measures, verifies, and takes everything away again. What fails is told to `calls`, has no
   *  sample, and does not end the run: the others have theirs. */
  round(host: Host, calls: Calls): Sample[];
  /** After the rounds, once per side: what is not timed, such as counts. Throws when a call fails. */
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
    round(host, calls) {
      const attachment = make(scenario, host, 0);
      const samples: Sample[] = [];
      /** A verb and what it must have done: both or there is no sample. */
      const measure = (verb: Verb, verify: () => void = () => undefined): boolean => {
        calls.made(verb);
        let steps: Step[];
        try {
          steps = drive(attachment, verb);
          verify();
        } catch (error) {
          calls.failed(verb, error);
          return false;
        }
        const cpu = (of: typeof steps) => of.reduce((sum, { ended }) => sum + ended.user + ended.system, 0);
        const wall = steps.reduce((sum, { ended }) => sum + ended.wall, 0);
        samples.push({ of: verb, unit: 'ms', value: wall, cpu: cpu(steps) });
        if (!details || byCnitool) return true;
        for (const step of steps) {
          samples.push({
            of: `${verb} ${step.plugin}`,
            unit: 'ms',
            value: step.ended.wall,
            cpu: cpu([step]),
          });
        }
        return true;
      };
      const added = measure('ADD', () => mustBeThere([attachment], checks));
      if (added && verbs.includes('CHECK')) measure('CHECK');
      const gone = () => mustBeGone(attachment.result ? [attachment] : [], checks);
      if (!added) cleanUp(attachment, calls);
      else if (!measure('DEL', gone) && cleanUp(attachment, calls)) calls.mended('DEL');
      return verbs.includes('DEL') ? samples : samples.filter(({ of }) => !of.startsWith('DEL'));
    },
    ...(scenario.costs && { finish: (host: Host) => costs(scenario, host) }),
  };
}

/** After what failed, so that the next round begins with nothing there: DEL as runtimes do it, and once more if that
 *  fails. Whether all is gone then, as far as the plugins say. */
function cleanUp(attachment: Attachment, calls: Calls): boolean {
  try {
    driveDel(attachment);
    return true;
  } catch (error) {
    calls.failed('DEL to clean up', error);
    return false;
  }
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
    round(host, calls) {
      const all = Array.from({ length: count }, (_, index) => make(scenario, host, index));
      const samples: Sample[] = [];
      for (const verb of ['ADD', 'DEL'] as const) {
        const { wall, each, failures } = driveAll(all, verb);
        const rate = `${verb} rate`;
        calls.made(rate, count);
        for (const error of failures) calls.failed(rate, error);
        const attached = all.filter(({ result }) => result);
        try {
          if (verb === 'ADD') {
            const distinct = new Set(attached.map(({ address }) => address));
            if (distinct.size !== attached.length)
              throw new WrongResult('two attachments got the same address');
            mustBeThere(attached, checks);
          } else {
            // As runtimes do; it must succeed then, for the check.
            const mended = failures.length > 0 && all.map((one) => cleanUp(one, calls)).every((done) => done);
            if (mended) calls.mended(rate, failures.length);
            mustBeGone(attached, checks);
          }
        } catch (error) {
          calls.failed(rate, error);
          continue;
        }
        const any = each.length > 0; // without, nothing was fast or slow
        if (any) samples.push({ of: rate, unit: '/s', value: (each.length * 1000) / wall });
        samples.push({ of: `${verb} failures`, unit: '', value: failures.length });
        if (any) samples.push({ of: `${verb} slowest`, unit: 'ms', value: Math.max(...each) });
      }
      return samples;
    },
  };
}
