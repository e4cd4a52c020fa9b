/**
 * firewalld, by its D-Bus interface: each address becomes a source of a zone, by default `trusted`, which accepts.
 *
 * A source is bound twice. At run time, as the reference does, it works at once. In the permanent configuration it
 * survives `firewall-cmd --reload`, which forgets all that was only said at run time, and with it every container's
 * network. Where the configuration cannot be written the first alone must do; that is logged.
 */

import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { ErrorReply, type Value } from './bus.ts';
import { isOwned } from './name-owner.ts';
import { connectSystemBus } from './system-bus.ts';

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
  constructor(call: { log: (line: string) => void; onEnd: (work: () => void) => void }) {
    this.#log = call.log;
    call.onEnd(() => this.#bus.close());
    this.#bus.enter();
  }

  /** Adds a source to its zone; false if it is there already. */
  add(source: Source): boolean {
    const { zone, address } = source;
    const isNew = failing(`failed to add the address ${address} to ${zone} zone`, () => {
      try {
        this.#call(path, '.zone', 'addSource', zone, address);
        return true;
      } catch (error) {
        if (errorText(error).includes('ZONE_ALREADY_SET')) return false;
        throw error;
      }
    });
    this.#permanently('addSource', source);
    return isNew;
  }

  /** Takes a source out. Whether it is gone, or was not there. */
  remove(source: Source): boolean {
    const { zone, address } = source;
    const absent = /UNKNOWN_SOURCE|NOT_ENABLED|ZONE_CONFLICT|INVALID_ZONE/;
    const gone = this.#isSo(`failed to remove the address ${address} from ${zone} zone`, absent, () =>
      this.#call(path, '.zone', 'removeSource', zone, address),
    );
    return this.#permanently('removeSource', source) && gone;
  }

  /** What is to be said of a source that its zone does not have now. */
  lacks({ zone, address }: Source): string[] {
    const what = `failed to find the address ${address} in ${zone} zone`;
    return failing(what, () => this.#call(path, '.zone', 'querySource', zone, address)) === true
      ? []
      : [what];
  }

  #permanently(member: string, { zone, address }: Source): boolean {
    // ALREADY_ENABLED and NOT_ENABLED: it is as it should be. Unknown…: whoever answers has no such configuration at all.
    const fine = /ALREADY_ENABLED|NOT_ENABLED|INVALID_ZONE|\.Error\.Unknown(Object|Interface|Method)$/;
    return this.#isSo(`${member} ${address} in the permanent configuration of zone ${zone}`, fine, () => {
      const object = this.#call(`${path}/config`, '.config', 'getZoneByName', zone);
      this.#call(String(object), '.config.zone', member, address);
    });
  }

  #call(object: string, part: string, member: string, ...args: string[]): Value {
    const method = { destination: firewalldName, object, interface: `${firewalldName}${part}`, member };
    return this.#bus.call(method, args);
  }

  /** Whether what a step makes so is so, which failures that are `fine` say as well; others are logged. */
  #isSo(what: string, fine: RegExp, step: () => unknown): boolean {
    try {
      step();
      return true;
    } catch (error) {
      const name = error instanceof ErrorReply ? error.dbusName : '';
      if (fine.test(`${errorText(error)} ${name}`)) return true;
      this.#log(`${what}: ${errorText(error)}`);
      return false;
    }
  }
}
