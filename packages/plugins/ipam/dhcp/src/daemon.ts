/** `dhcp daemon`: stays, and keeps the leases of all containers of the node. */
import { EventLoop, type Watch } from '@cni-ts/libc/event-loop';
import { openFlags, removeFile, writeText } from '@cni-ts/libc/file';
import { allowManyFiles } from '@cni-ts/libc/open-files';
import type { UnixListener } from '@cni-ts/libc/unix-listener';
import { write } from '@cni-ts/skeleton/main';
import { errorText, messageOf } from '@cni-ts/spec/cni-error';
import { type Around, clock, logLine } from './around.ts';
import { type Flags, readFlags, UsageError, usage } from './flags.ts';
import { IdleCloser } from './idle-closer.ts';
import { LeaseStore } from './lease-store.ts';
import { Leases } from './leases.ts';
import { openListener } from './listener.ts';
import { type Call, RpcConnection } from './rpc-connection.ts';
import { methods } from './rpc-types.ts';

/** A node has some hundred containers, each with a call at a time. */
const mostConnections = 2000;
/** Between two looks at the namespaces' paths, and before connections are taken again after one could not be; ms. */
const sweepPeriod = 1000;
const pauseWithoutDescriptors = 200;

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
  if (flags.pidfile !== '') writePid(flags.pidfile);
  const path = flags.hostprefix + flags.socketpath;
  let listener: UnixListener;
  try {
    listener = openListener(path, process.env, process.pid);
  } catch (error) {
    throw new Error(`Error getting listener: ${messageOf(error)}`, { cause: error });
  }
  allowManyFiles();
  const loop = new EventLoop((error) => log(errorText(error)));
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => loop.stop());
  const store = new LeaseStore(flags.statedir);
  const around: Around = { loop, flags, store, closer: new IdleCloser(loop), now: clock(), log };
  const leases = new Leases(around);
  leases.resume();
  const end = answer(loop, listener, leases);
  const sweep = (): void => {
    loop.after(sweepPeriod, sweep);
    leases.sweep();
  };
  loop.after(sweepPeriod, sweep);
  try {
    await loop.run();
  } finally {
    end();
    removeFile(path);
    if (flags.pidfile !== '') removeFile(flags.pidfile);
    leases.leave();
  }
}

function writePid(path: string): void {
  if (!path.startsWith('/')) throw new Error(`Error writing pidfile "${path}": path not absolute`);
  try {
    writeText(path, String(process.pid), 0o644, openFlags.writeOnly | openFlags.create | openFlags.truncate);
  } catch (error) {
    throw new Error(`Error writing pidfile "${path}": ${messageOf(error)}`, { cause: error });
  }
}

/** Takes connections and serves their calls. Returns what ends that. */
function answer(loop: EventLoop, listener: UnixListener, leases: Leases): () => void {
  const connections = new Set<RpcConnection>();
  const watch: Watch = { fd: listener.fd, readable: accept };
  function accept(): void {
    try {
      const stream = connections.size < mostConnections ? listener.accept() : undefined;
      if (stream) {
        const connection = new RpcConnection(
          loop,
          stream,
          (call) => dispatch(leases, call),
          () => connections.delete(connection),
        );
        connections.add(connection);
        return;
      }
      if (connections.size < mostConnections) return;
    } catch (error) {
      log(`a connection could not be taken: ${errorText(error)}`);
    }
    // Too many, or no descriptors: who waits there would wake us at once, and again.
    loop.unwatch(watch);
    loop.after(pauseWithoutDescriptors, () => loop.watch(watch));
  }
  loop.watch(watch);
  return () => {
    loop.unwatch(watch);
    listener.close();
    for (const connection of [...connections]) connection.close();
  };
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
