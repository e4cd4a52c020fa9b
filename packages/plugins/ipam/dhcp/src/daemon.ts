/** `dhcp daemon`: stays, and keeps the leases of all containers of the node. */
import { EventLoop } from '@cni-ts/libc/event-loop';
import { openFlags, readText, removeFile, writeText } from '@cni-ts/libc/file';
import { tryLockFolder } from '@cni-ts/libc/file-lock';
import { makeFolder } from '@cni-ts/libc/folder';
import { allowManyFiles } from '@cni-ts/libc/open-files';
import { write } from '@cni-ts/skeleton/main';
import { errorText, messageOf } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { type Around, clock, logLine } from './around.ts';
import { DoorKeeper } from './door-keeper.ts';
import { type Flags, readFlags, UsageError, usage } from './flags.ts';
import { IdleCloser } from './idle-closer.ts';
import { LeaseStore } from './lease-store.ts';
import { Leases } from './leases.ts';
import { type OpenListener, openListener } from './listener.ts';
import type { Call } from './rpc-connection.ts';
import { methods } from './rpc-types.ts';

/** Between two looks at the socket and the namespaces' paths; milliseconds. */
const sweepPeriod = 1000;

/** Runs the daemon with the arguments after `daemon`, until a signal ends it. Returns the exit status. */
export async function daemon(args: readonly string[]): Promise<number> {
  let flags: Flags | undefined;
  try {
    flags = readFlags(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`${error.message}\n${usage}`);
    return 2;
  }
  if (!flags) {
    say(usage);
    return 0;
  }
  try {
    await serve(flags);
    return 0;
  } catch (error) {
    log(errorText(error));
    return 1;
  }
}

async function serve(flags: Flags): Promise<void> {
  const loop = new EventLoop((error) => log(errorText(error)));
  // Before anything is made: whom a signal ends that nobody listens for leaves pidfile and socket.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => loop.stop());
  const opened = begin(flags);
  allowManyFiles();
  const store = new LeaseStore(flags.statedir);
  const around: Around = { loop, flags, store, closer: new IdleCloser(loop), now: clock(), log };
  const leases = new Leases(around);
  leases.resume();
  try {
    leases.requireStore();
  } catch (error) {
    // Leases that there are go on.
    log(`${errorText(error)}; no ADD will succeed before that is mended`);
  }
  const door = new DoorKeeper(around, opened, (call) => dispatch(leases, call));
  const sweep = (): void => {
    loop.after(sweepPeriod, sweep);
    door.look();
    leases.sweep();
  };
  loop.after(sweepPeriod, sweep);
  try {
    await loop.run();
  } finally {
    door.close();
    if (flags.pidfile !== '') removeFile(flags.pidfile);
    leases.leave();
  }
}

/** The folder of leases, the socket and the pidfile are this daemon's alone, or it does not start. */
function begin(flags: Flags): OpenListener {
  const { statedir, pidfile } = flags;
  // Kept until the process ends. Two daemons with the same leases would renew and release them behind each other's back.
  const isOurs = failing(`Error opening the folder of leases "${statedir}" (-statedir)`, () => {
    makeFolder(statedir, 0o700);
    return tryLockFolder(statedir) !== undefined;
  });
  const listen = () =>
    failing('Error getting listener', () =>
      openListener(flags.hostprefix + flags.socketpath, process.env, process.pid, isOurs),
    );
  if (!isOurs) {
    // The socket is the plainer reason, where it is that.
    const { listener, own } = listen();
    listener.close();
    own?.remove();
    throw new Error(
      `another daemon has the leases of "${statedir}": stop that one, or give this one a folder of its own by -statedir`,
    );
  }
  if (pidfile === '') return listen();
  // It is there when the socket is.
  const former = textOf(pidfile);
  writePid(pidfile, String(process.pid));
  try {
    return listen();
  } catch (error) {
    if (former === undefined) removeFile(pidfile);
    else writePid(pidfile, former);
    throw error;
  }
}

function textOf(path: string): string | undefined {
  try {
    return readText(path);
  } catch {
    return undefined; // reason: writing says what is wrong with the path
  }
}

function writePid(path: string, text: string): void {
  if (!path.startsWith('/')) throw new Error(`Error writing pidfile "${path}": path not absolute`);
  try {
    writeText(path, text, 0o644, openFlags.writeOnly | openFlags.create | openFlags.truncate);
  } catch (error) {
    throw new Error(`Error writing pidfile "${path}": ${messageOf(error)}`, { cause: error });
  }
}

function dispatch(leases: Leases, call: Call): void {
  try {
    switch (call.method) {
      case methods.allocate:
        leases.allocate(call.args, call);
        break;
      case methods.release:
        leases.release(call.args, call);
        break;
      case methods.check:
        leases.check(call.args, call);
        break;
      case methods.collect:
        leases.collect(call.args, call);
        break;
      case methods.status:
        leases.requireStore();
        call.answer();
        break;
      default:
        call.fail(unknownMethod(call.method));
    }
  } catch (error) {
    call.fail(errorText(error));
  }
}

/** In the words of Go's net/rpc. */
function unknownMethod(method: string): string {
  const dot = method.lastIndexOf('.');
  if (dot < 0) return `rpc: service/method request ill-formed: ${method}`;
  const service = method.slice(0, dot);
  return service === 'DHCP' ? `rpc: can't find method ${method}` : `rpc: can't find service ${method}`;
}

function log(line: string): void {
  say(logLine(line));
}

function say(text: string): void {
  try {
    write(2, text);
  } catch {
    // A log that nobody takes must not end the daemon, and nowhere is left to say it.
  }
}
