/** For tests: a folder of plugins that write down how they were called and answer what they were told to. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeProgram } from './shell.ts';

export interface RecordedCall {
  readonly plugin: string;
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** stdin as JSON. */
  readonly request: Readonly<Record<string, unknown>>;
}

export interface Answer {
  /** Anything but a string is printed as JSON. */
  readonly stdout?: unknown;
  readonly stderr?: string;
  readonly status?: number;
  /** Shell commands to run before answering. */
  readonly first?: string;
}

export class RecordingPlugins {
  /** A fresh folder of the test's own; plugins are in `bin` below it. */
  readonly dir: string = mkdtempSync(join(tmpdir(), 'cni-recording-'));
  readonly path: readonly string[] = [join(this.dir, 'bin')];

  constructor(...names: string[]) {
    for (const folder of ['bin', 'calls', 'answers']) mkdirSync(join(this.dir, folder));
    for (const name of names) this.install(name);
  }

  install(name: string): void {
    writeProgram(join(this.dir, 'bin', name), script(this.dir));
  }

  /** Unless told otherwise a plugin answers every command with success and no output. */
  answer(
    plugin: string,
    command: string,
    { stdout = '', stderr = '', status = 0, first = '' }: Answer,
  ): void {
    const printed = typeof stdout === 'string' ? stdout : JSON.stringify(stdout);
    const lines = [
      first,
      `printf %s ${quoted(printed)}`,
      `printf %s ${quoted(stderr)} >&2`,
      `exit ${status}`,
    ];
    writeFileSync(join(this.dir, 'answers', `${plugin}.${command}`), `${lines.join('\n')}\n`);
  }

  /** All calls so far, oldest first. */
  calls(): RecordedCall[] {
    return this.#log().map(([plugin = '', command = '', id = '']) => {
      const stdin = readFileSync(join(this.dir, 'calls', `${id}.stdin`), 'utf8');
      const env = readFileSync(join(this.dir, 'calls', `${id}.env`), 'utf8');
      const variables = env.split('\0').flatMap((line) => (line === '' ? [] : [splitOnce(line)]));
      return { plugin, command, stdin, env: Object.fromEntries(variables), request: parsed(stdin) };
    });
  }

  /** The same in short, `p1 ADD`; forgets the calls, so that a test can look at one operation at a time. */
  taken(): string[] {
    const short = this.#log().map(([plugin, command]) => `${plugin} ${command}`);
    rmSync(join(this.dir, 'calls', 'log'), { force: true });
    return short;
  }

  remove(): void {
    rmSync(this.dir, { recursive: true });
  }

  #log(): string[][] {
    try {
      const text = readFileSync(join(this.dir, 'calls', 'log'), 'utf8');
      return text
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' '));
    } catch {
      return []; // no plugin has been called
    }
  }
}

function script(dir: string): string {
  return `#!/bin/sh
me=\${0##*/}
echo "$me $CNI_COMMAND $$" >> ${dir}/calls/log
cat > ${dir}/calls/$$.stdin
env -0 > ${dir}/calls/$$.env
answer=${dir}/answers/$me.$CNI_COMMAND
[ -f "$answer" ] && . "$answer"
exit 0
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

function parsed(stdin: string): Record<string, unknown> {
  return JSON.parse(stdin) as Record<string, unknown>; // every request is an object
}
