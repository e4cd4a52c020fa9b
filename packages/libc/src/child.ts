/**
 * Child processes for measurements: started by posix_spawn(3), which shares the parent's memory until the exec instead
 * of copying its page tables, and waited for by poll(2) and wait4(2), all in the calling thread. What is measured is
 * the time from before the spawn to after the wait, and what the kernel booked on the child. Node only.
 */
import { cString, cStrings } from './internal/calls.ts';
import { processCalls } from './internal/process-calls.ts';
import { SyscallError } from './syscall-error.ts';

const O_CLOEXEC = 0x80000;
const POLLIN = 1;
const SIGKILL = 9;
const WNOHANG = 1;
const WALL = 0x40000000;
const PTRACE_CONT = 7n;
const PTRACE_SEIZE = 0x4206n;
const PTRACE_O_TRACEEXIT = 0x40n;
const PTRACE_EVENT_EXIT = 6;

export interface Ended {
  /** Exit status; 128 and the signal's number for a child that a signal ended. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** From before the spawn until it was waited for, in milliseconds. */
  readonly wall: number;
  /** Processor time of the child and the children it waited for, in milliseconds. */
  readonly user: number;
  readonly system: number;
  /** Page faults without and with reading from disk, of the same processes. */
  readonly minorFaults: number;
  readonly majorFaults: number;
}

/** A program, its arguments and its environment, made ready once so that a start costs nothing but the start. */
export class Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly path: Uint8Array;
  readonly argv: ReturnType<typeof cStrings>;
  readonly envp: ReturnType<typeof cStrings>;

  constructor(file: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.file = file;
    this.args = args;
    this.env = env;
    this.path = cString(file);
    this.argv = cStrings([file, ...args]);
    this.envp = cStrings(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  }
}

/** A running child. Its input of up to 64 KiB lies in the pipe before it starts, or is handed over by `give`. */
export class Child {
  readonly pid: number;
  readonly started: number;
  readonly command: Command;
  #pidfd: number;
  #stdin: number;
  #stdout: number;
  #stderr: number;
  #usage = Buffer.alloc(144);

  /** Starts it in the calling thread's namespaces. Without `input`, stdin stays open until `give`. */
  constructor(command: Command, input?: string | Uint8Array) {
    const calls = processCalls();
    const [stdin, stdout, stderr] = [pipe(), pipe(), pipe()];
    if (input !== undefined) feed(stdin.write, input);
    const actions = Buffer.alloc(256); // posix_spawn_file_actions_t has 80 bytes on both processors we ship for
    calls.posix_spawn_file_actions_init(actions);
    calls.posix_spawn_file_actions_adddup2(actions, stdin.read, 0);
    calls.posix_spawn_file_actions_adddup2(actions, stdout.write, 1);
    calls.posix_spawn_file_actions_adddup2(actions, stderr.write, 2);
    const pid = Buffer.alloc(4);
    const { path, argv, envp } = command;
    this.started = performance.now();
    const errno = calls.posix_spawn(pid, path, actions, 0n, argv.array, envp.array);
    calls.posix_spawn_file_actions_destroy(actions);
    for (const fd of [stdin.read, stdout.write, stderr.write]) calls.close(fd);
    if (errno !== 0) {
      for (const fd of [stdin.write, stdout.read, stderr.read]) calls.close(fd);
      throw new Error(
        `${command.file} could not be started: ${new SyscallError('posix_spawn', errno).message}`,
      );
    }
    this.command = command;
    this.pid = pid.readInt32LE(0);
    this.#stdin = input === undefined ? stdin.write : -1;
    if (input !== undefined) calls.close(stdin.write);
    this.#stdout = stdout.read;
    this.#stderr = stderr.read;
    this.#pidfd = calls.pidfd_open(this.pid, 0);
  }

  /** Writes the input and closes stdin. */
  give(input: string | Uint8Array): void {
    feed(this.#stdin, input);
    processCalls().close(this.#stdin);
    this.#stdin = -1;
  }

  /** Waits for the end; after `seconds` it is killed, and that is an error. */
  wait(seconds = 60): Ended {
    const [ended] = Child.waitAny([this], seconds);
    if (!ended) throw new Error('no child'); // reason: one was given
    return ended.ended;
  }

  /** Waits until at least one of them ended, and reaps those that did. After `seconds` all are killed, which is an error;
   *  or they go on, and none is returned. */
  static waitAny(
    children: readonly Child[],
    seconds = 60,
    otherwise: 'kill' | 'go on' = 'kill',
  ): { child: Child; ended: Ended }[] {
    const calls = processCalls();
    const fds = Buffer.alloc(8 * children.length);
    children.forEach((child, at) => {
      fds.writeInt32LE(child.#pidfd, 8 * at);
      fds.writeInt16LE(POLLIN, 8 * at + 4);
    });
    if (calls.poll(fds, BigInt(children.length), Math.round(seconds * 1000)) <= 0) {
      if (otherwise === 'go on') return [];
      for (const child of children) child.kill();
      const who = children.map((child) => child.command.file).join(', ');
      throw new Error(`still running after ${seconds} s, and killed: ${who}`);
    }
    return children
      .filter((_, at) => fds.readInt16LE(8 * at + 6) !== 0)
      .map((child) => ({ child, ended: child.#reap() }));
  }

  /**
   * Traces it so that it is held at the end of its work, with all its memory, by `waitForExit`; to be called while
   * it waits for its input.
   */
  holdAtExit(): void {
    const result = processCalls().ptrace(PTRACE_SEIZE, this.pid, 0n, PTRACE_O_TRACEEXIT);
    if (result !== 0n) throw new Error(`process ${this.pid} could not be traced: is another tracer there?`);
  }

  /** Waits until it is held at its exit, from which it goes on with `release`; false when it is not within `seconds`,
   *  waiting for a lock that another held process has, say. */
  waitForExit(seconds = 60): boolean {
    const calls = processCalls();
    const status = Buffer.alloc(4);
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const pid = calls.wait4(this.pid, status, WALL | WNOHANG, this.#usage);
      if (pid === 0) {
        Atomics.wait(pause, 0, 0, 2);
        continue;
      }
      const value = status.readInt32LE(0);
      if (pid !== this.pid || (value & 0xff) !== 0x7f) {
        throw new Error(`process ${this.pid} ended without being held`);
      }
      if (value >> 16 === PTRACE_EVENT_EXIT) return true;
      calls.ptrace(PTRACE_CONT, this.pid, 0n, BigInt(value >> 16 === 0 ? (value >> 8) & 0xff : 0));
    }
    return false;
  }

  /** Lets a held child end. */
  release(): void {
    processCalls().ptrace(PTRACE_CONT, this.pid, 0n, 0n);
  }

  kill(): void {
    processCalls().kill(this.pid, SIGKILL);
    this.#reap();
  }

  /** Sends a signal; it is waited for as ever. */
  signal(number: number): void {
    processCalls().kill(this.pid, number);
  }

  #reap(): Ended {
    const calls = processCalls();
    const status = Buffer.alloc(4);
    const usage = this.#usage;
    calls.wait4(this.pid, status, WALL, usage);
    const wall = performance.now() - this.started;
    calls.close(this.#pidfd);
    if (this.#stdin !== -1) calls.close(this.#stdin);
    const value = status.readInt32LE(0);
    const time = (at: number) =>
      Number(usage.readBigInt64LE(at)) * 1e3 + Number(usage.readBigInt64LE(at + 8)) / 1e3;
    return {
      status: (value & 0x7f) === 0 ? (value >> 8) & 0xff : 128 + (value & 0x7f),
      stdout: drain(this.#stdout),
      stderr: drain(this.#stderr),
      wall,
      user: time(0),
      system: time(16),
      minorFaults: Number(usage.readBigInt64LE(64)),
      majorFaults: Number(usage.readBigInt64LE(72)),
    };
  }
}

function pipe(): { read: number; write: number } {
  const fds = Buffer.alloc(8);
  if (processCalls().pipe2(fds, O_CLOEXEC) !== 0) throw new Error('no pipe: too many open files');
  return { read: fds.readInt32LE(0), write: fds.readInt32LE(4) };
}

function feed(fd: number, input: string | Uint8Array): void {
  const data = typeof input === 'string' ? Buffer.from(input) : input;
  if (data.length > 65536) throw new Error('an input of more than 64 KiB does not fit into a pipe');
  if (data.length > 0) processCalls().write(fd, data, BigInt(data.length));
}

/** What the ended child left in the pipe. */
function drain(fd: number): string {
  const calls = processCalls();
  const part = Buffer.alloc(65536);
  let text = '';
  for (;;) {
    const length = Number(calls.read(fd, part, 65536n));
    if (length <= 0) break;
    text += part.toString('utf8', 0, length);
    if (length < part.length) break;
  }
  calls.close(fd);
  return text;
}
