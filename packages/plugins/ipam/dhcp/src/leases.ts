/** All leases of the daemon, and what its methods do with them. */

import { parseCidr } from '@cni-ts/address/cidr';
import { formatIp } from '@cni-ts/address/ip';
import { identityOf } from '@cni-ts/libc/file-status';
import type { NamespaceId } from '@cni-ts/libc/netns';
import { NetnsError } from '@cni-ts/libc/netns';
import { member } from '@cni-ts/skeleton/network';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import type { Around } from './around.ts';
import { silentBridge } from './bridge-without-uplink.ts';
import { readSettings, type Settings } from './config.ts';
import { gobResult } from './gob-result.ts';
import type { GobObject, GobStruct } from './gob-types.ts';
import { releaseFromHost } from './host-release.ts';
import { type Kept, LeaseHolder, type Waiter } from './lease-holder.ts';
import { type Identity, type LeaseRecord, readRecord } from './lease-record.ts';
import { LinkPort } from './link-port.ts';
import { NamespaceHolders } from './namespace-holders.ts';
import { resultType } from './rpc-types.ts';

/** Container ID and names have a few dozen characters. */
const longestText = 4096;

/** Who called, and is to be answered. */
export interface Caller {
  /** False where he is gone. */
  answer(type?: GobStruct, value?: GobObject): boolean;
  fail(text: string): boolean;
  abandoned: (() => void) | undefined;
}

/** What a call is about. */
interface Asked {
  readonly identity: Identity;
  readonly args: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export class Leases {
  readonly #around: Around;
  readonly #holders = new Map<string, LeaseHolder>();
  /** Of those whose namespace has lost its path: how often it was looked for. */
  readonly #unseen = new Map<LeaseHolder, number>();

  constructor(around: Around) {
    this.#around = around;
  }

  get size(): number {
    return this.#holders.size;
  }

  /** Answers with the lease of the attachment, which is acquired where there is none. */
  allocate(body: GobObject, caller: Caller): void {
    const asked = this.#asked(body);
    const settings = readSettings(asked.json, asked.args);
    this.#give(asked, settings, [], caller);
  }

  #give({ identity }: Asked, settings: Settings, wanted: readonly string[], caller: Caller): void {
    const known = this.#known(identity);
    if (known) {
      if (known.isComplete) this.#answer(known, settings, false, [], caller);
      else this.#wait(known, settings, wanted, caller, false);
      return;
    }
    const holder = this.#open(identity, settings);
    this.#wait(holder, settings, wanted, caller, true);
    holder.acquire(wanted);
  }

  /** The holder of the attachment, if it still has its link. One for the same names in another namespace is of a
   *  container that is gone. */
  #known(identity: Identity): LeaseHolder | undefined {
    const holder = this.#holders.get(identity.key);
    if (!holder) return undefined;
    const namespace = identityOf(identity.netns);
    if (namespace && !isSame(namespace, holder.namespace)) {
      holder.release('a container of the same name is in another namespace now');
      return undefined;
    }
    if (holder.hasLink()) return holder;
    holder.release(`the link is gone`);
    return undefined;
  }

  #open(identity: Identity, settings: Settings): LeaseHolder {
    const { log } = this.#around;
    let port: LinkPort;
    try {
      port = LinkPort.open(identity.netns, identity.ifname, () =>
        log(`Link "${identity.ifname}" is being set up`),
      );
    } catch (error) {
      throw error instanceof NetnsError ? asSeenHere(error) : error;
    }
    try {
      return this.#hold(identity, port, LeaseHolder.begin(this.#around, identity, port, settings));
    } catch (error) {
      port.close();
      throw error;
    }
  }

  #hold(identity: Identity, port: LinkPort, kept: Kept): LeaseHolder {
    const holder = new LeaseHolder(this.#around, identity, port, kept, () => {
      this.#unseen.delete(holder);
      if (this.#holders.get(identity.key) === holder) this.#holders.delete(identity.key);
    });
    this.#holders.set(identity.key, holder);
    return holder;
  }

  #wait(
    holder: LeaseHolder,
    settings: Settings,
    wanted: readonly string[],
    caller: Caller,
    fresh: boolean,
  ): void {
    const waiter: Waiter = {
      have: () => {
        caller.abandoned = undefined;
        this.#answer(holder, settings, fresh, wanted, caller);
      },
      fail: (why) => {
        caller.abandoned = undefined;
        caller.fail(why + silentBridge(why, settings.bridge));
      },
    };
    caller.abandoned = () => holder.forgo(waiter);
    holder.wait(waiter);
  }

  #answer(
    holder: LeaseHolder,
    settings: Settings,
    fresh: boolean,
    wanted: readonly string[],
    caller: Caller,
  ): void {
    const given = holder.addresses;
    if (wanted.length > 0 && given.some((one) => !wanted.includes(one))) {
      if (fresh) holder.release('the server gives another address');
      caller.fail(
        `there was no lease any more, and the server gives ${given.join(', ')} instead of ${wanted.join(', ')}`,
      );
      return;
    }
    const sent = caller.answer(resultType, gobResult(holder.results(settings.priority), settings, fresh));
    // Nobody knows of this lease, so nobody would give it back.
    if (!sent && fresh) holder.release('whoever asked for it has gone');
  }

  /** Gives the lease back. One that is not known is given back already. */
  release(body: GobObject, caller: Caller): void {
    const { identity } = this.#asked(body, true);
    this.#holders.get(identity.key)?.release('DEL came meanwhile');
    caller.answer();
  }

  /** Whether the lease is held. One that is not is asked for again, as long as that gives the same address. */
  check(body: GobObject, caller: Caller): void {
    const asked = this.#asked(body);
    const settings = readSettings(asked.json, asked.args);
    const recorded = recordedAddresses(asked.json);
    const have = this.#known(asked.identity)?.addresses ?? [];
    if (have.length > 0) {
      if (recorded.length === 0 || have.every((one) => recorded.includes(one))) caller.answer();
      else
        caller.fail(`the lease is of ${have.join(', ')}, and the result of ADD has ${recorded.join(', ')}`);
    } else if (recorded.length === 0) caller.fail(`there is no lease for ${asked.identity.key}`);
    else this.#give(asked, settings, recorded, caller);
  }

  /** Releases what belongs to no attachment in the list. */
  collect(body: GobObject, caller: Caller): void {
    const { identity, json } = this.#asked(body, true);
    const listed = member(json, 'cni.dev/valid-attachments');
    if (!Array.isArray(listed)) throw new Error('there is no list of attachments');
    const valid = new Set(
      listed.map((one: unknown) => {
        const { containerID, ifname } = (one ?? {}) as Record<string, unknown>; // reason: compared as texts below
        return keyOf(String(containerID), identity.network, String(ifname));
      }),
    );
    for (const holder of [...this.#holders.values()]) {
      if (holder.identity.network !== identity.network || valid.has(holder.identity.key)) continue;
      holder.release('GC came meanwhile');
    }
    caller.answer();
  }

  #asked(body: GobObject, bare = false): Asked {
    const text = (name: string) => {
      const value = body[name] ?? '';
      if (typeof value !== 'string' || value.length > longestText)
        throw new Error(`${name} is not a text of ours`);
      return value;
    };
    const stdin = body.StdinData;
    const json = configuration(stdin instanceof Uint8Array ? stdin : new Uint8Array(0), bare);
    const network = String(member(json, 'name') ?? '');
    const [containerId, ifname] = [text('ContainerID'), text('IfName')];
    const hostLink = member(json, 'bridge') ?? member(json, 'master');
    const identity = {
      key: keyOf(containerId, network, ifname),
      containerId,
      network,
      ifname,
      netns: this.#around.flags.hostprefix + text('Netns'),
      hostLink: typeof hostLink === 'string' ? hostLink : '',
    };
    return { identity, args: text('Args'), json };
  }

  /** Throws where no lease could be given: the folder of leases cannot be written. */
  requireStore(): void {
    const { store } = this.#around;
    failing(`no lease can be stored in "${store.folder}" (-statedir)`, () => store.tryWriting());
  }

  /** Goes on with what is on disk. Containers that died meanwhile are given back for. */
  resume(): void {
    const { store, log } = this.#around;
    for (const record of [...store.all(readRecord, log)]) {
      try {
        this.#resumeOne(record);
      } catch (error) {
        log(`${record.key}: its lease cannot be gone on with: ${errorText(error)}`);
      }
    }
    if (this.#holders.size > 0) log(`going on with ${this.#holders.size} leases`);
  }

  #resumeOne(record: LeaseRecord): void {
    const { netns, key } = record;
    const namespace = identityOf(netns);
    let port: LinkPort | undefined;
    if (namespace && isSame(namespace, record.namespace)) {
      try {
        port = LinkPort.find(netns, record.mac, record.ifname);
      } catch (error) {
        this.#around.log(`${key}: ${errorText(error)}`);
      }
    }
    if (port) {
      const { containerId, network, ifname, hostLink } = record;
      const identity = { key, containerId, network, ifname, netns, hostLink };
      this.#hold(identity, port, record).resume();
      return;
    }
    this.#around.log(`${key}: the container is gone, releasing its lease`);
    releaseFromHost(this.#around, record);
    this.#around.store.remove(key);
  }

  /**
   * To be called every second: a namespace whose path is gone, and which nobody else holds, is a dead container's. It is
   * let go, with all that is in it; we would keep it alive. Twice, since a runtime may be about to bind it elsewhere.
   */
  sweep(): void {
    const holders = new NamespaceHolders();
    for (const holder of [...this.#holders.values()]) {
      const found = identityOf(holder.identity.netns);
      if (found && isSame(found, holder.namespace)) {
        if (this.#unseen.size > 0) this.#unseen.delete(holder);
        continue;
      }
      const times = (this.#unseen.get(holder) ?? 0) + 1;
      this.#unseen.set(holder, times);
      // Whether somebody else holds it takes a look at all processes: not each second.
      if (times < 2 || (times > 2 && times % 5 !== 0) || holders.has(holder.namespace)) continue;
      this.#around.log(`${holder.identity.key}: the container is gone`);
      holder.release('the container is gone');
    }
  }

  /** The daemon ends; containers keep their leases. */
  leave(): void {
    for (const holder of this.#holders.values()) holder.leave();
  }
}

function keyOf(containerId: string, network: string, ifname: string): string {
  return `${containerId}/${network}/${ifname}`;
}

function isSame(a: NamespaceId, b: NamespaceId): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** DEL and GC must not fail for a configuration that is not what it should be. */
function configuration(bytes: Uint8Array, bare: boolean): Readonly<Record<string, unknown>> {
  let json: unknown;
  const text = new TextDecoder().decode(bytes);
  try {
    json = JSON.parse(text);
  } catch (error) {
    const why = text.trim() === '' ? 'unexpected end of JSON input' : errorText(error);
    throw new Error(`error parsing netconf: ${why}`); // all is said: no cause
  }
  const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
  if (!isObject && !bare) throw new Error('error parsing netconf: the configuration is not an object');
  return isObject ? (json as Record<string, unknown>) : {}; // reason: looked at just now
}

/** The addresses of prevResult, of whatever version. */
function recordedAddresses(json: Readonly<Record<string, unknown>>): string[] {
  const result = member(json, 'prevResult');
  if (typeof result !== 'object' || result === null) return [];
  const ips = member(result as Record<string, unknown>, 'ips'); // reason: looked at just now
  if (!Array.isArray(ips)) return [];
  return ips.flatMap((entry: unknown) => {
    const address =
      typeof entry === 'object' && entry !== null && 'address' in entry ? entry.address : undefined;
    const cidr = typeof address === 'string' ? parseCidr(address) : undefined;
    return cidr ? formatIp(cidr.ip) : [];
  });
}

/** The daemon may have other mounts than the runtime. */
function asSeenHere(error: NetnsError): Error {
  return new Error(
    `${error.message}; so the DHCP daemon (process ${process.pid}) sees it: where it runs in a container, /run/netns must be mounted there with propagation HostToContainer`,
    { cause: error },
  );
}
