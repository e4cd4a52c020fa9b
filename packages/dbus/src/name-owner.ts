import { type Bus, busMethod } from './bus.ts';
import { connectSystemBus } from './system-bus.ts';

/**
 * Whether somebody owns a name on the system bus, which is how a service says that it runs. False also when there is no
 * bus, it refuses us, or does not answer within `patience` milliseconds. Everything that is said goes out as one piece,
 * and the bus is waited for once.
 */
export function isOwned(name: string, patience: number): boolean {
  let bus: Bus | undefined;
  try {
    bus = connectSystemBus(patience);
    // Asking who has a name starts nobody.
    bus.call(busMethod('GetNameOwner'), [name], patience);
    return true;
  } catch {
    return false; // reason: the bus says so by an error, and whatever keeps us from asking keeps us from the service
  } finally {
    bus?.close();
  }
}
