/** The program itself as a process of its own, and a plugin that asks it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Answer, Question } from '@cni-ts/cluster/agent-talk';
import { askAt } from './stage.ts';

const program = join(import.meta.dirname, '../src/main.ts');

export class Daemon {
  readonly socket: string;
  #args: readonly string[];
  #child: ChildProcess;
  #ended: Promise<unknown>;
  said = '';

  /** `listener`: the descriptor of a socket that is opened for it, as systemd does. */
  constructor(folder: string, args: readonly string[], listener?: number) {
    this.socket = join(folder, 'agent.sock');
    this.#args = ['--socket', this.socket, '--state', join(folder, 'state'), ...args];
    this.#listener = listener;
    [this.#child, this.#ended] = this.#spawn();
  }
  readonly #listener: number | undefined;

  get pid(): number {
    return this.#child.pid!;
  }

  /** Waits until it answers. */
  async ready(): Promise<this> {
    for (let tries = 0; tries < 400; tries++) {
      if (this.#child.exitCode !== null) break;
      try {
        await askAt(this.socket, { ask: 'status' });
        return this;
      } catch {
        await pause(25); // not yet
      }
    }
    throw new Error(`the agent does not answer: ${this.said}`);
  }

  /** Its status, as after `signal`. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended();
  }

  /** Its status, once it has ended by itself. */
  async ended(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  again(): this {
    [this.#child, this.#ended] = this.#spawn();
    return this;
  }

  signal(signal: 'SIGHUP' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** As the plugin: an agent that is away is tried again. For longer, since a test's machine may be busy beyond measure. */
  async ask<A extends { ok: true }>(question: Question): Promise<Answer<A>> {
    const until = performance.now() + 15_000;
    for (;;) {
      try {
        return await askAt<A>(this.socket, question);
      } catch (error) {
        if (performance.now() > until) throw error;
        await pause(40);
      }
    }
  }

  #spawn(): [ChildProcess, Promise<unknown>] {
    const line = [process.execPath, '--disable-warning=ExperimentalWarning', program, ...this.#args];
    const fds = this.#listener === undefined ? [] : [this.#listener];
    const child = spawn(
      'sh',
      ['-c', `${fds.length > 0 ? 'LISTEN_FDS=1 LISTEN_PID=$$' : ''} exec "$@"`, 'sh', ...line],
      {
        stdio: ['ignore', 'pipe', 'pipe', ...fds],
        env: { PATH: process.env.PATH },
      },
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    }
    return [child, once(child, 'exit')];
  }
}
