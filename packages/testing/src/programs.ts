/** How the tests run programs to their end, in the calling thread's namespaces. */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ended, endOf, runToEnd, variables } from '@cni-ts/libc/program';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { compiled } from './compiled.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const ipPaths = ['/usr/sbin/ip', '/sbin/ip', '/bin/ip'].filter((path) => existsSync(path));

/** The one that tests start most. */
export const ipProgram = ipPaths[0] ?? 'ip';

/** Its other names: links, mostly. */
const alsoIp: ReadonlySet<string> = new Set(
  ipPaths.filter((path) => realpathSync(path) === realpathSync(ipProgram)),
);

/**
 * Runs a program as `runToEnd` does. In user-mode Linux each new process is at first a copy of the one that starts it, page
 * by page, and Node has many thousands: with CNI_TS_STARTER=1 a small process is asked to start it (starter.c), which
 * takes a third of the time, and `ip` is there already.
 */
export function runProgram(file: string, args: readonly string[], env: Environment, input: string): Ended {
  if (process.env.CNI_TS_STARTER === undefined) return runToEnd(file, args, env, input);
  starter ??= new Starter();
  return starter.run(file, args, env, input);
}

let starter: Starter | undefined;

/** One for a thread, from its first program until the thread's end closes the files. */
class Starter {
  readonly #requests: number;
  readonly #answers: number;
  /** Of the thread, whichever it is in. */
  readonly #namespaces = join('/proc', readlinkSync('/proc/thread-self'), 'ns');

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'cni-starter-'));
    const [requests, answers] = [join(folder, 'requests'), join(folder, 'answers')];
    const { status, stderr } = runToEnd('/usr/bin/mkfifo', [requests, answers], {}, '');
    if (status !== 0) throw new Error(`mkfifo: ${stderr}`);
    const words = [requests, answers, compiled('ready.so'), ipProgram];
    spawn(compiled('starter'), words, { stdio: 'inherit' }).unref();
    this.#requests = openSync(requests, 'w');
    this.#answers = openSync(answers, 'r');
    rmSync(folder, { recursive: true });
  }

  run(file: string, args: readonly string[], env: Environment, input: string): Ended {
    const command = [`${args.length + 1}`, file, ...args, ...variables(env)];
    const program = alsoIp.has(file) ? ipProgram : file;
    const words = [this.#namespaces, process.cwd(), program, ...command];
    const asked = Buffer.from(words.map((word) => `${word}\0`).join(''));
    const given = Buffer.from(input);
    this.#write(Buffer.from(new Uint32Array([asked.length, given.length]).buffer));
    this.#write(asked);
    this.#write(given);
    const [status = 0, out = 0, err = 0] = new Uint32Array(new Uint8Array(this.#read(12)).buffer);
    const [stdout, stderr] = [this.#read(out).toString(), this.#read(err).toString()];
    if (status & 0x80000000) throw new SyscallError('posix_spawn', status & 0x7fffffff);
    return { ...endOf(status), stdout, stderr };
  }

  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#requests, bytes, done);
  }

  #read(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const got = readSync(this.#answers, bytes, done, length - done, null);
      if (got === 0) throw new Error('the starter of programs has ended');
      done += got;
    }
    return bytes;
  }
}
