/** One network's blocks on this node: carries out what decide.ts says, and tells it what happened. */
import { randomUUID } from 'node:crypto';
import { type Block, blockKey, blockOfKey, blockText, sizeOf } from '@cni-ts/cluster/block';
import type { BlocksFile } from '@cni-ts/cluster/blocks-file';
import { errorText } from '@cni-ts/spec/cni-error';
import { decide } from './decide.ts';
import { FolderReader, type FolderView } from './folder-view.ts';
import type { Entry } from './ledger.ts';
import type { Log } from './log.ts';
import type { Member } from './member.ts';
import type { Metrics } from './metrics.ts';
import {
  type Action,
  type Event,
  type Hold,
  type Outcome,
  type Pool,
  startPool,
  type Try,
  whose,
} from './pool.ts';
import { Refused, whyNot } from './refusal.ts';
import type { NetworkFacts, StateFolder } from './state-folder.ts';

export interface NetworkOptions {
  readonly name: string;
  readonly facts: NetworkFacts;
  readonly member: Member;
  readonly state: StateFolder;
  readonly boot: string;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** How a claim ended, and why where that is not its own fault. */
export interface Ending {
  readonly outcome: Outcome;
  readonly why: string;
  readonly takenBy?: string;
}

export class Network {
  readonly name: string;
  readonly member: Member;
  facts: NetworkFacts;
  #pool: Pool;
  readonly #options: NetworkOptions;
  readonly #reader = new FolderReader();
  readonly #endings = new Map<string, (ending: Ending) => void>();
  /** Why claims failed, by claim. */
  readonly #reasons = new Map<string, Omit<Ending, 'outcome'>>();
  /** All entries of the space, as they were seen last: what looks free, and the whole of what is this node's. */
  hints: readonly Entry[] = [];
  hintsAt = Number.NEGATIVE_INFINITY;
  /** Called after each change. */
  readonly watchers = new Set<() => void>();

  constructor(options: NetworkOptions) {
    const { name, facts, member, state, boot, log } = options;
    this.name = name;
    this.facts = facts;
    this.member = member;
    this.#options = options;
    const file = state.blocks(name, (sentence) => log.error(sentence, { network: name }));
    const holds = file?.blocks.map((one): Hold => {
      const { state: is, revision, claim } = one;
      return { key: blockKey(one), state: is, revision, claim, ...whose(one) };
    });
    this.#pool = startPool(holds ?? [], file?.boot === boot && file.node === member.node);
  }

  get pool(): Pool {
    return this.#pool;
  }

  /** Another takes its place, and its file. */
  retire(): void {
    this.#retired = true;
  }
  #retired = false;

  /** What happened. Where the disk refuses what follows from it, it did not. */
  happens(event: Event): void {
    if (this.#retired) return;
    const before = this.#pool;
    const { pool, actions } = decide(before, event);
    if (actions.some((one) => one.do === 'write')) {
      try {
        this.#write(pool);
      } catch (error) {
        this.#options.log.error(`blocks cannot be written: ${errorText(error)}`, { network: this.name });
        if ('claim' in event && (event.what === 'claimed' || event.what === 'looked')) {
          this.#reasons.set(event.claim, { why: `the disk refuses the list of blocks: ${errorText(error)}` });
          this.happens({ what: 'failed', claim: event.claim });
        }
        if (event.what === 'listed') this.happens({ what: 'unlisted' });
        return;
      }
    }
    this.#pool = pool;
    this.#tellChanges(before, pool);
    for (const action of actions) {
      this.#carryOut(action).catch((error) =>
        this.#options.log.error(`${action.do} failed: ${errorText(error)}`, { network: this.name }),
      );
    }
    for (const watcher of [...this.watchers]) watcher();
  }

  /** Until the file counts and blocks can be claimed. Rejects with Refused where etcd says no, or nothing. */
  async ready(signal: AbortSignal): Promise<void> {
    if (!this.#pool.registered) {
      await this.member.register();
      // That may have been one that ran already, from a time when etcd was away.
      if (!this.member.registered && this.member.trouble.length === 0) await this.member.register();
      if (!this.member.registered)
        throw whyNot(this.member) ?? new Refused('etcd has not answered', 'try again');
      this.happens({ what: 'registered' });
    }
    while (!this.#pool.fresh) {
      if (signal.aborted) return;
      if (!this.#pool.look && this.#pool.confirming.length === 0) this.happens({ what: 'tick' });
      await this.#change(signal);
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      const end = () => {
        this.watchers.delete(end);
        signal.removeEventListener('abort', end);
        done();
      };
      this.watchers.add(end);
      signal.addEventListener('abort', end);
    });
  }

  /** Claims a block, or the address of an owner. */
  claim(block: Block, pin?: { readonly owner: string; readonly sticky: boolean }): Promise<Ending> {
    const claim = randomUUID();
    return new Promise((done) => {
      this.#endings.set(claim, done);
      this.happens({ what: 'want', key: blockKey(block), claim, ...(pin && whose(pin)) });
    });
  }

  /** Blocks with what is their state. */
  blocks(): (Hold & { readonly block: Block })[] {
    return this.#pool.holds.map((hold) => ({ ...hold, block: blockOfKey(hold.key) }));
  }

  /** One look at what is reserved and what rests. What cannot be looked at counts as used: it is not given back. */
  occupancy(): Pick<FolderView, 'usedIn' | 'restingIn'> {
    try {
      return this.view();
    } catch (error) {
      this.tellUnseen(error);
      return { usedIn: sizeOf, restingIn: () => 0 };
    }
  }

  /** The same; throws where it cannot be looked at. */
  view(): FolderView {
    return this.#reader.look(this.facts.folder, this.facts.cooldown);
  }

  tellUnseen(error: unknown): void {
    this.#options.log.error(`the reservations cannot be looked at: ${errorText(error)}`, {
      network: this.name,
    });
  }

  /** Reads etcd's entries of the space. */
  async refresh(): Promise<string | undefined> {
    const answer = await this.member.entriesOf(this.facts.space);
    if (!answer.ok) return answer.why;
    this.hints = answer.value;
    this.hintsAt = performance.now();
    return undefined;
  }

  #write(pool: Pool): void {
    const { state, boot, member } = this.#options;
    const file: BlocksFile = {
      node: member.node,
      boot: pool.fresh ? boot : 'not confirmed since the boot',
      blocks: pool.holds.map(({ key, ...hold }) => ({
        ...blockOfKey(key),
        space: this.facts.space,
        ...hold,
      })),
    };
    state.writeBlocks(this.name, file);
  }

  async #carryOut(action: Action): Promise<void> {
    switch (action.do) {
      case 'write':
        return;
      case 'register':
        await this.member.register();
        if (this.member.registered) this.happens({ what: 'registered' });
        return;
      case 'list':
        return this.#list();
      case 'confirm':
        return this.#confirm(action.entry.claim);
      case 'claim':
        return this.#claim(action.try);
      case 'look':
        return this.#look(action.try);
      case 'giveBack':
        return this.#giveBack(action.hold);
      case 'settle':
        return this.#settle(action.try, action.outcome);
    }
  }

  async #list(): Promise<void> {
    const why = await this.refresh();
    if (why !== undefined) return this.happens({ what: 'unlisted' });
    const { usedIn } = this.occupancy();
    const entries = this.hints
      .filter((one) => this.member.isOwn(one) && one.network === this.name)
      .map((one) => ({
        key: blockKey(one),
        claim: one.claim,
        revision: one.revision,
        modified: one.modified,
        ...whose(one),
        inUse: usedIn(one) > 0,
      }));
    this.happens({ what: 'listed', entries });
  }

  async #confirm(claim: string): Promise<void> {
    const entry = this.hints.find((one) => one.claim === claim);
    if (!entry) return this.happens({ what: 'unconfirmed', claim });
    const own = { ...entry, uid: this.member.uid };
    const answer = await this.member.ask('confirm', (ledger) => ledger.confirm(own));
    if (answer.ok && answer.value !== 'changed') {
      this.happens({ what: 'confirmed', claim, revision: answer.value.revision });
    } else this.happens({ what: 'unconfirmed', claim });
  }

  async #claim(wanted: Try): Promise<void> {
    const { claim } = wanted;
    const { space } = this.facts;
    const grid = await this.member.grid(space);
    if (!grid.ok) {
      this.#reasons.set(claim, { why: grid.why });
      return this.happens({ what: 'failed', claim });
    }
    const block = blockOfKey(wanted.key);
    const { node, uid } = this.member;
    const common = {
      space,
      network: this.name,
      node,
      uid,
      claim,
      largest: grid.value.largest[block.first.family],
    };
    const { owner, sticky = false } = wanted;
    const answer = await this.member.ask('claim', async (ledger) =>
      owner === undefined
        ? ledger.claim({ ...common, ...block })
        : ledger.pin({ ...common, address: block.first, owner, sticky }),
    );
    if (!answer.ok) {
      this.#reasons.set(claim, { why: answer.why });
      return this.happens({ what: answer.unknown ? 'unanswered' : 'failed', claim });
    }
    const { value } = answer;
    if (value === 'taken') return this.happens({ what: 'taken', claim });
    if ('takenBy' in value) {
      this.#reasons.set(claim, { why: `${value.takenBy} has it`, takenBy: value.takenBy });
      return this.happens({ what: 'taken', claim });
    }
    this.happens({ what: 'claimed', claim, revision: value.revision });
  }

  async #look(wanted: Try): Promise<void> {
    const { claim, owner } = wanted;
    const block = blockOfKey(wanted.key);
    const { space } = this.facts;
    const answer = await this.member.ask('look', async (ledger) => {
      if (owner === undefined) return ledger.look(space, block);
      return (await ledger.entries({ space, within: block })).find((one) => one.owner !== undefined);
    });
    if (!answer.ok) return this.happens({ what: 'unlooked', claim });
    const entry = answer.value;
    if (!entry) return this.happens({ what: 'looked', claim });
    this.happens({ what: 'looked', claim, found: { claim: entry.claim, revision: entry.revision } });
  }

  async #giveBack({ key, claim, revision, owner, sticky = false }: Omit<Hold, 'state'>): Promise<void> {
    const block = blockOfKey(key);
    const { space } = this.facts;
    const answer = await this.member.ask('giveBack', async (ledger) =>
      owner === undefined
        ? ledger.giveBack(space, block, revision)
        : ledger.unpin(space, block.first, revision, sticky),
    );
    const { metrics, log } = this.#options;
    const outcome = !answer.ok ? 'failed' : answer.value ? 'returned' : 'changed';
    metrics.returns.inc({ network: this.name, outcome });
    if (!answer.ok) return this.happens({ what: 'unreturned', claim });
    log.info(answer.value ? `gave ${blockText(block)} back` : `${blockText(block)} was given back before`, {
      network: this.name,
    });
    this.hints = this.hints.filter((one) => one.claim !== claim);
    this.happens({ what: 'returned', claim });
  }

  #settle({ claim, key, owner }: Try, outcome: Outcome): void {
    const { metrics, log } = this.#options;
    metrics.claims.inc({ network: this.name, outcome });
    const reason = this.#reasons.get(claim) ?? { why: '' };
    this.#reasons.delete(claim);
    if (outcome === 'held') log.info(`claimed ${blockText(blockOfKey(key))}`, { network: this.name, owner });
    const done = this.#endings.get(claim);
    this.#endings.delete(claim);
    done?.({ outcome, ...reason });
  }

  #tellChanges(before: Pool, after: Pool): void {
    if (before.holds === after.holds) return;
    const { metrics, log } = this.#options;
    for (const state of ['held', 'draining', 'lost'] as const) {
      const count = after.holds.filter((one) => one.state === state).length;
      metrics.blocks.set({ network: this.name, state }, count);
    }
    const lostBefore = new Set(
      before.holds.filter(({ state }) => state === 'lost').map(({ claim }) => claim),
    );
    for (const { key, state, claim } of after.holds) {
      if (state !== 'lost' || lostBefore.has(claim)) continue;
      metrics.lost.inc({ network: this.name });
      log.error(
        `${blockText(blockOfKey(key))} is lost: etcd has it no more as this node's. It gives no new addresses; containers that have one of it may share it with others: start them anew`,
        { network: this.name },
      );
    }
  }
}
