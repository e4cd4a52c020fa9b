/** A launcher of a node: calls plugins one after the other in the node's namespaces (launcher.c). */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { compiled } from '@cni-ts/testing/compiled';
import type { Place } from './stage.ts';

export interface LauncherCall {
  readonly verb: 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS';
  readonly id: string;
  /** File of the configuration. */
  readonly config: string;
  readonly args?: string;
  /** A signal to the plugin, so many microseconds after its start; one that stops it, for so many milliseconds. */
  readonly signal?: { readonly number: 9 | 19; readonly after: number; readonly pause: number };
}

export interface LauncherAnswer {
  /** Seconds of the monotonic clock. */
  readonly began: number;
  readonly ended: number;
  /** 128 and the signal's number for one that was killed. */
  readonly status: number;
  readonly output: string;
}

/** The launcher's program: launcher.c. */
export function launcherProgram(): string {
  return compiled('launcher', import.meta.dirname);
}

/** One call at a time; others wait for their turn. */
export class Launcher {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, (answer: LauncherAnswer | undefined) => void>();
  #number = 0;

  constructor(place: Place, program: string, plugin: string, bin: string) {
    const env = { CNI_PATH: bin, CNI_NETNS: '/proc/self/ns/net', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    // Agents and etcd come first: elsewhere each has processors of its own.
    this.#child = place.start('nice', ['-n', '10', program, plugin], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdin?.on('error', () => undefined); // reason: it was killed; its calls end without an answer below
    if (!this.#child.stdout) throw new Error('a launcher without output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const [number = '', began, ended, status, ...output] = line.split('\t');
      const done = this.#waiting.get(number);
      this.#waiting.delete(number);
      done?.({
        began: Number(began) / 1e9,
        ended: Number(ended) / 1e9,
        status: Number(status),
        output: output.join('\t'),
      });
    });
    this.#child.on('exit', () => {
      for (const done of this.#waiting.values()) done(undefined);
      this.#waiting.clear();
    });
  }

  /** undefined where the launcher was killed meanwhile, with its node. */
  call({ verb, id, config, args = '', signal }: LauncherCall): Promise<LauncherAnswer | undefined> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve(undefined);
    const number = String(++this.#number);
    const { number: what = 0, after = 0, pause = 0 } = signal ?? {};
    const words = [number, verb, id, 'eth0', config, args, what, Math.round(after), Math.round(pause)];
    return new Promise((done) => {
      this.#waiting.set(number, done);
      this.#child.stdin?.write(`${words.join('\t')}\n`);
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Stops it, and lets it go on. What it has started is another process. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }
}
