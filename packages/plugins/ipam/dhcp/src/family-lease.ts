/** The lease of one family: what its client's outcomes mean for the container's link. */

import type { LeaseResult } from '@cni-ts/dhcp-protocol/lease';
import { setDown } from '@cni-ts/rtnetlink/link';
import { errorText } from '@cni-ts/spec/cni-error';
import { Alarm } from './alarm.ts';
import type { Around } from './around.ts';
import { changeRoutes, type KeptRoutes, putLease, removeLease } from './link-lease.ts';
import type { LinkPort } from './link-port.ts';

/** How long a link that was taken down for want of a lease stays so before a server is asked again; milliseconds. */
const pauseWithoutLease = 60_000;

/** What the leases of both families have. */
interface AnyLease {
  readonly address: string;
  readonly expiresAt?: number;
}

/** What the clients of both families tell. */
export type Outcome<L> =
  | { readonly type: 'bound' | 'resumed' | 'renewed'; readonly lease: L }
  | { readonly type: 'options' | 'changed'; readonly lease: L; readonly previous: L }
  | { readonly type: 'expired'; readonly previous: L }
  | { readonly type: 'lost'; readonly reason: string; readonly previous: L }
  | { readonly type: 'failed'; readonly error: string; readonly reason: string }
  | { readonly type: 'released' };

export type LinkEvent =
  | { readonly type: 'start'; readonly address?: string; readonly linkUp: boolean }
  | { readonly type: 'resumed'; readonly linkUp: boolean }
  | { readonly type: 'linkUp' | 'linkDown' | 'release' | 'decline' };

/** A client on the link. */
export interface Driver<L> {
  readonly state: { readonly phase: string; readonly lease?: L; readonly wanted?: string };
  step(event: LinkEvent): void;
  stop(): void;
}

/** Who holds the leases of all families. */
export interface Holding {
  readonly around: Around;
  readonly port: LinkPort;
  log(text: string): void;
  /** Writes what there is to disk. */
  save(): void;
  /** There is a lease now. */
  have(): void;
  /** There was none before, and there will be none. */
  give(up: string): void;
  /** Who waits for a lease is told that there is none now. */
  tell(why: string): void;
  readonly isWaitedFor: boolean;
}

export interface Family<L> {
  /** What a lease gives to a result. Throws where the server left out what is needed. */
  result(lease: L): LeaseResult;
  /** Whether a link without such a lease is down. */
  readonly isNeeded: boolean;
  /** Looks whether somebody else has an address before it is used, and tells his hardware address, or undefined. What it
   *  returns ends that. Missing: nobody is asked. */
  inspect?(lease: L, ended: (owner: string | undefined) => void): () => void;
  /** Its outcomes are told to `react` of the FamilyLease. */
  readonly driver: Driver<L>;
}

export class FamilyLease<L extends AnyLease> {
  readonly #holding: Holding;
  readonly #family: Family<L>;
  readonly #driver: Driver<L>;
  /** The routes of an address that was taken from the link: one is to be put there when there is a lease again. */
  #removed: KeptRoutes | undefined;
  /** Set while the lease's address is not used yet, since it is asked whether somebody else has it; ends that. */
  #inspection: (() => void) | undefined;
  readonly #retry: Alarm;

  constructor(holding: Holding, family: Family<L>, removed: KeptRoutes | undefined) {
    this.#holding = holding;
    this.#family = family;
    // With a lease in use nothing is away, whatever was written down.
    this.#removed = family.driver.state.lease ? undefined : removed;
    this.#driver = family.driver;
    this.#retry = new Alarm(holding.around.loop);
  }

  /** The lease in use. */
  get lease(): L | undefined {
    return this.#removed || this.#inspection ? undefined : this.#driver.state.lease;
  }

  get removed(): KeptRoutes | undefined {
    return this.#removed;
  }

  /** Asks servers for a lease, `address` first. */
  acquire(address?: string): void {
    const linkUp = this.#holding.port.hasCarrier;
    this.#driver.step({ type: 'start', linkUp, ...(address !== undefined && { address }) });
  }

  /** Goes on with a lease from disk. */
  resume(): void {
    this.#driver.step({ type: 'resumed', linkUp: this.#holding.port.hasCarrier });
    if (this.#removed && this.#driver.state.phase === 'stopped') this.#pause();
  }

  linkChanged(isUp: boolean): void {
    this.#driver.step({ type: isUp ? 'linkUp' : 'linkDown' });
  }

  /** Somebody waits for a lease: where the link is without one, a server is asked now. */
  hurry(): void {
    if (this.#retry.isSet) this.#tryAgain();
  }

  /** Gives the lease back. */
  release(): void {
    this.#driver.step({ type: 'release' });
  }

  stop(): void {
    this.#retry.cancel();
    this.#endInspection();
    this.#driver.stop();
  }

  /** What the client has come to. */
  react(outcome: Outcome<L>): void {
    const { log } = this.#holding;
    if (outcome.type !== 'renewed' && outcome.type !== 'options' && this.#endInspection()) {
      this.#reactUnused(outcome);
      return;
    }
    switch (outcome.type) {
      case 'bound':
        this.#bound(outcome.lease);
        break;
      case 'resumed':
        log(`going on with the lease of ${outcome.lease.address}, ${this.#expiry(outcome.lease)}`);
        break;
      case 'renewed':
        log(`lease renewed, ${this.#expiry(outcome.lease)}`);
        this.#save();
        break;
      case 'options':
        log(`lease renewed, ${this.#expiry(outcome.lease)}, with other options`);
        this.#changeRoutes(outcome.previous, outcome.lease);
        this.#save();
        break;
      case 'changed':
        this.#changed(outcome.previous, outcome.lease);
        break;
      case 'expired':
        log(this.#family.isNeeded ? 'lease expired, bringing interface DOWN' : 'lease expired');
        this.#withdraw(outcome.previous);
        this.#pause();
        break;
      case 'lost':
        log(`${outcome.previous.address} was taken back: ${outcome.reason}; it is removed from the link`);
        this.#withdraw(outcome.previous);
        break;
      case 'failed':
        this.#failed(`${outcome.error}${outcome.reason ? `: ${outcome.reason}` : ''}`);
        break;
      case 'released':
    }
  }

  /** Whether the lease's address was not in use yet. */
  #endInspection(): boolean {
    const isUnused = this.#inspection !== undefined;
    this.#inspection?.();
    this.#inspection = undefined;
    return isUnused;
  }

  /** Nothing of the lease is on the link. */
  #reactUnused(outcome: Outcome<L>): void {
    if (outcome.type === 'changed') this.#bound(outcome.lease);
    else if (outcome.type === 'failed') this.#failed(outcome.reason);
    else if (outcome.type === 'lost')
      this.#holding.log(`${outcome.previous.address} is not used: ${outcome.reason}`);
  }

  #bound(lease: L): void {
    const { inspect } = this.#family;
    if (!inspect) {
      this.#use(lease);
      return;
    }
    this.#inspection = inspect(lease, (owner) => {
      if (owner === undefined) {
        this.#inspection = undefined;
        this.#use(lease);
        return;
      }
      this.#holding.log(`${owner} has ${lease.address}, which the server gave: it is declined`);
      this.#driver.step({ type: 'decline' });
    });
  }

  #use(lease: L): void {
    let result: LeaseResult;
    try {
      result = this.#family.result(lease);
    } catch (error) {
      this.#holding.give(errorText(error));
      return;
    }
    this.#holding.log(`lease acquired, ${this.#expiry(lease)}`);
    const removed = this.#removed;
    if (removed) {
      this.#removed = undefined;
      this.#onLink(`${lease.address} could not be put on the link`, () => {
        this.#holding.port.withRoute((route) =>
          putLease(route, this.#holding.port, result, removed, undefined),
        );
        this.#holding.log(`${lease.address} is on link "${this.#holding.port.name}" now`);
      });
    }
    try {
      this.#holding.save();
    } catch (error) {
      // A lease that the next daemon would not know of must not be handed out.
      this.#holding.give(`the lease cannot be stored: ${errorText(error)}`);
      return;
    }
    this.#holding.have();
  }

  #changed(previous: L, lease: L): void {
    const { port, log } = this.#holding;
    log(`lease rebound with another address: ${lease.address} instead of ${previous.address}`);
    const failure = `link "${port.name}" was set down, since ${lease.address} could not be put on it`;
    const work = () => {
      port.withRoute((route) => {
        const old = this.#family.result(previous);
        const kept = removeLease(route, port, old);
        if (!kept) throw new Error(`it does not have ${previous.address}`);
        putLease(route, port, this.#family.result(lease), kept, old);
      });
      log(`${lease.address} is on link "${port.name}" in place of ${previous.address}`);
    };
    this.#onLink(failure, work, true);
    this.#save();
  }

  #changeRoutes(previous: L, lease: L): void {
    const { port } = this.#holding;
    this.#onLink('its routes could not be changed', () =>
      port.withRoute((route) =>
        changeRoutes(route, port, this.#family.result(previous), this.#family.result(lease)),
      ),
    );
  }

  /** Changes the link. Where that fails, and `down` says so, the link is not left with an address it may not have. */
  #onLink(failure: string, work: () => void, down = false): void {
    try {
      work();
    } catch (error) {
      if (down) this.#setDown();
      this.#holding.log(`${failure}: ${errorText(error)}`);
    }
  }

  /** A disk that is full must not keep a link from being set down. */
  #save(): void {
    try {
      this.#holding.save();
    } catch (error) {
      this.#holding.log(`the lease cannot be stored as it is now: ${errorText(error)}`);
    }
  }

  #setDown(): void {
    const { port } = this.#holding;
    this.#onLink(`link "${port.name}" could not be set down`, () =>
      port.withRoute((route) => setDown(route, port)),
    );
  }

  /** Takes an address from the link that must not be used any more. */
  #withdraw(previous: L): void {
    const { port } = this.#holding;
    this.#removed = [];
    const failure = `link "${port.name}" was set down, since ${previous.address} could not be removed`;
    const work = () => {
      const old = this.#family.result(previous);
      const kept = port.withRoute((route) => removeLease(route, port, old) ?? []);
      // Those of the lease come with the next one.
      this.#removed = kept.filter(
        (one) => !old.routes.some(({ dst, gw }) => dst === one.dst && gw === one.gw),
      );
    };
    this.#onLink(failure, work, true);
    this.#save();
  }

  #failed(why: string): void {
    if (!this.#removed) {
      this.#holding.give(why);
      return;
    }
    this.#holding.log(`no lease: ${why}; asking again in ${pauseWithoutLease / 1000} seconds`);
    this.#holding.tell(why);
    this.#pause();
  }

  /** A link without a lease is down; after a while a server is asked again. */
  #pause(): void {
    if (this.#family.isNeeded) this.#setDown();
    this.#retry.after(pauseWithoutLease, () => this.#tryAgain());
    if (this.#holding.isWaitedFor) this.#tryAgain();
  }

  #tryAgain(): void {
    const { port } = this.#holding;
    this.#retry.cancel();
    this.#onLink(`link "${port.name}" could not be set up`, () => port.setUp());
    if (port.isGone) return;
    const { phase, wanted } = this.#driver.state;
    if (phase === 'stopped') this.acquire(wanted);
    else this.linkChanged(port.hasCarrier);
  }

  #expiry({ expiresAt }: L): string {
    if (expiresAt === undefined) return 'which does not expire';
    const now = this.#holding.around.now();
    return `expiration is ${new Date(now.wall + expiresAt - now.boottime).toISOString()}`;
  }
}
