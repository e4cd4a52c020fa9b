/**
 * Whether firewalld runs: whether somebody owns its name on the system bus. Asked at nearly every call on hosts that
 * have a bus and no firewalld, so everything that is said goes out as one piece, and the bus is waited for once.
 */
import { type Bus, busMethod } from '@cni-ts/dbus/bus';
import { connectSystemBus } from '@cni-ts/dbus/system-bus';

export const firewalldName = 'org.fedoraproject.FirewallD1';

const patience = 2000;

/** False also when there is no bus, it refuses us, or does not answer within two seconds. */
export function firewalldRuns(): boolean {
  let bus: Bus | undefined;
  try {
    bus = connectSystemBus(patience);
    // Asking who has a name starts nobody.
    bus.call(busMethod('GetNameOwner'), [firewalldName], patience);
    return true;
  } catch {
    return false; // reason: the bus says so by an error, and whatever keeps us from asking keeps us from firewalld
  } finally {
    bus?.close();
  }
}
