/**
 * firewalld, by its D-Bus interface: each address becomes a source of a zone, by default `trusted`, which accepts.
 *
 * A source is bound twice. At run time, as the reference does, it works at once. In the permanent configuration it
 * survives `firewall-cmd --reload`, which forgets all that was only said at run time, and with it every container's
 * network. Where the configuration cannot be written the first alone must do; that is logged.
 */

import { type Bus, ErrorReply, type Value } from '@cni-ts/dbus/bus';
import { isOwned } from '@cni-ts/dbus/name-owner';
import { connectSystemBus } from '@cni-ts/dbus/system-bus';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';

const firewalldName = 'org.fedoraproject.FirewallD1';
const path = '/org/fedoraproject/FirewallD1';

/** An address in a zone. */
export interface Source {
  readonly zone: string;
  readonly address: string;
}

/** Asked at nearly every call on hosts that have a bus and no firewalld. False also when there is no bus, it refuses
 *  us, or does not answer within two seconds. */
export function firewalldRuns(): boolean {
  return isOwned(firewalldName, 2000);
}

export class Firewalld {
  readonly #bus: Bus;
  readonly #log: (line: string) => void;

  /** Connects to the bus; that firewalld is there shows at the first call. `log` hears what failed without harm. */
  constructor(log: (line: string) => void) {
    this.#bus = connectSystemBus();
    this.#log = log;
    try {
      this.#bus.enter();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#bus.close();
  }

  /** Adds a source to its zone; false if it is there already. */
  add(source: Source): boolean {
    const { zone, address } = source;
    const isNew = failing(`failed to add the address ${address} to ${zone} zone`, () =>
      this.#isTold('addSource', source, /ZONE_ALREADY_SET/),
    );
    this.#permanently('addSource', source);
    return isNew;
  }

  /** Takes a source out; that it is not there is fine. Whether it is gone. */
  remove(source: Source): boolean {
    const { zone, address } = source;
    const gone = this.#tried(`failed to remove the address ${address} from ${zone} zone`, () =>
      this.#isTold('removeSource', source, /UNKNOWN_SOURCE|NOT_ENABLED|ZONE_CONFLICT|INVALID_ZONE/),
    );
    return this.#permanently('removeSource', source) && gone;
  }

  /** Whether the zone has this source now. */
  has({ zone, address }: Source): boolean {
    return failing(
      `failed to find the address ${address} in ${zone} zone`,
      () => this.#call(path, '.zone', 'querySource', zone, address) === true,
    );
  }

  #call(object: string, part: string, member: string, ...args: string[]): Value {
    const method = { destination: firewalldName, object, interface: `${firewalldName}${part}`, member };
    return this.#bus.call(method, args);
  }

  /** At run time. False where it says that this is so already. */
  #isTold(member: string, { zone, address }: Source, already: RegExp): boolean {
    try {
      this.#call(path, '.zone', member, zone, address);
      return true;
    } catch (error) {
      if (already.test(errorText(error))) return false;
      throw error;
    }
  }

  #permanently(member: string, { zone, address }: Source): boolean {
    return this.#tried(`${member} ${address} in the permanent configuration of zone ${zone}`, () => {
      try {
        const object = this.#call(`${path}/config`, '.config', 'getZoneByName', zone);
        this.#call(String(object), '.config.zone', member, address);
      } catch (error) {
        // ALREADY_ENABLED and NOT_ENABLED: it is as it should be.
        const fine = /ALREADY_ENABLED|NOT_ENABLED|INVALID_ZONE/.test(errorText(error));
        if (!fine && !hasNoPermanent(error)) throw error;
      }
    });
  }

  /** Whether it could be done; logged if not. */
  #tried(what: string, step: () => unknown): boolean {
    try {
      step();
      return true;
    } catch (error) {
      this.#log(`firewall: ${what}: ${errorText(error)}`);
      return false;
    }
  }
}

/** Whoever answers has no permanent configuration at all. */
function hasNoPermanent(error: unknown): boolean {
  return error instanceof ErrorReply && /\.Error\.Unknown(Object|Interface|Method)$/.test(error.dbusName);
}
