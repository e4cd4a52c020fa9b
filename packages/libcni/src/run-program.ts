/** Running one program to its end: all of stdin given, both outputs kept, and how it ended in words. */
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';
import { type Outcome, runPlugin } from '@cni-ts/skeleton/run-plugin';

export interface ProgramOptions {
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** Ends the program with SIGKILL: a plugin that hangs does not listen to politer signals either. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between attempts while the file is being written ("text file busy"). */
  readonly busyPause?: number;
}

const attempts = 6;

/** Never throws for what the program does: a program that cannot be started has ended too. */
export async function runProgram(program: string, options: ProgramOptions): Promise<Outcome> {
  const refused = whyNoEnvironment(options.env) ?? whyNotExecutable(program);
  if (refused !== undefined) return startFailure(program, refused);
  for (let attempt = 1; ; attempt++) {
    if (options.signal?.aborted) return { why: whyAborted(options.signal), stdout: '', stderr: '' };
    const result = await start(program, options).catch(() => {
      // On Bun, execa itself falls over a start that fails at once, and the reason is lost. Most likely it is the
      // one worth waiting for; if not, the last attempt tells.
      return undefined;
    });
    if (result === undefined && attempt === attempts)
      return runPlugin(program, options.env, options.stdin, 0);
    // An installer is replacing the file in place; it will be whole in a moment.
    if (result !== undefined && (result.code !== 'ETXTBSY' || attempt === attempts))
      return outcomeOf(program, result);
    const { setTimeout: pause } = await import('node:timers/promises');
    await pause(options.busyPause ?? 1000, undefined, options.signal && { signal: options.signal }).catch(
      () => {
        // The pause was cut short by the signal; the next round says so.
      },
    );
  }
}

const plain = {
  reject: false,
  stripFinalNewline: false,
  extendEnv: false,
  killSignal: 'SIGKILL',
  forceKillAfterDelay: false,
} as const;

/** What we read of execa's account of a run. */
interface Ended {
  readonly failed: boolean;
  readonly isCanceled: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  /** The errno name when it could not be started. */
  readonly code?: string | undefined;
  readonly originalMessage?: string | undefined;
}

async function start(program: string, { stdin, env, signal }: ProgramOptions): Promise<Ended> {
  const { execa } = await import('execa');
  const given = { input: stdin, env: { ...env }, ...(signal && { cancelSignal: signal }) };
  const running = execa(program, [], { ...plain, ...given });
  const child = running.nodeChildProcess;
  // What the program left behind may hold its outputs open for as long as it likes. Who gave up waiting for the
  // program does not wait for that either.
  const letGo = () => {
    if (!signal?.aborted || (child.exitCode === null && child.signalCode === null)) return;
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  child.once('exit', letGo);
  signal?.addEventListener('abort', letGo);
  try {
    return await running;
  } finally {
    signal?.removeEventListener('abort', letGo);
  }
}

function outcomeOf(program: string, result: Ended): Outcome {
  const { stdout, stderr } = result;
  if (!result.failed) return { why: '', stdout, stderr };
  if (result.signal !== undefined) return { why: `signal: ${signalText(result.signal)}`, stdout, stderr };
  if (result.isCanceled) return { why: 'context canceled', stdout, stderr };
  if (result.exitCode !== undefined) return { why: `exit status ${result.exitCode}`, stdout, stderr };
  return startFailure(
    program,
    startErrors[result.code ?? ''] ?? result.originalMessage ?? 'cannot be started',
  );
}

function startFailure(program: string, why: string): Outcome {
  return { why: `fork/exec ${program}: ${why}`, stdout: '', stderr: '' };
}

function whyAborted(signal: AbortSignal): string {
  const { reason } = signal;
  const late = reason instanceof Error && reason.name === 'TimeoutError';
  return late ? 'context deadline exceeded' : 'context canceled';
}

/** The kernel ends a variable at its first zero byte; Node and Bun throw instead of cutting it short. */
function whyNoEnvironment(env: ProgramOptions['env']): string | undefined {
  return Object.values(env).some((value) => value.includes('\0')) ? 'invalid argument' : undefined;
}

/**
 * execvp(3), which Node starts programs with, hands a file of unknown format to /bin/sh; a damaged plugin would then
 * be run as a script. The kernel itself knows ELF and `#!`.
 */
function whyNotExecutable(program: string): string | undefined {
  const head = Buffer.alloc(4);
  try {
    accessSync(program, constants.X_OK);
    const fd = openSync(program, 'r');
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  } catch {
    // What cannot be executed at all is told by the start itself, and a file may be executable but not readable.
    return undefined;
  }
  const known = head.toString('latin1').startsWith('#!') || head.toString('latin1') === '\x7fELF';
  return known ? undefined : 'exec format error';
}

const startErrors: Readonly<Record<string, string>> = {
  E2BIG: 'argument list too long',
  EACCES: 'permission denied',
  EAGAIN: 'resource temporarily unavailable',
  ENOENT: 'no such file or directory',
  ENOEXEC: 'exec format error',
  ENOMEM: 'cannot allocate memory',
  ETXTBSY: 'text file busy',
};

const signalTexts: Readonly<Record<string, string>> = {
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGHUP: 'hangup',
  SIGILL: 'illegal instruction',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGPIPE: 'broken pipe',
  SIGQUIT: 'quit',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
};

function signalText(signal: string): string {
  return signalTexts[signal] ?? signal;
}
