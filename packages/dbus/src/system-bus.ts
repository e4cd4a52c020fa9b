import { SyscallError } from '@cni-ts/libc/syscall-error';
import { Bus } from './bus.ts';

/**
 * Connects to the system bus: to the first of its addresses where somebody listens, as libdbus does. Throws in the
 * reference's words, which name the socket, what is wrong with the first of them.
 * `patience`: milliseconds that each is waited for.
 */
export function connectSystemBus(patience?: number): Bus {
  const addresses = process.env.DBUS_SYSTEM_BUS_ADDRESS || 'unix:path=/var/run/dbus/system_bus_socket';
  let failure: unknown;
  for (const path of addresses.split(';').flatMap(pathsOf)) {
    try {
      return Bus.connect(path, patience);
    } catch (error) {
      failure ??= dialError(path, error);
    }
  }
  throw failure ?? new Error(`DBUS_SYSTEM_BUS_ADDRESS names no socket of this machine: "${addresses}"`);
}

/**
 * The socket of one address, or none: D-Bus specification, "Server Addresses". What starts with a NUL is abstract.
 * Values are percent-encoded.
 */
function pathsOf(address: string): string[] {
  const [transport, parameters = ''] = address.split(/:(.*)/s);
  if (transport !== 'unix') return [];
  for (const parameter of parameters.split(',')) {
    const [key, value = ''] = parameter.split('=');
    if (value === '' || (key !== 'path' && key !== 'abstract')) continue;
    try {
      return [(key === 'path' ? '' : '\0') + decodeURIComponent(value)];
    } catch {
      return []; // reason: nobody can tell what a broken encoding stands for
    }
  }
  return [];
}

function dialError(path: string, error: unknown): unknown {
  if (!(error instanceof SyscallError)) return error;
  const name = path.replace(/^\0/, '@');
  return new Error(`dial unix ${name}: ${error.call}: ${error.message}`, { cause: error });
}
