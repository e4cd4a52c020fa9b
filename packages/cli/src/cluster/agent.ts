/** Asks the node's cluster-agent, for an operator. */
import type { Answer, Question, Refusal } from '@cni-ts/cluster/agent-talk';
import { askAgent as askByPlugin } from '@cni-ts/cluster/ask-agent';
import { CniError, errorText } from '@cni-ts/spec/cni-error';
import { CannotLookError } from '../verb.ts';

/** In milliseconds: the agent asks etcd, of which it gives up after less. */
export const agentPatience = 15_000;
/** Of what it has in mind. */
export const shortPatience = 2000;

/** Its answer, or why there is none: it refuses, is away, or has said nothing in so many milliseconds. Throws a CannotLookError
 *  where it may not be asked. */
export function askAgent<A extends { readonly ok: true }>(
  socket: string,
  question: Question,
  milliseconds = agentPatience,
): Answer<A> {
  try {
    return askByPlugin<A>(socket, question, performance.now() + milliseconds);
  } catch (error) {
    if (!(error instanceof CniError))
      throw new CannotLookError(`cluster-agent at ${socket}: ${errorText(error)}`);
    const { code, message, details } = error;
    return { error: { code, message, ...(details !== '' && { details }) } };
  }
}

export function isRefusal(answer: Answer): answer is Refusal {
  return 'error' in answer;
}

export function refusalText({ error: { message, details } }: Refusal): string {
  return details === undefined ? message : `${message}; ${details}`;
}
