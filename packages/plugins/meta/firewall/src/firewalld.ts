/**
 * firewalld, by its D-Bus interface: each address becomes a source of a zone, by default `trusted`, which accepts.
 *
 * A source is bound twice. At run time, as the reference does, it works at once. In the permanent configuration it
 * survives `firewall-cmd --reload`, which forgets all that was only said at run time, and with it every container's
 * network. Where the configuration cannot be written the first alone must do; that is logged.
 */

import { ErrorReply, type Value } from '@cni-ts/dbus/bus';
import { isOwned } from '@cni-ts/dbus/name-owner';
import { connectSystemBus } from '@cni-ts/dbus/system-bus';
import type { Request } from '@cni-ts/skeleton/plugin';
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
  readonly #bus = connectSystemBus();
  readonly #log: (line: string) => void;

  /** Connects to the bus for a call, which hears what failed without harm; that firewalld is there shows when it is
   *  first asked. */
  constructor(call: Pick<Request<unknown>, 'log' | 'onEnd'>) {
    this.#log = call.log;
    call.onEnd(() => this.#bus.close());
    this.#bus.enter();
  }

  /** Adds a source to its zone; false if it is there already. */
  add(source: Source): boolean {
    const added = failing(`failed to add the address ${source.address} to ${source.zone} zone`, () =>
      this.#unless(/ZONE_ALREADY_SET/, () => this.#ask('addSource', source)),
    );
    this.#permanently('addSource', source);
    return added;
  }

  /** Takes a source out; that it is not there is fine. Whether it is gone. */
  remove(source: Source): boolean {
    const absent = /UNKNOWN_SOURCE|NOT_ENABLED|ZONE_CONFLICT|INVALID_ZONE/;
    const gone = this.#tried(`failed to remove the address ${source.address} from ${source.zone} zone`, () =>
      this.#unless(absent, () => this.#ask('removeSource', source)),
    );
    return this.#permanently('removeSource', source) && gone;
  }

  /** Whether the zone has this source now. */
  has(source: Source): boolean {
    const what = `failed to find the address ${source.address} in ${source.zone} zone`;
    return failing(what, () => this.#ask('querySource', source) === true);
  }

  /** At run time. */
  #ask(member: string, { zone, address }: Source): Value {
    return this.#call(path, '.zone', member, zone, address);
  }

  #permanently(member: string, { zone, address }: Source): boolean {
    // ALREADY_ENABLED and NOT_ENABLED: it is as it should be. Unknown…: whoever answers has no such configuration at all.
    const fine = /ALREADY_ENABLED|NOT_ENABLED|INVALID_ZONE|\.Error\.Unknown(Object|Interface|Method)$/m;
    return this.#tried(`${member} ${address} in the permanent configuration of zone ${zone}`, () =>
      this.#unless(fine, () => {
        const object = this.#call(`${path}/config`, '.config', 'getZoneByName', zone);
        this.#call(String(object), '.config.zone', member, address);
      }),
    );
  }

  #call(object: string, part: string, member: string, ...args: string[]): Value {
    const method = { destination: firewalldName, object, interface: `${firewalldName}${part}`, member };
    return this.#bus.call(method, args);
  }

  /** False for a failure that is none. */
  #unless(fine: RegExp, step: () => unknown): boolean {
    try {
      step();
      return true;
    } catch (error) {
      const name = error instanceof ErrorReply ? error.dbusName : '';
      if (fine.test(`${errorText(error)}\n${name}`)) return false;
      throw error;
    }
  }

  /** False for a failure, which is logged. */
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
