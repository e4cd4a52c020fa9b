/**
 * firewalld, by its D-Bus interface: each address becomes a source of a zone, by default `trusted`, which accepts.
 *
 * A source is bound twice. At run time, as the reference does, it works at once. In the permanent configuration it
 * survives `firewall-cmd --reload`, which forgets all that was only said at run time, and with it every container's
 * network. Where the configuration cannot be written the first alone must do; that is logged.
 */

import { ErrorReply, type Value } from '@cni-ts/dbus/bus';
import { connectSystemBus } from '@cni-ts/dbus/system-bus';
import { errorText } from '@cni-ts/spec/cni-error';
import { firewalldName } from './firewalld-presence.ts';

const path = '/org/fedoraproject/FirewallD1';

export interface Firewalld {
  /** Adds a source to a zone; false if it is there already. */
  add(zone: string, address: string): boolean;
  /** Takes a source out; that it is not there is fine. Whether it is gone. */
  remove(zone: string, address: string): boolean;
  /** Whether the zone has this source now. */
  has(zone: string, address: string): boolean;
  close(): void;
}

/** Connects to the bus; that firewalld is there shows at the first call. `log` hears what failed without harm. */
export function connectFirewalld(log: (line: string) => void): Firewalld {
  const bus = connectSystemBus();
  try {
    bus.enter();
  } catch (error) {
    bus.close();
    throw error;
  }
  const call = (object: string, part: string, member: string, ...args: string[]): Value =>
    bus.call({ destination: firewalldName, object, interface: `${firewalldName}${part}`, member }, args);
  const zoneCall = (member: string, zone: string, address: string) =>
    call(path, '.zone', member, zone, address);
  const permanently = (member: string, zone: string, address: string) => {
    try {
      const object = call(`${path}/config`, '.config', 'getZoneByName', zone);
      call(String(object), '.config.zone', member, address);
      return true;
    } catch (error) {
      // ALREADY_ENABLED and NOT_ENABLED: it is as it should be.
      if (/ALREADY_ENABLED|NOT_ENABLED|INVALID_ZONE/.test(errorText(error))) return true;
      if (hasNoPermanent(error)) return true;
      const why = errorText(error);
      log(`firewall: ${member} ${address} in the permanent configuration of zone ${zone}: ${why}`);
      return false;
    }
  };
  return {
    add(zone, address) {
      let isNew = true;
      try {
        zoneCall('addSource', zone, address);
      } catch (error) {
        isNew = false;
        if (!errorText(error).includes('ZONE_ALREADY_SET')) {
          const what = `failed to add the address ${address} to ${zone} zone`;
          throw new Error(`${what}: ${errorText(error)}`, { cause: error });
        }
      }
      permanently('addSource', zone, address);
      return isNew;
    },
    remove(zone, address) {
      let gone = true;
      try {
        zoneCall('removeSource', zone, address);
      } catch (error) {
        if (!/UNKNOWN_SOURCE|NOT_ENABLED|ZONE_CONFLICT|INVALID_ZONE/.test(errorText(error))) {
          gone = false;
          log(`firewall: failed to remove the address ${address} from ${zone} zone: ${errorText(error)}`);
        }
      }
      return permanently('removeSource', zone, address) && gone;
    },
    has(zone, address) {
      try {
        return zoneCall('querySource', zone, address) === true;
      } catch (error) {
        const what = `failed to find the address ${address} in ${zone} zone`;
        throw new Error(`${what}: ${errorText(error)}`, { cause: error });
      }
    },
    close: () => bus.close(),
  };
}

/** Whoever answers has no permanent configuration at all. */
function hasNoPermanent(error: unknown): boolean {
  return error instanceof ErrorReply && /\.Error\.Unknown(Object|Interface|Method)$/.test(error.dbusName);
}
