/** The agent: its networks, the etcds they borrow from, and its answers. */
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { AgentStatus, Answer, BlockQuestion, EtcdSettings, Question } from '@cni-ts/cluster/agent-talk';
import { blockOfKey, blockText } from '@cni-ts/cluster/block';
import { errorText } from '@cni-ts/spec/cni-error';
import { numbered } from './choose-block.ts';
import { fenceAnswer, spacesAnswer } from './cluster-answers.ts';
import type { Ledger } from './ledger.ts';
import type { Log } from './log.ts';
import type { Member } from './member.ts';
import type { Metrics } from './metrics.ts';
import type { Network } from './network.ts';
import { Networks } from './networks.ts';
import { importAll, pin } from './pins.ts';
import { readQuestion } from './questions.ts';
import { inTime, mostMs, Refused, whyNot } from './refusal.ts';
import type { Settings } from './settings.ts';
import { StateFolder } from './state-folder.ts';

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

/** Of questions of people: their programs wait for 15 s. */
const importMs = 12_000;
const aliveMs = 20_000;

export class Agent {
  readonly #options: AgentOptions;
  readonly #networks: Networks;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(options: AgentOptions) {
    this.#options = options;
    const { settings } = options;
    const boot = options.boot ?? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    this.#networks = new Networks({ ...options, boot, state: new StateFolder(settings.stateFolder) });
    this.#every(settings.period, () => this.#look());
    this.#every(settings.compare, () => this.#compare());
    this.#every(aliveMs / 1000, () => {
      for (const member of this.#networks.members) if (member.registered) void member.stayAlive();
    });
    this.#compare();
  }

  get trouble(): string[] {
    return this.#networks.members.flatMap((member) => [
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
    for (const member of this.#networks.members) void member.reconnect();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const { keeper, queue } of this.#networks.all) {
      keeper.close();
      queue.refuse(new Refused('cluster-agent is ending', 'try again'));
    }
    await Promise.allSettled(this.#networks.members.map((member) => member.close()));
  }

  async #answer(question: Question, signal: AbortSignal): Promise<Answer | undefined> {
    switch (question.ask) {
      case 'block':
        return this.#block(question, signal);
      case 'pin': {
        const { network } = this.#networks.of(question);
        await this.#bounded(network, signal, async (until) => {
          await network.ready(until);
          await pin(network, question, until);
        });
        return { ok: true };
      }
      case 'confirm': {
        const { network } = this.#networks.of(question);
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
          for (const { keeper } of this.#networks.all) keeper.look();
        };
        // reason: anyMembers throws where there is none
        return fenceAnswer(member!, question.node, question.off, drain);
      }
      case 'import': {
        const { network } = this.#networks.of(question);
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
    const { network, queue } = this.#networks.of(question);
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
    const [member] = this.#networks.members;
    const lost = this.#networks.all
      .filter(({ network }) => only === undefined || network.name === only)
      .flatMap(({ network }) => {
        const blocks = network.pool.holds.filter(({ state }) => state === 'lost');
        if (blocks.length === 0) return [];
        const view = network.view();
        return blocks.map(({ key }) => {
          const block = blockOfKey(key);
          const who = view.holdersIn(block).join(', ') || 'no container';
          return `block ${blockText(block)} of network ${network.name} is lost: etcd has it no more as this node's; start anew what has an address of it: ${who}`;
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
      trouble: [...this.#networks.members.flatMap(({ trouble }) => trouble), ...lost],
    };
  }

  #anyMembers(): Member[] {
    const all = this.#networks.members;
    if (all.length === 0) {
      throw new Refused(
        'this agent knows no etcd yet',
        'give it --endpoints, or start a container of a network whose configuration names etcd',
      );
    }
    return all;
  }

  #every(seconds: number, work: () => void): void {
    this.#timers.push(setInterval(work, seconds * 1000));
  }

  #look(): void {
    void this.#lookIntoAll();
    for (const member of this.#networks.members) void this.#lookAround(member);
  }

  /** There may be many: who asks meanwhile is answered between two of them. */
  async #lookIntoAll(): Promise<void> {
    for (const { keeper } of this.#networks.all) {
      keeper.look();
      await turn();
    }
  }

  async #lookAround(member: Member): Promise<void> {
    await member.lookAround();
    if (!member.fencing || !member.registered) return;
    const its = this.#networks.all.filter(({ network }) => network.member === member);
    const done = its.every(({ network: { pool } }) => pool.fencing && pool.holds.length === 0);
    if (done) await member.fenceDone();
  }

  #compare(): void {
    for (const member of this.#networks.members) void member.lookFar();
    for (const { network, keeper } of this.#networks.all) {
      network.happens({ what: 'tick' });
      void keeper.reclaim();
    }
  }
}
