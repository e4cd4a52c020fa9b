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

/** What a zone answers where it is so already. */
const already = {
  addSource: /ZONE_ALREADY_SET/,
  removeSource: /UNKNOWN_SOURCE|NOT_ENABLED|ZONE_CONFLICT|INVALID_ZONE/,
} as const;
type Step = keyof typeof already;

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
    const { zone, address } = source;
    const what = `failed to add the address ${address} to ${zone} zone`;
    const isNew = failing(what, () => this.#atOnce('addSource', source));
    this.#permanently('addSource', source);
    return isNew;
  }

  /** Takes a source out; that it is not there is fine. Whether it is gone. */
  remove(source: Source): boolean {
    let gone = true;
    try {
      this.#atOnce('removeSource', source);
    } catch (error) {
      gone = false;
      this.#note(`failed to remove the address ${source.address} from ${source.zone} zone`, error);
    }
    return this.#permanently('removeSource', source) && gone;
  }

  /** What is to be said of a source that its zone does not have now. */
  lacks({ zone, address }: Source): string[] {
    const what = `failed to find the address ${address} in ${zone} zone`;
    return failing(what, () => this.#call(path, '.zone', 'querySource', zone, address)) === true
      ? []
      : [what];
  }

  #call(object: string, part: string, member: string, ...args: string[]): Value {
    const method = { destination: firewalldName, object, interface: `${firewalldName}${part}`, member };
    return this.#bus.call(method, args);
  }

  /** At run time; false where it is so already. */
  #atOnce(step: Step, { zone, address }: Source): boolean {
    try {
      this.#call(path, '.zone', step, zone, address);
      return true;
    } catch (error) {
      if (already[step].test(errorText(error))) return false;
      throw error;
    }
  }

  /** Whether it is so, or need not be. */
  #permanently(step: Step, { zone, address }: Source): boolean {
    try {
      const object = this.#call(`${path}/config`, '.config', 'getZoneByName', zone);
      this.#call(String(object), '.config.zone', step, address);
    } catch (error) {
      // ALREADY_ENABLED and NOT_ENABLED: it is as it should be.
      const fine = /ALREADY_ENABLED|NOT_ENABLED|INVALID_ZONE/.test(errorText(error));
      if (fine || hasNoPermanent(error)) return true;
      this.#note(`${step} ${address} in the permanent configuration of zone ${zone}`, error);
      return false;
    }
    return true;
  }

  #note(what: string, error: unknown): void {
    this.#log(`firewall: ${what}: ${errorText(error)}`);
  }
}

/** Whoever answers has no permanent configuration at all. */
function hasNoPermanent(error: unknown): boolean {
  return error instanceof ErrorReply && /\.Error\.Unknown(Object|Interface|Method)$/.test(error.dbusName);
}
