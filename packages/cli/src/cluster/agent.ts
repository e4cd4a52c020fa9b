/** Asks the node's cluster-agent, and tells one that is away from one that refuses. */
import type { Answer, Question, Refusal } from '@cni-ts/cluster/agent-talk';
import { UnixSocket } from '@cni-ts/libc/unix-socket';
import { errorText } from '@cni-ts/spec/cni-error';
import { CannotLookError } from '../verb.ts';

/** In milliseconds: the agent asks etcd, of which it gives up after less. */
export const agentPatience = 15_000;
/** Of questions that it answers from what it has in mind. */
export const shortPatience = 2000;

const newline = 10;
/** A hundred thousand blocks with their nodes are less. */
const mostBytes = 64 * 2 ** 20;

/** It is not running, hangs, or is something else. */
export class AgentAwayError extends CannotLookError {}

/** Throws an AgentAwayError. `milliseconds`: how long its answer is waited for. */
export function askAgent<A extends { readonly ok: true }>(
  socket: string,
  question: Question,
  milliseconds = agentPatience,
): Answer<A> {
  let line: string;
  try {
    line = exchange(socket, `${JSON.stringify(question)}\n`, milliseconds);
  } catch (error) {
    throw new AgentAwayError(`cluster-agent does not answer at ${socket}: ${errorText(error)}`);
  }
  const answer = parsed(line);
  if (answer === undefined) {
    throw new AgentAwayError(`what listens at ${socket} is no cluster-agent: it said ${JSON.stringify(line.slice(0, 60))}`);
  }
  return answer as Answer<A>; // reason: the agent of this release answers a question with its own answer
}

export function isRefusal(answer: Answer): answer is Refusal {
  return 'error' in answer;
}

/** The agent's sentence. */
export function refusalText({ error: { message, details } }: Refusal): string {
  return details === undefined || details === '' ? message : `${message}; ${details}`;
}

function exchange(path: string, line: string, milliseconds: number): string {
  const until = performance.now() + milliseconds;
  const socket = UnixSocket.connect(path, Math.min(milliseconds, shortPatience));
  try {
    socket.write(new TextEncoder().encode(line));
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const bytes = socket.read(Math.max(0, until - performance.now()));
      if (bytes === undefined) throw new Error(`no answer came within ${milliseconds / 1000} seconds`);
      if (bytes.length === 0) throw new Error('it ended the connection without an answer');
      const end = bytes.indexOf(newline);
      chunks.push(end < 0 ? bytes : bytes.subarray(0, end));
      length += chunks.at(-1)?.length ?? 0;
      if (end >= 0) return new TextDecoder().decode(joined(chunks, length));
      if (length > mostBytes) throw new Error('its answer has no end');
    }
  } finally {
    socket.close();
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function parsed(line: string): Answer | undefined {
  try {
    const json: unknown = JSON.parse(line);
    return typeof json === 'object' && json !== null && ('ok' in json || 'error' in json)
      ? (json as Answer) // reason: as above
      : undefined;
  } catch {
    return undefined; // which is told as what it is: no agent
  }
}
