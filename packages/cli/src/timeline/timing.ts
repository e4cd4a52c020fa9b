/** The log of a chain that the tool itself runs: where CNI_LOG asks for it, and for --timing, which reads it back. */
import { openFlags, readText, removeFile, writeText } from '@cni-ts/libc/file';
import type { Environment } from '@cni-ts/libcni/environment';
import { CallLog } from '@cni-ts/skeleton/call-log';
import { errorText } from '@cni-ts/spec/cni-error';
import { drawTraces } from './draw.ts';
import type { Chain } from './logged-executor.ts';
import { type LoggedSpan, readLog } from './read-log.ts';

export interface Timing {
  /** What plugins are run with. */
  readonly env: Environment;
  readonly chain: Chain | undefined;
  /** The chain is over; with --timing its bars are told. */
  end(error?: unknown): void;
}

/** Commands that run the plugins of a network; others are not logged. */
const commands = ['add', 'check', 'del', 'gc', 'status'];

/** `isTimed`: bars are wanted at the end. */
export function timing(
  command: string,
  network: string,
  env: Environment,
  stderr: (text: string) => void,
  isTimed: boolean,
): Timing {
  const asked = env.CNI_LOG ?? '';
  if ((asked === '' && !isTimed) || !commands.includes(command)) {
    return { env, chain: undefined, end: () => undefined };
  }
  const file = asked || temporaryFile(env);
  const about = { ...env, CNI_LOG: file, CNI_COMMAND: command.toUpperCase(), CNI_CONTAINERID: '' };
  const log = new CallLog({ kind: 'chain', plugin: '', env: about, note: stderr }, 'between plugins');
  log.network = network;
  // It has been said, and each plugin would say it again.
  if (!log.isOpen) return { env: { ...env, CNI_LOG: '' }, chain: undefined, end: () => undefined };
  return {
    env: { ...env, CNI_LOG: file },
    chain: { log, env: about, note: stderr },
    end(error) {
      log.end(error);
      if (isTimed) stderr(bars(file, log.traceParent));
      if (asked === '') removeFile(file);
    },
  };
}

function temporaryFile({ TMPDIR }: Environment): string {
  const chance = Math.floor(Math.random() * 2 ** 48).toString(16);
  const path = `${TMPDIR || '/tmp'}/cnitool-timing-${process.pid}-${chance}`;
  writeText(path, '', 0o600, openFlags.writeOnly | openFlags.create | openFlags.exclusive);
  return path;
}

function bars(file: string, traceParent: string): string {
  const [, , spanId = ''] = traceParent.split('-');
  try {
    return drawTraces(within(readLog(readText(file)).spans, spanId));
  } catch (error) {
    return `the times cannot be read: ${errorText(error)}\n`;
  }
}

/** The span and all below it: others may write into the same file. */
function within(all: readonly LoggedSpan[], spanId: string): LoggedSpan[] {
  const inside = new Set([spanId]);
  for (let size = 0; size !== inside.size; ) {
    size = inside.size;
    for (const one of all) if (inside.has(one.parentId ?? '')) inside.add(one.spanId);
  }
  return all.filter((one) => inside.has(one.spanId));
}
