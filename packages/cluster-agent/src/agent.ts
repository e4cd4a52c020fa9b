/** The agent: its networks, the etcds they borrow from, and its answers. */
import { readFileSync } from 'node:fs';
import type {
  AgentStatus,
  Answer,
  BlockQuestion,
  EtcdSettings,
  NetworkQuestion,
  Question,
} from '@cni-ts/cluster/agent-talk';
import { errorText } from '@cni-ts/spec/cni-error';
import { BlockQueue } from './block-queue.ts';
import { numbered } from './choose-block.ts';
import { fenceAnswer, spacesAnswer } from './cluster-answers.ts';
import { FolderKeeper } from './folder-keeper.ts';
import type { Ledger } from './ledger.ts';
import type { Log } from './log.ts';
import { Member } from './member.ts';
import type { Metrics } from './metrics.ts';
import { blockOfKey, Network, nameOf } from './network.ts';
import { importAll, pin } from './pins.ts';
import { readQuestion } from './questions.ts';
import { inTime, mostMs, Refused, whyNot } from './refusal.ts';
import type { Settings } from './settings.ts';
import { type NetworkFacts, StateFolder } from './state-folder.ts';

export interface AgentOptions {
  readonly settings: Settings;
  readonly version: string;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Opens an etcd; it need not answer yet. */
  readonly connect: (etcd: EtcdSettings, prefix: string) => Ledger;
  /** Of this boot of the node. */
  readonly boot?: string;
}

interface Held {
  readonly network: Network;
  readonly queue: BlockQueue;
  readonly keeper: FolderKeeper;
}

/** Of questions of people: their programs wait for 15 s. */
const importMs = 12_000;
const aliveMs = 20_000;

export class Agent {
  readonly #options: AgentOptions;
  readonly #state: StateFolder;
  readonly #members = new Map<string, Member>();
  readonly #networks = new Map<string, Held>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #boot: string;
  readonly #uid: string;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { settings, log } = options;
    this.#state = new StateFolder(settings.stateFolder);
    this.#uid = this.#state.node.uid;
    this.#boot = options.boot ?? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const facts = this.#state.networks();
    for (const name of this.#state.names()) {
      const known = facts[name];
      if (known) this.#hold(name, known);
      else log.warn(`of network ${name} there are blocks and nothing else: they wait for its next ADD`);
    }
    if (settings.etcd) this.#member(settings.etcd, settings.prefix);
    this.#every(settings.period, () => this.#look());
    this.#every(settings.compare, () => this.#compare());
    this.#every(aliveMs / 1000, () => {
      for (const member of this.#members.values()) if (member.registered) void member.stayAlive();
    });
    this.#compare();
  }

  get trouble(): string[] {
    return [...this.#members.values()].flatMap((member) => [
      ...member.trouble,
      ...(member.reachable.is ? [] : [whyNot(member)?.message ?? '']),
    ]);
  }

  /** The answer's line; undefined for a hint. */
  async answer(line: string, signal: AbortSignal): Promise<string | undefined> {
    const { metrics, log } = this.#options;
    const end = metrics.questionTime.startTimer();
    let ask = 'unknown';
    let answer: Answer | undefined;
    try {
      const question = readQuestion(line);
      ask = question.ask;
      answer = await this.#answer(question, signal);
    } catch (error) {
      const refused =
        error instanceof Refused ? error : new Refused(`cluster-agent failed: ${errorText(error)}`);
      answer = refused.answer;
      const { message, details } = refused;
      log.warn(`refused: ${message}`, { ask, ...(details !== '' && { cure: details }) });
    }
    end({ ask });
    metrics.questions.inc({ ask, answer: answer && 'error' in answer ? 'refused' : 'ok' });
    return answer && JSON.stringify(answer);
  }

  /** The etcds are opened anew, with certificates and passwords as they are now. */
  reconnect(): void {
    for (const member of this.#members.values()) void member.reconnect();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const { keeper, queue } of this.#networks.values()) {
      keeper.close();
      queue.refuse(new Refused('cluster-agent is ending', 'try again'));
    }
    await Promise.allSettled([...this.#members.values()].map((member) => member.close()));
  }

  async #answer(question: Question, signal: AbortSignal): Promise<Answer | undefined> {
    switch (question.ask) {
      case 'block':
        return this.#block(question, signal);
      case 'pin': {
        const { network } = this.#networkOf(question);
        await this.#bounded(network, signal, async (until) => {
          await network.ready(until);
          await pin(network, question, until);
        });
        return { ok: true };
      }
      case 'confirm': {
        const { network } = this.#networkOf(question);
        await this.#bounded(network, signal, (until) => network.ready(until));
        return { ok: true };
      }
      case 'status':
        return this.#status(question.network);
      case 'spaces':
        return spacesAnswer(this.#anyMembers(), question.space);
      case 'fence': {
        const [member] = this.#anyMembers();
        const drain = () => {
          for (const { keeper } of this.#networks.values()) keeper.look();
        };
        // reason: anyMembers throws where there is none
        return fenceAnswer(member!, question.node, question.off, drain);
      }
      case 'import': {
        const { network } = this.#networkOf(question);
        const { reservations, yes } = question;
        return this.#bounded(
          network,
          signal,
          async (until) => {
            await network.ready(until);
            return importAll(network, reservations, yes, until);
          },
          importMs,
        );
      }
    }
  }

  async #block(question: BlockQuestion, signal: AbortSignal): Promise<Answer | undefined> {
    const { network, queue } = this.#networkOf(question);
    const { blockLength, now } = question;
    const ranges = question.ranges.map(numbered);
    const text = question.ranges.map(({ start, end }) => `${start}-${end}`).join(',');
    const wish = { ranges, blockLength, text };
    if (!now) {
      queue.hint(wish);
      return undefined;
    }
    const { metrics } = this.#options;
    await this.#bounded(network, signal, async (until) => {
      await network.ready(until);
      const came = queue.wait(wish, until);
      metrics.waiting.set({ network: network.name }, queue.length);
      await came.finally(() => metrics.waiting.set({ network: network.name }, queue.length));
    });
    return { ok: true };
  }

  /** `work`, until who asked has gone or has to be answered. */
  async #bounded<T>(
    { member }: Network,
    signal: AbortSignal,
    work: (until: AbortSignal) => Promise<T>,
    milliseconds: number = mostMs,
  ): Promise<T> {
    const over = new AbortController();
    const late = () =>
      whyNot(member) ??
      new Refused(`etcd (${member.name}) has not answered within ${mostMs / 1000} s`, 'try again');
    try {
      return await inTime(work(AbortSignal.any([signal, over.signal])), late, milliseconds);
    } finally {
      over.abort();
    }
  }

  #status(only: string | undefined): AgentStatus {
    const [member] = this.#members.values();
    const lost = [...this.#networks.values()]
      .filter(({ network }) => only === undefined || network.name === only)
      .flatMap(({ network, keeper }) => {
        const blocks = network.pool.holds.filter(({ state }) => state === 'lost');
        if (blocks.length === 0) return [];
        const view = keeper.view();
        return blocks.map(({ key }) => {
          const block = blockOfKey(key);
          const who = view.holdersIn(block).join(', ') || 'no container';
          return `block ${nameOf(block)} of network ${network.name} is lost: etcd has it no more as this node's; start anew what has an address of it: ${who}`;
        });
      });
    const { is, since, error } = member?.reachable ?? {
      is: false,
      since: new Date().toISOString(),
      error: 'no network has asked yet, and the agent has no --endpoints',
    };
    return {
      ok: true,
      node: this.#options.settings.node,
      version: this.#options.version,
      etcd: { reachable: is, since, ...(error !== '' && { error }) },
      trouble: [...[...this.#members.values()].flatMap(({ trouble }) => trouble), ...lost],
    };
  }

  #anyMembers(): Member[] {
    const all = [...this.#members.values()];
    if (all.length === 0) {
      throw new Refused(
        'this agent knows no etcd yet',
        'give it --endpoints, or start a container of a network whose configuration names etcd',
      );
    }
    return all;
  }

  #networkOf({ network, space, folder, cooldown, prefix, etcd }: NetworkQuestion): Held {
    const facts: NetworkFacts = {
      space,
      folder,
      cooldown,
      ...(prefix !== undefined && { prefix }),
      ...(etcd && { etcd }),
    };
    const known = this.#networks.get(network);
    if (!known) {
      const held = this.#hold(network, facts);
      this.#keepFacts();
      return held;
    }
    const before = known.network.facts;
    if (before.space !== space && known.network.pool.holds.length > 0) {
      throw new Refused(
        `network ${network} has blocks of space ${before.space} on this node, and now wants space ${space}`,
        'give the network another name, or remove its containers first',
      );
    }
    if (JSON.stringify(before) !== JSON.stringify(facts)) {
      const moved = before.space !== space || before.folder !== folder || before.prefix !== prefix;
      const other = !this.#options.settings.etcd && JSON.stringify(before.etcd) !== JSON.stringify(etcd);
      if (moved || other) {
        known.keeper.close();
        known.queue.refuse(new Refused('the network’s configuration has changed', 'try again'));
        const held = this.#hold(network, facts);
        this.#keepFacts();
        return held;
      }
      known.network.facts = facts;
      this.#keepFacts();
    }
    return known;
  }

  #hold(name: string, facts: NetworkFacts): Held {
    const { settings, log, metrics } = this.#options;
    const etcd = settings.etcd ?? facts.etcd;
    if (!etcd) {
      throw new Refused(
        `network ${name}: neither the agent nor the network's configuration says where etcd is`,
        'start cluster-agent with --endpoints, or write etcd_host into the configuration',
      );
    }
    const member = this.#member(etcd, facts.prefix ?? settings.prefix);
    const network = new Network({ name, facts, member, state: this.#state, boot: this.#boot, log, metrics });
    const keeper = new FolderKeeper(network, log, metrics);
    const queue = new BlockQueue(network);
    const held = { network, queue, keeper };
    network.watchers.add(() => keeper.soonIfChanged());
    this.#networks.set(name, held);
    return held;
  }

  #member(etcd: EtcdSettings, prefix: string): Member {
    const { settings, connect, version, log, metrics } = this.#options;
    const place = etcd === settings.etcd ? '' : `${etcd.endpoints.join(',')} `;
    const name = `${place}${prefix}`;
    const known = this.#members.get(name);
    if (known) return known;
    const member = new Member({
      name,
      open: () => connect(etcd, prefix),
      node: settings.node,
      uid: this.#uid,
      version,
      state: this.#state,
      log,
      metrics,
    });
    member.onChange = () => {
      for (const { network, keeper } of this.#networks.values()) {
        if (network.member !== member) continue;
        network.happens({ what: member.registered ? 'registered' : 'halted' });
        keeper.soon();
      }
    };
    this.#members.set(name, member);
    return member;
  }

  #keepFacts(): void {
    const all = [...this.#networks].map(([name, { network }]) => [name, network.facts]);
    try {
      this.#state.writeNetworks(Object.fromEntries(all));
    } catch (error) {
      this.#options.log.warn(`what networks said is not kept: ${errorText(error)}`);
    }
  }

  #every(seconds: number, work: () => void): void {
    this.#timers.push(setInterval(work, seconds * 1000));
  }

  #look(): void {
    for (const { keeper } of this.#networks.values()) keeper.look();
    for (const member of this.#members.values()) void this.#lookAround(member);
  }

  async #lookAround(member: Member): Promise<void> {
    await member.lookAround();
    if (!member.fencing || !member.registered) return;
    const its = [...this.#networks.values()].filter(({ network }) => network.member === member);
    const done = its.every(({ network: { pool } }) => pool.fencing && pool.holds.length === 0);
    if (done) await member.fenceDone();
  }

  #compare(): void {
    for (const member of this.#members.values()) void member.register();
    for (const { network, keeper } of this.#networks.values()) {
      network.happens({ what: 'tick' });
      void keeper.reclaim();
    }
  }
}
