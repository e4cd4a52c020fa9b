/** This node as one etcd knows it: under its name and uid, alive, perhaps asked to drain. Nothing is claimed or given back
 *  through an etcd that has not taken the name, or that looks like a copy of an earlier time. */
import { errorText } from '@cni-ts/spec/cni-error';
import type { Entry, Grid, Ledger } from './ledger.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { StateFolder } from './state-folder.ts';

/** What a request came to. unknown: it may have been carried out, or may still be. */
export type Asked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly unknown: boolean; readonly why: string };

/** A plugin is answered within 1.8 s, and an answer that did not come has to be looked for before that. */
const requestMs = 900;

export interface MemberOptions {
  /** How logs, metrics and the state folder call this etcd. */
  readonly name: string;
  /** Its endpoints, for people. */
  readonly where: string;
  /** Opens this etcd; it need not answer yet. */
  readonly open: () => Ledger;
  readonly node: string;
  readonly uid: string;
  readonly version: string;
  readonly state: StateFolder;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class Member {
  readonly name: string;
  readonly node: string;
  readonly uid: string;
  readonly #options: MemberOptions;
  #open: () => Ledger;
  #ledger: Ledger;
  registered = false;
  fencing = false;
  /** Sentences; none while all is well. */
  trouble: readonly string[] = [];
  reachable = { is: true, since: new Date().toISOString(), error: '' };
  /** Told when `registered` or `fencing` has changed. */
  onChange: () => void = () => {};
  #registering: Promise<void> | undefined;
  readonly #grids = new Map<string, Grid>();
  nodes = 1;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.name = options.name;
    this.node = options.node;
    this.uid = options.uid;
    this.#open = options.open;
    this.#ledger = options.open();
  }

  /** One request, bounded in time, timed, and the sight of etcd kept up to date. */
  async ask<T>(
    request: string,
    work: (ledger: Ledger) => Promise<T>,
    milliseconds = requestMs,
  ): Promise<Asked<T>> {
    const started = performance.now();
    const answer = await bounded(() => work(this.#ledger), milliseconds, this.#options.where);
    const seconds = (performance.now() - started) / 1000;
    const outcome = answer.ok ? 'answered' : answer.unknown ? 'unanswered' : 'failed';
    this.#options.metrics.requestTime.observe({ request, outcome }, seconds);
    this.#sees(answer);
    return answer;
  }

  /** Takes the name, after a look whether this is the etcd that it was. Many calls are one. */
  register(): Promise<void> {
    this.#registering ??= this.#register().finally(() => {
      this.#registering = undefined;
    });
    return this.#registering;
  }

  async #register(): Promise<void> {
    const place = await this.ask('place', (ledger) => ledger.place());
    if (!place.ok) return;
    if (!this.#isSameEtcd(place.value)) {
      this.#change(false, [restoredText(this.name, this.#known(), place.value)]);
      return;
    }
    const { node, uid, version, state, log } = this.#options;
    const take = (over: boolean) =>
      this.ask('register', (ledger) => ledger.registerNode({ node, uid, version }, over));
    let answer = await take(false);
    if (answer.ok && answer.value !== 'ok' && state.heard('take-over')) {
      const file = state.node;
      state.writeNode({ ...file, former: [...file.former, answer.value.uid] });
      log.warn(`this node takes the name ${node} over`, { etcd: this.name, from: answer.value.uid });
      answer = await take(true);
    }
    if (!answer.ok) return;
    if (answer.value !== 'ok') {
      this.#change(false, [nameTakenText(node, answer.value)]);
      return;
    }
    this.#keepPlace(place.value);
    if (this.registered) return;
    log.info(`etcd knows this node as ${node}`, { etcd: this.name, uid });
    await this.stayAlive();
    await this.#countNodes();
    this.#change(true, []);
  }

  async stayAlive(): Promise<void> {
    await this.ask('alive', (ledger) => ledger.keepAlive(this.node));
  }

  /** Every few seconds: is it the same etcd, does anybody want the blocks back? */
  async lookAround(): Promise<void> {
    await this.register();
    if (!this.registered) return;
    const asked = await this.ask('fence', (ledger) => ledger.fenceAsked(this.node));
    if (asked.ok) this.drain(asked.value);
  }

  /** Now and then, since it is a list of all nodes: how many are we? */
  async lookFar(): Promise<void> {
    await this.register();
    if (this.registered) await this.#countNodes();
  }

  async #countNodes(): Promise<void> {
    const nodes = await this.ask('nodes', (ledger) => ledger.nodes());
    if (nodes.ok) this.nodes = Math.max(1, nodes.value.length);
  }

  drain(asked: boolean): void {
    if (asked === this.fencing) return;
    this.fencing = asked;
    this.#options.log.info(asked ? 'asked to give all blocks back' : 'blocks may be claimed again', {
      etcd: this.name,
    });
    this.onChange();
  }

  /** The limits of a space's grid. */
  async grid(space: string): Promise<Asked<Grid>> {
    const known = this.#grids.get(space);
    if (known) return { ok: true, value: known };
    const wanted = { largest: { 4: 8, 6: 48 }, created: new Date().toISOString() };
    const answer = await this.ask('grid', (ledger) => ledger.grid(space, wanted));
    if (answer.ok) this.#grids.set(space, answer.value);
    return answer;
  }

  /** Whether an entry is this node's: under its uid, or that of one that it has taken the place of. */
  isOwn({ node, uid }: Entry): boolean {
    return node === this.node && (uid === this.uid || this.#options.state.node.former.includes(uid));
  }

  entries(filter: Parameters<Ledger['entries']>[0], milliseconds = 2000): Promise<Asked<Entry[]>> {
    return this.ask('entries', (ledger) => ledger.entries(filter), milliseconds);
  }

  /** All of a space. Networks that ask in one turn share an answer: nothing can happen to any of them between their questions. */
  entriesOf(space: string): Promise<Asked<Entry[]>> {
    const asked = this.#listings.get(space) ?? this.entries({ space });
    this.#listings.set(space, asked);
    queueMicrotask(() => this.#listings.delete(space));
    return asked;
  }
  readonly #listings = new Map<string, Promise<Asked<Entry[]>>>();

  /** All was given back: blocks may be claimed again. */
  async fenceDone(): Promise<void> {
    const answer = await this.ask('fence', (ledger) => ledger.fenceDone(this.node));
    if (answer.ok) this.drain(false);
  }

  /** Requests that run end by themselves. The old lease ends only once there is a new one. */
  async reconnect(open: () => Ledger = this.#open): Promise<void> {
    const before = this.#ledger;
    this.#ledger = open();
    this.#open = open;
    if (this.registered) await this.stayAlive();
    await this.ask('close', () => before.close());
  }

  close(): Promise<void> {
    return this.#ledger.close();
  }

  #sees<T>(answer: Asked<T>): void {
    const { log, metrics } = this.#options;
    metrics.reachable.set({ etcd: this.name }, answer.ok ? 1 : 0);
    if (answer.ok === this.reachable.is) {
      if (!answer.ok) this.reachable.error = answer.why;
      return;
    }
    this.reachable = {
      is: answer.ok,
      since: new Date().toISOString(),
      error: answer.ok ? '' : answer.why,
    };
    if (answer.ok) log.info('etcd answers again', { etcd: this.name });
    else log.warn(`etcd is out of reach: ${answer.why}`, { etcd: this.name });
  }

  #change(registered: boolean, trouble: readonly string[]): void {
    const { log, metrics } = this.#options;
    for (const sentence of trouble) {
      if (!this.trouble.includes(sentence)) log.error(sentence, { etcd: this.name });
    }
    metrics.trouble.set({ etcd: this.name }, trouble.length > 0 ? 1 : 0);
    if (registered === this.registered && trouble.join() === this.trouble.join()) return;
    this.trouble = trouble;
    this.registered = registered;
    this.onChange();
  }

  #known() {
    return this.#options.state.node.clusters[this.name];
  }

  #isSameEtcd(place: { clusterId: string; revision: string }): boolean {
    const known = this.#known();
    if (!known) return true;
    if (known.id === place.clusterId && BigInt(place.revision) >= BigInt(known.revision)) return true;
    if (!this.#options.state.heard('accept-restored')) return false;
    this.#options.log.warn('etcd as it is now was accepted', { etcd: this.name });
    this.#keepPlace(place, true);
    return true;
  }

  #keepPlace({ clusterId, revision }: { clusterId: string; revision: string }, always = false): void {
    const { state } = this.#options;
    const node = state.node;
    const known = node.clusters[this.name];
    if (!always && known?.id === clusterId && BigInt(known.revision) >= BigInt(revision)) return;
    try {
      state.writeNode({ ...node, clusters: { ...node.clusters, [this.name]: { id: clusterId, revision } } });
    } catch (error) {
      // An older revision is enough to notice most restores by.
      this.#options.log.warn(`the revision of etcd is not kept: ${errorText(error)}`);
    }
  }
}

/** `work` for so long at most. A failure that does not say that nothing was done counts as unknown. */
async function bounded<T>(work: () => Promise<T>, milliseconds: number, where: string): Promise<Asked<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Asked<T>>((done) => {
    timer = setTimeout(
      () =>
        done({
          ok: false,
          unknown: true,
          why: `no answer from etcd at ${where} within ${milliseconds / 1000} s`,
        }),
      milliseconds,
    );
  });
  const answer = (async (): Promise<Asked<T>> => {
    try {
      return { ok: true, value: await work() };
    } catch (error) {
      const unknown = !(error instanceof Error && 'unknown' in error && error.unknown === false);
      return { ok: false, unknown, why: errorText(error) };
    }
  })();
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function restoredText(
  name: string,
  known: { id: string; revision: string } | undefined,
  place: { clusterId: string; revision: string },
): string {
  const what =
    known?.id === place.clusterId
      ? `its revision went back from ${known.revision} to ${place.revision}`
      : `it is cluster ${place.clusterId}, and was ${known?.id}`;
  return `etcd ${name} is not as it was: ${what}. It seems to be restored from an older copy, and may give out blocks that nodes have: nothing is claimed or given back until "cluster-agent --accept-restored" was called on each node`;
}

function nameTakenText(node: string, { uid, since }: { uid: string; since: string }): string {
  return `another node is called ${node} (uid ${uid}, since ${since}): give one of them another name (--node), or, where this one was set up anew, call "cnitool ipam fence ${node} --off" on another node, or "cluster-agent --take-over" here`;
}
