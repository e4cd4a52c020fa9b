/** For tests: a network of its own in a temporary directory, called as a runtime calls it. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callPlugin } from '@cni-ts/skeleton/dispatch';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { sourceProgram } from '@cni-ts/testing/source-program';

export type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION' | 'PLAN';

export interface Call {
  command: Command;
  /** Container id; the interface is eth0 unless told. */
  id?: string;
  ifname?: string;
  args?: string;
  netns?: string;
  override?: string;
}

export interface Answer {
  status: number;
  stdout: string;
  stderr: string;
  /** stdout as JSON, undefined when there is none. */
  json: {
    code?: number;
    msg?: string;
    details?: string;
    ips?: { address: string; gateway?: string }[];
  } & Record<string, unknown>;
}

/** The reference plugin as Debian packages it. */
export const reference = '/usr/lib/cni/host-local';
/** Folder of the executables, when the tests are to call them instead of the sources. */
const executables = process.env.CNI_TS_EXECUTABLES;
export const hasReference = existsSync(reference);

/** The executable, or the sources where none is to be tested. */
function ours(): [file: string, ...args: string[]] {
  if (executables !== undefined) return [join(executables, 'host-local')];
  return sourceProgram(join(import.meta.dirname, 'main-with-index.ts'));
}

export class TrialNetwork implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'host-local-'));
  readonly dataDir = join(this.root, 'networks');
  readonly directory = join(this.dataDir, 'net');
  readonly indexFolder = join(this.root, 'index');
  /** Everything of the configuration but name, type and dataDir. */
  ipam: Record<string, unknown>;
  rest: Record<string, unknown>;

  constructor(ipam: Record<string, unknown>, rest: Record<string, unknown> = {}) {
    this.ipam = ipam;
    this.rest = rest;
  }

  get config(): string {
    return JSON.stringify({
      cniVersion: '1.0.0',
      name: 'net',
      type: 'bridge',
      ipam: { type: 'host-local', dataDir: this.dataDir, ...this.ipam },
      ...this.rest,
    });
  }

  /** In this thread, or by the executable where those are to be tested. */
  async call(plugin: Plugin, call: Call, config = this.config): Promise<Answer> {
    if (executables !== undefined)
      return this.execute(join(executables, 'host-local'), [], call, config).ended;
    let stdout = '';
    let stderr = '';
    const status = await callPlugin(plugin, {
      env: environment(call),
      readStdin: () => config,
      writeStdout: (text) => {
        stdout += text;
      },
      writeStderr: (text) => {
        stderr += text;
      },
    });
    return answer(status, stdout, stderr);
  }

  /** As a process: this plugin, with an index, or the reference. */
  start(program: 'ours' | 'reference', call: Call, config = this.config) {
    const [file, ...args] = program === 'reference' ? [reference] : ours();
    return this.execute(file, args, call, config);
  }

  private execute(file: string, args: readonly string[], call: Call, config: string) {
    let settle: (answer: Answer) => void;
    const ended = new Promise<Answer>((resolve) => {
      settle = resolve;
    });
    const env = { ...environment(call), INDEX_FOLDER: this.indexFolder };
    const child = execFile(file, args, { env, cwd: import.meta.dirname }, (error, stdout, stderr) => {
      settle(answer(error ? Number(error.code ?? -1) : 0, stdout, stderr));
    });
    child.stdin?.on('error', () => {}); // killed before it read everything: what some tests are about
    child.stdin?.end(config);
    return { child, ended };
  }

  run(program: 'ours' | 'reference', call: Call): Promise<Answer> {
    return this.start(program, call).ended;
  }

  write(name: string, content: string): void {
    mkdirSync(this.directory, { recursive: true });
    writeFileSync(join(this.directory, name), content);
  }

  read(name: string): string {
    return readFileSync(join(this.directory, name), 'latin1');
  }

  has(name: string): boolean {
    return existsSync(join(this.directory, name));
  }

  /** The addresses that have a file, sorted. */
  get reserved(): string[] {
    return readdirSync(this.directory)
      .filter((name) => /^[0-9a-f:.]+$/.test(name))
      .sort();
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

function environment({ command, id = 'c1', ifname = 'eth0', args = '', netns = '/nowhere', override }: Call) {
  return {
    PATH: process.env.PATH,
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_IFNAME: ifname,
    CNI_NETNS: netns,
    CNI_PATH: '/nowhere',
    CNI_ARGS: args,
    ...(override !== undefined && { CNI_NETNS_OVERRIDE: override }),
  };
}

function answer(status: number, stdout: string, stderr: string): Answer {
  // Tests look at the members they expect, and fail when they are not there.
  const json = stdout.startsWith('{') ? (JSON.parse(stdout) as Answer['json']) : {};
  return { status, stdout, stderr, json };
}
