/** Other programs, run to their end in the calling thread's namespaces, by posix_spawn(3). */
import { textOf } from './file.ts';
import { cString, cStrings, libc } from './internal/calls.ts';
import { askedToStop } from './interruption.ts';
import { sleep } from './process.ts';
import { signalName, signalNumber } from './signal.ts';
import { SyscallError } from './syscall-error.ts';

const O_CLOEXEC = 0o2000000;
const EINTR = 4;
const EFBIG = 27;
const EPIPE = 32;
const POLLIN = 1;
const POLLOUT = 4;
/** A pipe that poll(2) calls writable takes this much without blocking. */
const PIPE_BUF = 4096;
const POSIX_SPAWN_SETSIGDEF = 4;
const WNOHANG = 1;
const SIGKILL = 9;
const SIGPIPE = 13;
const SIGXFSZ = 25;
/** A program that undoes something after a signal may take this long … */
const patienceMs = 10_000;
/** … and one that is asked to stop by it this long. */
const graceMs = 5000;
/** How long between two looks whether one with a limit has ended. */
const pauseMicroseconds = 2000;
/** More than any plugin prints. */
const mostOutput = 64 * 2 ** 20;

/** Milliseconds that a program may run whose caller says nothing; undefined: as long as it takes. */
let usualLimit: number | undefined;

/** From now on a program that `runToEnd` starts without a limit of its own is killed when it has not ended after so many
 *  milliseconds: for who only looks, and must come to an end. Undefined: none is, which it is at first. */
export function endProgramsAfter(milliseconds: number | undefined): void {
  usualLimit = milliseconds;
}

/** How a program ended, and what it wrote until then. */
export interface Ended {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  /** Its name, as in SIGKILL. */
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the program in `file` with this input, and these arguments and environment only. The file must be of a format
 * that the kernel knows. A signal that asks the process to stop is passed on, and a program that does not end after that
 * is killed; so is one that has not ended after `limitMs` milliseconds, where that is given. Throws a SyscallError
 * (posix_spawn) when it cannot be started: ENOENT, EACCES, ENOEXEC, ETXTBSY, E2BIG …
 */
export function runToEnd(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  input: string,
  limitMs: number | undefined = usualLimit,
): Ended {
  const [stdin, stdout, stderr] = [pipe(), pipe(), pipe()];
  const ours = [stdin.write, stdout.read, stderr.read];
  const theirs = [stdin.read, stdout.write, stderr.write];
  try {
    let pid: number;
    try {
      pid = start(file, [file, ...args], variables(env), theirs);
    } finally {
      for (const fd of theirs.splice(0)) libc().close(fd);
    }
    const child = new Child(pid, limitMs);
    const [out, err] = talk(ours, new TextEncoder().encode(input), child);
    return { ...child.wait(), stdout: out, stderr: err };
  } finally {
    for (const fd of ours) if (fd >= 0) libc().close(fd);
  }
}

/** As a program gets them: `NAME=value`, those that are undefined left out. */
export function variables(env: Readonly<Record<string, string | undefined>>): string[] {
  const list: string[] = [];
  for (const name of Object.keys(env)) if (env[name] !== undefined) list.push(`${name}=${env[name]}`);
  return list;
}

function pipe(): { read: number; write: number } {
  const fds = new Int32Array(2);
  if (libc().pipe2(new Uint8Array(fds.buffer), O_CLOEXEC) !== 0) throw failed('pipe2');
  return { read: fds[0] ?? -1, write: fds[1] ?? -1 };
}

/** Returns the process's number. `fds` become its standard input, output and error. */
function start(file: string, argv: readonly string[], envp: readonly string[], fds: number[]): number {
  const calls = libc();
  // What glibc and musl need for these on the processors we know: 80 and 336 bytes.
  const [actions, attributes] = [new Uint8Array(256), new Uint8Array(512)];
  calls.posix_spawn_file_actions_init(actions);
  calls.posix_spawnattr_init(attributes);
  try {
    fds.forEach((fd, to) => void calls.posix_spawn_file_actions_adddup2(actions, fd, to));
    // A runtime of JavaScript ignores SIGPIPE, ours SIGXFSZ as well, and a program inherits what is ignored.
    const signals = new Uint8Array(128);
    for (const signal of [SIGPIPE, SIGXFSZ]) signals[(signal - 1) >> 3] = 1 << ((signal - 1) & 7);
    calls.posix_spawnattr_setsigdefault(attributes, signals);
    calls.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF);
    const pid = new Int32Array(1);
    const [args, env] = [cStrings(argv), cStrings(envp)];
    const errno = calls.posix_spawn(
      new Uint8Array(pid.buffer),
      cString(file),
      actions,
      attributes,
      args.array,
      env.array,
    );
    if (errno !== 0) throw new SyscallError('posix_spawn', errno);
    return pid[0] ?? -1;
  } finally {
    calls.posix_spawn_file_actions_destroy(actions);
    calls.posix_spawnattr_destroy(attributes);
  }
}

/** Writes the input and reads both outputs until the program, and whatever it left behind, has closed them; after a
 *  signal until the program has ended. */
function talk(fds: number[], input: Uint8Array, child: Child): [stdout: string, stderr: string] {
  const texts: [Parts, Parts] = [new Parts(), new Parts()];
  const asked = new Uint8Array(3 * 8);
  const view = new DataView(asked.buffer);
  let rest = input;
  const close = (which: number) => {
    libc().close(fds[which] ?? -1);
    fds[which] = -1;
  };
  if (rest.length === 0) close(0);
  while (fds[0] !== -1 || fds[1] !== -1 || fds[2] !== -1) {
    // struct pollfd: descriptor (-1: none), events asked for, events that came
    fds.forEach((fd, at) => {
      view.setInt32(at * 8, fd, true);
      view.setUint32(at * 8 + 4, at === 0 ? POLLOUT : POLLIN, true);
    });
    const ready = libc().poll(asked, 3, child.ended ? 0 : child.patience());
    if (ready === 0 && child.ended) break; // what it left behind may go on for long
    if (ready === 0) {
      child.kill();
      continue;
    }
    if (ready < 0) {
      if (libc().errno() !== EINTR) throw failed('poll');
      child.passSignalOn();
      continue;
    }
    if (view.getUint16(6, true) !== 0) {
      const done = libc().write(fds[0] ?? -1, rest, Math.min(rest.length, PIPE_BUF));
      if (done >= 0) rest = rest.subarray(done);
      // A program need not read its input: its status says what it makes of that.
      else if (libc().errno() === EPIPE) rest = rest.subarray(rest.length);
      else if (libc().errno() !== EINTR) throw failed('write');
      if (rest.length === 0) close(0);
    }
    for (const which of [1, 2] as const) {
      if (view.getUint16(which * 8 + 6, true) === 0) continue;
      if (!texts[which === 1 ? 0 : 1].read(fds[which] ?? -1)) close(which);
    }
  }
  return [texts[0].text(), texts[1].text()];
}

/** What comes out of a pipe, piece by piece. */
class Parts {
  #bytes = new Uint8Array(4096);
  #length = 0;

  /** False at the end. */
  read(fd: number): boolean {
    if (this.#length === this.#bytes.length) {
      if (this.#length > mostOutput) throw new SyscallError('read', EFBIG);
      const grown = new Uint8Array(this.#bytes.length * 4);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    const room = this.#bytes.subarray(this.#length);
    const got = libc().read(fd, room, room.length);
    if (got < 0 && libc().errno() !== EINTR) throw failed('read');
    if (got > 0) this.#length += got;
    return got !== 0;
  }

  text(): string {
    return textOf(this.#bytes.subarray(0, this.#length));
  }
}

/** A program that runs, and what becomes of it when we are asked to stop. */
class Child {
  readonly #pid: number;
  /** When a program that was asked to stop is killed. */
  #until: number | undefined;
  #killed = false;
  /** As waitpid(2) has it, once it was waited for. */
  #status: number | undefined;
  /** When it is killed although nobody is asked to stop. */
  readonly #limit: number | undefined;

  constructor(pid: number, limitMs: number | undefined) {
    this.#pid = pid;
    if (limitMs !== undefined) this.#limit = performance.now() + limitMs;
  }

  /** Milliseconds it may go on, -1 for as long as it takes. */
  patience(): number {
    return this.#limit === undefined ? -1 : Math.max(0, Math.ceil(this.#limit - performance.now()));
  }

  /** Ends it, and waits until it has ended. */
  kill(): void {
    libc().kill(this.#pid, SIGKILL);
    while (!this.#reap(0));
  }

  get ended(): boolean {
    return this.#status !== undefined;
  }

  /** To be called when a system call said EINTR, which from the signal on comes every 50 ms (packages/engine). */
  passSignalOn(): void {
    if (this.#until === undefined) {
      const signal = askedToStop(patienceMs);
      if (signal === undefined) return;
      this.#until = performance.now() + graceMs;
      libc().kill(this.#pid, signalNumber(signal));
    } else if (!this.#reap(WNOHANG) && !this.#killed && performance.now() > this.#until) {
      this.#killed = true;
      libc().kill(this.#pid, SIGKILL);
    }
  }

  /** Whether it has ended. */
  #reap(options: number): boolean {
    if (this.#status !== undefined) return true;
    const status = new Int32Array(1);
    const pid = libc().waitpid(this.#pid, new Uint8Array(status.buffer), options);
    if (pid < 0 && libc().errno() !== EINTR) throw failed('waitpid');
    if (pid > 0) this.#status = status[0] ?? 0;
    return pid > 0;
  }

  wait(): { status: number | undefined; signal: string | undefined } {
    while (!this.#reap(this.#limit === undefined ? 0 : WNOHANG)) {
      this.passSignalOn();
      // One that has closed its outputs tells nothing when it ends.
      if (this.patience() === 0) this.kill();
      else if (this.#limit !== undefined) sleep(pauseMicroseconds);
    }
    return endOf(this.#status ?? 0);
  }
}

/** What waitpid(2)'s status says of a program that has ended. */
export function endOf(waited: number): Pick<Ended, 'status' | 'signal'> {
  const signal = waited & 0x7f;
  return signal === 0
    ? { status: (waited >> 8) & 0xff, signal: undefined }
    : { status: undefined, signal: signalName(signal) };
}

function failed(call: string): SyscallError {
  return new SyscallError(call, libc().errno());
}
