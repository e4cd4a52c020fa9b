/** An agent that says what it is told to, in a process of its own: the tool blocks while it waits for one. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FakeAgent {
  readonly socket: string;
  /** All that it was asked, in order. */
  asked(): Record<string, unknown>[];
  /** From now on, instead of what it said before. */
  says(answers: Record<string, unknown>): void;
  stop(): void;
}

const program = `
const { createServer } = require('node:net');
const { appendFileSync, readFileSync } = require('node:fs');
const [socket, answers, log] = process.argv.slice(1);
createServer((c) => {
  let text = '';
  c.on('error', () => {});
  c.on('data', (bytes) => {
    text += bytes;
    if (!text.includes('\\n')) return;
    const question = JSON.parse(text);
    appendFileSync(log, text);
    const answer = JSON.parse(readFileSync(answers, 'utf8'))[question.ask];
    if (answer === undefined) return c.destroy();
    if (answer !== 'nothing') c.end(JSON.stringify(answer) + '\\n');
  });
}).listen(socket, () => console.log('listens'));
`;

/** `answers`: by what is asked. 'nothing' is a silence; without an answer the connection ends. */
export async function fakeAgent(folder: string, answers: Record<string, unknown>): Promise<FakeAgent> {
  const [socket, said, log] = ['cluster.sock', 'answers.json', 'asked.jsonl'].map((one) =>
    join(folder, one),
  ) as [string, string, string];
  writeFileSync(said, JSON.stringify(answers));
  const child = spawn(process.execPath, ['-e', program, socket, said, log]);
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('the fake agent did not start')));
  });
  return {
    socket,
    asked: () =>
      existsSync(log)
        ? readFileSync(log, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [],
    says: (more) => writeFileSync(said, JSON.stringify(more)),
    stop: () => void child.kill('SIGKILL'),
  };
}
