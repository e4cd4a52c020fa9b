/**
 * firewalld, by its D-Bus interface: each address becomes a source of a zone, by default `trusted`, which accepts.
 *
 * A source is bound twice. At run time, as the reference does, it works at once. In the permanent configuration it
 * survives `firewall-cmd --reload`, which forgets all that was only said at run time, and with it every container's
 * network. Where the configuration cannot be written the first alone must do; that is logged.
 */
import { errnoText } from '@cni-ts/libc/errno';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { errorText } from '@cni-ts/skeleton/cni-error';
import { systemBusAddress, systemBusPath } from './bus-address.ts';
import { firewalldName } from './firewalld-presence.ts';

const path = '/org/fedoraproject/FirewallD1';

export interface Firewalld {
  /** Adds a source to a zone. It may be there already. */
  add(zone: string, address: string): Promise<void>;
  /** Takes a source out; that it is not there is fine. Whether it is gone. */
  remove(zone: string, address: string): Promise<boolean>;
  /** Whether the zone has this source now. */
  has(zone: string, address: string): Promise<boolean>;
  close(): void;
}

type Call = (object: string, part: string, member: string, ...body: string[]) => Promise<unknown>;

/** Connects to the bus; that firewalld is there shows at the first call. `log` hears what failed without harm. */
export async function connectFirewalld(log: (line: string) => void): Promise<Firewalld> {
  const { call, close } = await connect();
  const zoneCall = (member: string, zone: string, address: string) =>
    call(path, '.zone', member, zone, address);
  const permanently = async (member: string, zone: string, address: string) => {
    try {
      const object = await call(`${path}/config`, '.config', 'getZoneByName', zone);
      await call(String(object), '.config.zone', member, address);
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
    async add(zone, address) {
      try {
        await zoneCall('addSource', zone, address);
      } catch (error) {
        if (!errorText(error).includes('ZONE_ALREADY_SET')) {
          const what = `failed to add the address ${address} to ${zone} zone`;
          throw new Error(`${what}: ${errorText(error)}`, { cause: error });
        }
      }
      await permanently('addSource', zone, address);
    },
    async remove(zone, address) {
      let gone = true;
      try {
        await zoneCall('removeSource', zone, address);
      } catch (error) {
        if (!/UNKNOWN_SOURCE|NOT_ENABLED|ZONE_CONFLICT|INVALID_ZONE/.test(errorText(error))) {
          gone = false;
          log(`firewall: failed to remove the address ${address} from ${zone} zone: ${errorText(error)}`);
        }
      }
      return (await permanently('removeSource', zone, address)) && gone;
    },
    async has(zone, address) {
      try {
        return (await zoneCall('querySource', zone, address)) === true;
      } catch (error) {
        const what = `failed to find the address ${address} in ${zone} zone`;
        throw new Error(`${what}: ${errorText(error)}`, { cause: error });
      }
    },
    close,
  };
}

/** Whoever answers has no permanent configuration at all. */
function hasNoPermanent(error: unknown): boolean {
  const name = error instanceof Error && 'dbusName' in error ? String(error.dbusName) : '';
  return /\.Error\.Unknown(Object|Interface|Method)$/.test(name);
}

/** The library is loaded here, when firewalld is really talked to. */
async function connect(): Promise<{ call: Call; close(): void }> {
  const { default: dbus } = await import('dbus-native');
  // Without fdTransport the library needs neither FFI nor a thread of its own.
  const options = { busAddress: systemBusAddress(), fdTransport: false };
  const bus = dbus.createClient(options);
  const close = () => void bus.connection.end();
  await new Promise<void>((resolve, reject) => {
    bus.connection.once('connect', () => resolve());
    bus.connection.on('error', (error: Error) => reject(dialError(error)));
  });
  const call: Call = (object, part, member, ...body) =>
    new Promise((resolve, reject) => {
      const message = {
        destination: firewalldName,
        path: object,
        interface: `${firewalldName}${part}`,
        member,
        signature: 's'.repeat(body.length),
        body,
      };
      bus.invoke(message).then(resolve, reject);
    });
  return { call, close };
}

/** In the reference's words: they name the socket. */
function dialError(error: Error): Error {
  const code = errnoOf(error);
  if (code === undefined) return error;
  return new Error(`dial unix ${systemBusPath()}: connect: ${errnoText(code)}`, { cause: error });
}
