/** What is wrong with this node, as explain and doctor tell it. */
import type { FindingCode } from '@cni-ts/spec/finding-codes';
import type { Attached } from './attached.ts';
import { goneSince } from './attached.ts';
import { timeText } from './clock.ts';
import type { Sight } from './sight.ts';

export interface Problem {
  readonly code: FindingCode;
  readonly message: string;
  /** A command, or what to do in a few words. */
  readonly cure: string;
}

/** `c1/eth0 of web` */
export function nameOf({
  network,
  containerId,
  ifname,
}: Pick<Attached, 'network' | 'containerId' | 'ifname'>): string {
  return `${containerId}/${ifname} of ${network}`;
}

/** Each once. */
export function unique<T extends Problem>(problems: readonly T[]): T[] {
  return [...new Map(problems.map((one) => [one.code + one.message, one])).values()];
}

/** The same for several, each told with its name. */
export function eachProblems(
  attached: readonly Attached[],
  problemsOf: (one: Attached) => readonly Problem[],
): Problem[] {
  if (attached.length < 2) return attached.flatMap(problemsOf);
  return attached.flatMap((one) =>
    problemsOf(one).map((problem) => ({ ...problem, message: `${nameOf(one)}: ${problem.message}` })),
  );
}

/** What is wrong with an attachment by what is remembered of it and its namespace. */
export function attachmentProblems(sight: Sight, one: Attached): Problem[] {
  const { network, netns, lives, unread } = one;
  const problems: Problem[] = [];
  if (!lives && netns !== '') {
    const since = goneSince(netns);
    problems.push({
      code: 'CNI4020',
      message: `its namespace is gone${since === undefined ? '' : ` since ${timeText(since)}`}: ${netns}`,
      cure: `cnitool gc ${network} --stale`,
    });
  }
  if (unread !== undefined) {
    const message = `its result in the cache cannot be read: ${unread}`;
    problems.push({ code: 'CNI4011', message, cure: 'restart the container' });
  }
  // One that is gone is taken away by what is remembered of its configuration.
  if (lives && !sight.files.some((file) => file.network === network)) {
    problems.push({
      code: 'CNI4015',
      message: `network ${network} has no configuration in ${sight.folder} any more`,
      cure: `put the file of network ${network} back, at least until its containers are gone`,
    });
  }
  return problems;
}
