/** How what is tried is called: the agent's command line, and what it is asked over its socket. */
import { connect } from 'node:net';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../..');

export interface AgentOptions {
  readonly node: string;
  readonly endpoints: readonly string[];
  /** More of its options. */
  readonly more?: readonly string[];
}

/** Its folder of state and its socket are where they are without being told: each node has mounts of its own. */
export function agentCommand({ node, endpoints, more = [] }: AgentOptions): string[] {
  return [
    ...[process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'dist/js/cluster-agent.js')],
    ...['--node', node, '--endpoints', endpoints.join(',')],
    ...more,
  ];
}

/** Asks a node's agent one question; rejects where it is away or takes longer than `seconds`. */
export function askAgent(socket: string, question: object, seconds = 10): Promise<Record<string, unknown>> {
  return new Promise((done, fail) => {
    const connection = connect(socket);
    const end = setTimeout(() => connection.destroy(new Error(`no answer in ${seconds} s`)), seconds * 1000);
    let text = '';
    connection.on('data', (part) => {
      text += part;
      if (!text.includes('\n')) return;
      clearTimeout(end);
      connection.end();
      try {
        done(JSON.parse(text) as Record<string, unknown>); // reason: the agent answers with one object a line
      } catch (error) {
        fail(error);
      }
    });
    connection.on('close', () => {
      clearTimeout(end);
      fail(new Error('the agent closed the connection without an answer'));
    });
    connection.on('error', fail);
    connection.write(`${JSON.stringify(question)}\n`);
  });
}
