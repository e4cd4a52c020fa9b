/** One attachment: its link, its leases, the file they are stored in, and who waits for them. */
import { newClient4 } from '@cni-ts/dhcp-protocol/client4';
import { newClient6 } from '@cni-ts/dhcp-protocol/client6';
import { type LeaseResult, leaseResult4, leaseResult6 } from '@cni-ts/dhcp-protocol/lease';
import type { Lease4 } from '@cni-ts/dhcp-protocol/lease4';
import type { Lease6 } from '@cni-ts/dhcp-protocol/lease6';
import type { Watch } from '@cni-ts/libc/event-loop';
import type { NamespaceId } from '@cni-ts/libc/netns';
import { errorText } from '@cni-ts/spec/cni-error';
import { AddressProbe } from './address-probe.ts';
import { Alarm } from './alarm.ts';
import type { Around } from './around.ts';
import { config4, config6 } from './client-config.ts';
import { Client4Driver } from './client4-driver.ts';
import { Client6Driver } from './client6-driver.ts';
import type { Settings } from './config.ts';
import { FamilyLease, type Holding } from './family-lease.ts';
import { farewell6 } from './farewell6.ts';
import type { Identity, LeaseRecord } from './lease-record.ts';
import type { LinkPort } from './link-port.ts';
import { addedBy, type Router, RouterWatch } from './router-watch.ts';

/** How long the container's link is held for the answer to a Release; milliseconds. */
const longestFarewell = 300;

/** Somebody who is to be told of a lease, or why there is none. */
export interface Waiter {
  have(): void;
  fail(why: string): void;
}

/** What clients begin with, or go on with from disk. */
export type Kept = Omit<LeaseRecord, keyof Identity | 'version' | 'namespace' | 'mac'>;

export class LeaseHolder {
  readonly identity: Identity;
  readonly #around: Around;
  readonly #port: LinkPort;
  readonly #driver4: Client4Driver | undefined;
  readonly #driver6: Client6Driver | undefined;
  readonly #four: FamilyLease<Lease4> | undefined;
  readonly #six: FamilyLease<Lease6> | undefined;
  readonly #watch: Watch;
  readonly #ended: () => void;
  readonly #lingering: Alarm;
  readonly #probes: boolean;
  #routers: RouterWatch | undefined;
  #router: Router | undefined;
  #waiters: Waiter[] = [];
  #isOver = false;

  /** `ended`: called when there is no lease any more. */
  constructor(around: Around, identity: Identity, port: LinkPort, kept: Kept, ended: () => void) {
    this.#around = around;
    this.identity = identity;
    this.#port = port;
    this.#ended = ended;
    this.#lingering = new Alarm(around.loop);
    this.#router = kept.router;
    this.#probes = kept.probe === true;
    const holding = this.#holding();
    const { client4, client6 } = kept;
    if (client4) {
      const driver = new Client4Driver(around, port, client4, kept.serverMac, (outcome) =>
        this.#four?.react(outcome),
      );
      const family = {
        driver,
        isNeeded: true,
        result: (lease: Lease4) => leaseResult4(lease),
        ...(kept.probe && { inspect: this.#probe }),
      };
      this.#driver4 = driver;
      this.#four = new FamilyLease(holding, family, kept.removed);
    }
    if (client6) {
      const driver = new Client6Driver(around, port, client6, (outcome) => {
        if (outcome.type !== 'information') this.#six?.react(outcome);
        if (outcome.type === 'released' && this.#lingering.isSet) this.#leaveLink();
      });
      const result = (lease: Lease6) => leaseResult6(lease, addedBy(this.#router, lease.address));
      const family = { driver, isNeeded: client4 === undefined, result };
      this.#driver6 = driver;
      this.#six = new FamilyLease(holding, family, kept.removed6);
    }
    this.#watch = { fd: port.fd, readable: () => this.#linkChanged() };
    around.loop.watch(this.#watch);
  }

  readonly #probe = ({ address }: Lease4, ended: (owner: string | undefined) => void) => {
    const probe = new AddressProbe(this.#around, this.#port, address, ended);
    probe.start();
    return () => probe.stop();
  };

  /** Clients that have not asked for anything yet. */
  static begin(around: Around, identity: Identity, port: LinkPort, settings: Settings): Kept {
    const { flags } = around;
    const now = around.now();
    return {
      ...(settings.ipv4 && settings.probe && { probe: true }),
      ...(settings.ipv4 && { client4: newClient4(config4(flags, identity, port, settings), now) }),
      ...(settings.ipv6 && { client6: newClient6(config6(flags, identity, port, settings), now) }),
    };
  }

  #holding(): Holding {
    const isWaitedFor = () => this.isWaitedFor;
    return {
      around: this.#around,
      port: this.#port,
      log: (text) => this.#log(text),
      save: () => this.#save(),
      have: () => this.#have(),
      give: (why) => this.release(why),
      tell: (why) => this.#tell((waiter) => waiter.fail(why)),
      get isWaitedFor() {
        return isWaitedFor();
      },
    };
  }

  get #families(): FamilyLease<Lease4 | Lease6>[] {
    // reason: what is done with all of them is the same for both
    return [this.#four, this.#six].filter((one) => one !== undefined) as FamilyLease<Lease4 | Lease6>[];
  }

  #have(): void {
    if (this.isComplete) this.#tell((waiter) => waiter.have());
  }

  get namespace(): NamespaceId {
    return this.#port.namespace;
  }

  /** Whether there is all that was asked for. */
  get isComplete(): boolean {
    if (this.#isOver || this.#routers) return false;
    return this.#families.every(({ lease }) => lease !== undefined);
  }

  /** The addresses in use, when there is all that was asked for. */
  get addresses(): string[] {
    return this.isComplete ? this.#families.flatMap(({ lease }) => lease?.address ?? []) : [];
  }

  /** What the leases give to a result. */
  results(priority: number): LeaseResult[] {
    if (this.#isOver) return [];
    const [four, six] = [this.#four?.lease, this.#six?.lease];
    return [
      ...(four ? [leaseResult4(four, { priority })] : []),
      ...(six ? [leaseResult6(six, { ...addedBy(this.#router, six.address), priority })] : []),
    ];
  }

  get isWaitedFor(): boolean {
    return this.#waiters.length > 0;
  }

  /** Whether the link is still there: asked anew. */
  hasLink(): boolean {
    return this.#port.look() !== undefined;
  }

  /** Asks servers for leases, for these addresses first. */
  acquire(addresses: readonly string[] = []): void {
    this.#log('acquiring lease');
    if (!this.#port.hasCarrier) this.#log(`waiting until link "${this.#port.name}" has a carrier`);
    if (this.#six) this.#askRouters();
    this.#six?.acquire(addresses.find((one) => one.includes(':')));
    this.#four?.acquire(addresses.find((one) => !one.includes(':')));
  }

  #askRouters(): void {
    this.#routers = new RouterWatch(this.#around, this.#port, (router) => {
      this.#routers = undefined;
      this.#router = router;
      if (!router) this.#log('no router advertises itself: the IPv6 address comes without a gateway');
      else if (!router.managed)
        this.#log(`router ${router.address} says that addresses do not come by DHCPv6 here`);
      if (!this.isComplete) return;
      this.#save();
      this.#have();
    });
    this.#routers.start();
  }

  /** Goes on with leases from disk. */
  resume(): void {
    for (const one of this.#families) one.resume();
  }

  /** Tells when there is a lease; where the link is without one, a server is asked now. */
  wait(waiter: Waiter): void {
    this.#waiters.push(waiter);
    for (const one of this.#families) one.hurry();
  }

  /** Nobody is told. Who asked for a lease first, and nobody else, takes it with him. */
  forgo(waiter: Waiter): void {
    this.#waiters = this.#waiters.filter((one) => one !== waiter);
    if (this.isWaitedFor || this.isComplete || this.#families.some(({ removed }) => removed)) return;
    this.#log('whoever asked for the lease has gone, so it is not asked for any more');
    this.release('whoever asked for it has gone');
  }

  /** Gives the leases back and forgets them. */
  release(why: string): void {
    if (this.#isOver) return;
    if (this.#families.some(({ lease }) => lease)) this.#log('releasing lease');
    for (const one of this.#families) {
      try {
        one.release();
      } catch (error) {
        this.#log(`the lease was not released: ${errorText(error)}`);
      }
    }
    this.#end(why, this.#driver6?.state.phase === 'releasing');
  }

  /** Everything stays as it is, for the daemon that comes next. */
  leave(): void {
    this.#isOver = true;
    this.#stop();
  }

  #log(text: string): void {
    this.#around.log(`${this.identity.key}: ${text}`);
  }

  #tell(say: (waiter: Waiter) => void): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) say(waiter);
  }

  #stop(lingers = false): void {
    this.#around.loop.unwatch(this.#watch);
    this.#routers?.stop();
    this.#routers = undefined;
    this.#four?.stop();
    if (lingers) {
      this.#lingering.after(longestFarewell, () => this.#leaveLink());
      return;
    }
    this.#six?.stop();
    this.#port.close();
  }

  /** The container is not kept alive for the server's answer to the Release: what is left to say is said by the host. */
  #leaveLink(): void {
    this.#lingering.cancel();
    const state = this.#driver6?.state;
    this.#six?.stop();
    this.#port.close();
    if (state?.phase === 'releasing') farewell6(this.#around, this.identity.hostLink, state, 'timer');
  }

  /** `lingers`: the server has not answered the Release yet. */
  #end(why: string, lingers = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stop(lingers);
    this.#ended();
    this.#tell((waiter) => waiter.fail(why));
    this.#around.store.remove(this.identity.key);
  }

  #linkChanged(): void {
    const before = this.#port.hasCarrier;
    this.#port.takeEvents();
    if (this.#port.isGone) {
      this.#log(`interface ${this.#port.name} no longer exists, terminating lease maintenance`);
      this.#end(`link "${this.#port.name}" was deleted meanwhile`);
    } else if (this.#port.hasCarrier !== before) {
      for (const one of this.#families) one.linkChanged(!before);
    }
  }

  #save(): void {
    const serverMac = this.#driver4?.serverMac;
    const removed = this.#four?.removed;
    const removed6 = this.#six?.removed;
    const record: LeaseRecord = {
      version: 1,
      ...this.identity,
      namespace: this.#port.namespace,
      mac: this.#port.macText,
      ...(this.#driver4 && { client4: this.#driver4.state }),
      ...(this.#driver6 && { client6: this.#driver6.state }),
      ...(serverMac !== undefined && { serverMac }),
      ...(this.#probes && { probe: true }),
      ...(removed && { removed }),
      ...(removed6 && { removed6 }),
      ...(this.#router && { router: this.#router }),
    };
    this.#around.store.write(this.identity.key, record);
  }
}
