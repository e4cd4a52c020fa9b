/** A question to the node's agent, by a plugin: asked by system calls that wait, and answered within a time or not at all. */
import { waitOn } from '@cni-ts/libc/interruption';
import { sleep } from '@cni-ts/libc/process';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { UnixSocket } from '@cni-ts/libc/unix-socket';
import { CniError, ErrorCode, messageOf } from '@cni-ts/spec/cni-error';
import { type Question, type Refusal, refusalError } from './agent-talk.ts';

export const howToStartAgent =
  'start it: "systemctl start cluster-agent"; what ended it stands in its log ("journalctl -u cluster-agent")';

/** How long an agent that is not there may take to come: it is restarted for an update, say, on a busy machine. */
const longestAwayMs = 1600;
const betweenTriesMs = 40;
/** No answer has as much. */
const longestAnswer = 4 * 2 ** 20;
/** Who is told something that needs no answer does not wait. */
const hintMs = 20;

/**
 * The agent's answer. `until`: by the clock of performance.now(). An agent that is not there, or goes away before it has
 * answered, is tried again for 1.6 seconds. Throws its refusal as CniError; CniError 11 where it is away, or says nothing in
 * time.
 */
export function askAgent<A extends { readonly ok: true }>(
  socket: string,
  question: Question,
  until: number,
): A {
  const away = Math.min(until, performance.now() + longestAwayMs);
  for (;;) {
    let text: string;
    try {
      text = exchange(socket, question, until);
    } catch (error) {
      if (!isAway(error)) throw error;
      if (performance.now() + betweenTriesMs >= away) throw agentAway(socket, error);
      sleep(betweenTriesMs * 1000);
      waitOn(`cluster-agent at ${socket}`);
      continue;
    }
    return answerIn<A>(text, socket);
  }
}

/** Tells the agent something. Nothing depends on whether it hears it. */
export function hintAgent(socket: string, question: Question): void {
  try {
    const connection = UnixSocket.connect(socket, hintMs);
    try {
      connection.write(lineOf(question));
    } finally {
      connection.close();
    }
  } catch {
    // The agent is away or busy. Who needs it asks, and says so.
  }
}

function exchange(socket: string, question: Question, until: number): string {
  const left = () => Math.max(1, Math.ceil(until - performance.now()));
  const connection = UnixSocket.connect(socket, left());
  try {
    connection.write(lineOf(question));
    const decoder = new TextDecoder();
    let text = '';
    while (!text.includes('\n')) {
      const part = performance.now() < until ? connection.read(left()) : undefined;
      if (part === undefined) throw silent(socket);
      if (part.length === 0) throw new Gone('it closed the connection before it had answered');
      text += decoder.decode(part, { stream: true });
      if (text.length > longestAnswer) throw strange(socket, 'an answer without an end');
    }
    return text.slice(0, text.indexOf('\n'));
  } finally {
    connection.close();
  }
}

/** The agent ended meanwhile. */
class Gone extends Error {}

function isAway(error: unknown): boolean {
  if (error instanceof Gone) return true;
  return ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(errnoOf(error) ?? '');
}

function lineOf(question: Question): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(question)}\n`);
}

function answerIn<A extends { readonly ok: true }>(text: string, socket: string): A {
  let json: { readonly ok?: unknown; readonly error?: Refusal['error'] } | null;
  try {
    json = JSON.parse(text);
  } catch {
    throw strange(socket, JSON.stringify(text.slice(0, 60)));
  }
  if (json?.error) throw refusalError({ error: json.error });
  if (json?.ok !== true) throw strange(socket, JSON.stringify(text.slice(0, 60)));
  return json as unknown as A; // reason: what an agent that answers "ok" says beside it is decided in agent-talk.ts
}

function agentAway(socket: string, cause: unknown): CniError {
  return new CniError(
    ErrorCode.tryAgainLater,
    `cluster-agent is away: ${socket}: ${messageOf(cause)}`,
    howToStartAgent,
    { cause },
  );
}

function silent(socket: string): CniError {
  return new CniError(
    ErrorCode.tryAgainLater,
    `cluster-agent at ${socket} has not answered in time`,
    'etcd may be out of its reach: its log ("journalctl -u cluster-agent") says so; try again',
  );
}

function strange(socket: string, said: string): CniError {
  return new CniError(
    ErrorCode.internal,
    `what answers at ${socket} is no cluster-agent: it said ${said}`,
    'see who listens there ("ss -xlp"), or name the agent’s socket in ipam.agentSocket',
  );
}
