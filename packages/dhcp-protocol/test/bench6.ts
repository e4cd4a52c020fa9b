/** A DHCPv6 client on a table: its state goes through JSON between any two steps, and time is what a test says. */
import { newClient6, parseClient6, step6 } from '../src/client6.ts';
import type { Client6Config, Client6State, Event6, Outcome6, Outgoing6 } from '../src/client6-state.ts';
import { fromHex } from '../src/hex.ts';
import { decodeMessage6, encodeMessage6, type Message6, MessageType6 } from '../src/message6.ts';
import type { IaAddress, Options6, Status6 } from '../src/options6.ts';

export const config: Client6Config = {
  duid: '00030001020000000001',
  iaid: 7,
  request: [23, 24],
  rapidCommit: false,
  resendTimeout: 208_000,
};

export const server = '00030001020000000099';

interface Given {
  readonly address?: Partial<IaAddress>;
  readonly addresses?: readonly IaAddress[];
  readonly server?: string;
  readonly iaStatus?: Status6;
  readonly times?: readonly [t1: number, t2: number];
  readonly options?: Options6;
}

/** What a server answers to a message: an address for 100 s, T1 40, T2 80. */
export function answer(to: Message6, type: 'advertise' | 'reply', given: Given = {}): Message6 {
  const one = { address: '2001:db8::5', preferred: 100, valid: 100, ...given.address };
  const [t1, t2] = given.times ?? [40, 80];
  const ia = { iaid: 7, t1, t2, addresses: given.addresses ?? [one] };
  const { clientId } = to.options;
  return {
    type: MessageType6[type],
    xid: to.xid,
    options: {
      ...(clientId !== undefined && { clientId }),
      serverId: fromHex(given.server ?? server)!,
      ia: [given.iaStatus === undefined ? ia : { ...ia, status: given.iaStatus }],
      ...given.options,
    },
  };
}

export class Bench6 {
  state: Client6State;
  /** Milliseconds. */
  now = 1000;
  wall = 1_000_000_000_000;
  boot = 'one';
  wakeAt: number | undefined;
  readonly sent: Outgoing6[] = [];
  readonly outcomes: Outcome6[] = [];
  readonly #random: () => number;

  constructor(changes: Partial<Client6Config> = {}, random: () => number = () => 0.5) {
    this.#random = random;
    this.state = newClient6({ ...config, ...changes }, this.clock());
  }

  clock() {
    return { boottime: this.now, wall: this.wall, boot: this.boot };
  }

  /** What was sent in this step; messages as they come out of the wire. */
  step(event: Event6): Outgoing6[] {
    const stored = JSON.stringify(this.state);
    const state = parseClient6(JSON.parse(stored));
    if (state === undefined) throw new Error(`this is not read back: ${stored}`);
    const { send, outcome, wakeAt, state: next } = step6(state, event, this.clock(), this.#random);
    if (JSON.stringify(state) !== stored) throw new Error('the step has changed the state it was given');
    this.state = next;
    this.wakeAt = wakeAt;
    const heard = send.map((one) => ({ ...one, message: decodeMessage6(encodeMessage6(one.message)) }));
    this.sent.push(...heard);
    if (outcome !== undefined) this.outcomes.push(outcome);
    return heard;
  }

  hear(message: Message6): Outgoing6[] {
    return this.step({ type: 'message', message });
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.wall += milliseconds;
  }

  /** Up to this many milliseconds, with all that is due on the way; what was sent, and when. */
  run(milliseconds: number): { after: number; sent: Outgoing6 }[] {
    const from = this.now;
    const end = from + milliseconds;
    const all: { after: number; sent: Outgoing6 }[] = [];
    for (let steps = 0; this.wakeAt !== undefined && this.wakeAt <= end; steps++) {
      if (steps === 10_000) throw new Error('the client is awake all the time');
      this.pass(Math.max(0, this.wakeAt - this.now));
      for (const sent of this.step({ type: 'timer' })) all.push({ after: this.now - from, sent });
    }
    this.pass(end - this.now);
    return all;
  }

  /** From nothing to a lease. */
  bind(given: Given = {}): void {
    const [solicit] = this.step({ type: 'start' });
    const preference = { ...given, options: { ...given.options, preference: 255 } };
    const [request] = this.hear(answer(solicit!.message, 'advertise', preference));
    this.hear(answer(request!.message, 'reply', given));
  }

  get outcome(): Outcome6 | undefined {
    return this.outcomes.at(-1);
  }

  get last(): Outgoing6 {
    return this.sent.at(-1)!;
  }
}
