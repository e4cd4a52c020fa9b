/** What the agent cannot do, as the sentence that a plugin's ADD ends with. */
import type { Refusal } from '@cni-ts/cluster/agent-talk';
import { ErrorCode } from '@cni-ts/spec/cni-error';
import type { Member } from './member.ts';

export class Refused extends Error {
  readonly code: number;
  readonly details: string;

  constructor(message: string, details = '', code: number = ErrorCode.tryAgainLater) {
    super(message);
    this.code = code;
    this.details = details;
  }

  get answer(): Refusal {
    const { code, message, details } = this;
    return { error: { code, message, ...(details !== '' && { details }) } };
  }
}

/** Why nothing can be claimed through this etcd just now. */
export function whyNot({ trouble, reachable, fencing, node, registered, name }: Member): Refused | undefined {
  const [first] = trouble;
  if (first !== undefined) return new Refused(`cluster-agent claims nothing: ${first}`);
  if (!reachable.is) {
    return new Refused(
      `etcd (${name}) has been out of reach since ${reachable.since}: ${reachable.error}`,
      `addresses of the blocks that ${node} has are still given; see that etcd runs and that endpoints, certificates and password in the agent's settings are right`,
    );
  }
  if (fencing) {
    return new Refused(
      `${node} was asked to give its blocks back ("cnitool ipam fence ${node}"), and claims none until all are returned`,
      'start containers on another node meanwhile',
    );
  }
  if (!registered) return new Refused(`etcd (${name}) has not yet answered`, 'try again');
  return undefined;
}

/** Why a request came to nothing: what is known of this etcd, else what `why` says. */
export function unanswered(member: Member, why: string): Refused {
  return whyNot(member) ?? new Refused(`etcd (${member.name}) did not answer: ${why}`, 'try again');
}

export const mostMs = 1700;

/** The answer, or the refusal that `late` gives once a plugin has to be answered. */
export async function inTime<T>(
  work: Promise<T>,
  late: () => Refused,
  milliseconds: number = mostMs,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(late()), milliseconds);
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
  }
}
