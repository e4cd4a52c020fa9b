/** Running one program to its end: all of stdin given, both outputs kept, and how it ended in words. */
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';
import { type Outcome, startFailure } from '@cni-ts/invoke/run-plugin';
import { signalText } from '@cni-ts/invoke/signal-text';
import { errnoText } from '@cni-ts/libc/errno';
import { calledOff, unfitEnvironment } from './refusal.ts';

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
  if (unfitEnvironment(options.env)) return startFailure(program, 'EINVAL');
  if (!isExecutableFormat(program)) return startFailure(program, 'ENOEXEC');
  for (let attempt = 1; ; attempt++) {
    if (options.signal?.aborted) return calledOff(options.signal);
    const result = await start(program, options);
    if (result.code !== 'ETXTBSY' || attempt === attempts) return outcomeOf(program, result);
    // An installer is replacing the file in place; it will be whole in a moment.
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
  // A code that is no errno is Node's own refusal, of which the message says more.
  const { code = '', originalMessage = 'cannot be started' } = result;
  return startFailure(program, errnoText(code) === code ? originalMessage : code);
}

/**
 * execvp(3), which Node starts programs with, hands a file of unknown format to /bin/sh; a damaged plugin would then
 * be run as a script. The kernel itself knows ELF and `#!`.
 */
function isExecutableFormat(program: string): boolean {
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
    return true;
  }
  return head.toString('latin1').startsWith('#!') || head.toString('latin1') === '\x7fELF';
}
