/** What went wrong, with all that is needed to see it again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Call, searchPath } from './host.ts';

export class Report {
  readonly seed: number;
  readonly #folder: string;
  #passed = 0;
  #failed = 0;
  #written = 0;

  /** `folder` gets a file for each failure. */
  constructor(seed: number, folder: string) {
    this.seed = seed;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  get counts(): { passed: number; failed: number } {
    return { passed: this.#passed, failed: this.#failed };
  }

  pass(times = 1): void {
    this.#passed += times;
  }

  /** `what` is a sentence; `calls` led to it, the last one last. */
  fail(phase: string, index: number, what: string, calls: readonly Call[]): void {
    const { verb = '', type = '' } = calls.at(-1) ?? {};
    this.#failed++;
    const name = `${phase}-${index}-${this.#failed}`;
    const where = this.#written < 200 ? ` (${join(this.#folder, `${name}.sh`)})` : '';
    if (where !== '') {
      this.#written++;
      this.#write(name, what, calls);
    }
    say(`FAILED: seed ${this.seed}, ${phase} ${index}: ${type} ${verb}: ${what}${where}`);
  }

  #write(name: string, what: string, calls: readonly Call[]): void {
    const lines = calls.map(({ verb, type, env, stdin, through }, at) => {
      const input = join(this.#folder, `${name}-${at}-${verb}.stdin`);
      writeFileSync(input, stdin);
      const words = Object.entries({ PATH: searchPath, ...env }).map(
        ([key, value]) => `${key}=${quoted(value)}`,
      );
      const run = through === undefined ? `"$BIN"/${type}` : `/bin/sh -c ${quoted(through)} "$BIN"/${type}`;
      return `env -i ${words.join(' ')} \\\n  ${run} <${quoted(input)}; echo "${verb}: exit status $?"`;
    });
    const about = what.split('\n').map((line) => `# ${line}`);
    const text = ['#!/bin/bash', ...about, '# BIN: the folder of the executables', ...lines, ''].join('\n');
    writeFileSync(join(this.#folder, `${name}.sh`), text);
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
