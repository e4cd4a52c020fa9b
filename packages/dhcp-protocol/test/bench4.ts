/** A DHCPv4 client on a table: its state goes through JSON between any two steps, and time is what a test says. */
import { newClient4, parseClient4, step4 } from '../src/client4.ts';
import type { Client4Config, Client4State, Event4, Outcome4, Outgoing4 } from '../src/client4-state.ts';
import { decodeMessage4, encodeMessage4, type Message4, MessageType4 } from '../src/message4.ts';
import {
  type OptionName4,
  type OptionValues4,
  type RawOptions4,
  readOption4,
  writeOption4,
} from '../src/options4.ts';

export const config: Client4Config = {
  mac: '02:00:00:00:00:01',
  clientId: '0063312f6d796e65742f65746830',
  request: [3, 1],
  provide: {},
  broadcast: false,
  timeout: 10_000,
  resendMax: 62_000,
  resendTimeout: 208_000,
};

export type Values = Partial<OptionValues4>;

/** What a server answers to a message: same transaction, same client. */
export function answer(
  to: Message4,
  type: keyof typeof MessageType4,
  yiaddr: string,
  values: Values = {},
): Message4 {
  const options: RawOptions4 = new Map();
  writeOption4(options, 'messageType', MessageType4[type]);
  for (const name of Object.keys(values) as OptionName4[]) writeOption4(options, name, values[name]!);
  return { ...to, op: 2, ciaddr: '0.0.0.0', yiaddr, options };
}

export class Bench4 {
  state: Client4State;
  /** Milliseconds. */
  now = 1000;
  wall = 1_000_000_000_000;
  boot = 'one';
  wakeAt: number | undefined;
  readonly sent: Outgoing4[] = [];
  readonly outcomes: Outcome4[] = [];
  readonly #random: () => number;

  constructor(changes: Partial<Client4Config> = {}, random: () => number = () => 0.5) {
    this.#random = random;
    this.state = newClient4({ ...config, ...changes }, this.clock());
  }

  clock() {
    return { boottime: this.now, wall: this.wall, boot: this.boot };
  }

  /** What was sent in this step; messages as they come out of the wire. */
  step(event: Event4): Outgoing4[] {
    const stored = JSON.stringify(this.state);
    const state = parseClient4(JSON.parse(stored));
    if (state === undefined) throw new Error(`this is not read back: ${stored}`);
    const { send, outcome, wakeAt, state: next } = step4(state, event, this.clock(), this.#random);
    if (JSON.stringify(state) !== stored) throw new Error('the step has changed the state it was given');
    this.state = next;
    this.wakeAt = wakeAt;
    const heard = send.map((one) => ({ ...one, message: decodeMessage4(encodeMessage4(one.message)) }));
    this.sent.push(...heard);
    if (outcome !== undefined) this.outcomes.push(outcome);
    return heard;
  }

  hear(message: Message4): Outgoing4[] {
    return this.step({ type: 'message', message });
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.wall += milliseconds;
  }

  /** To the next time at which the client wants to be woken; what it then sends. */
  wake(): Outgoing4[] {
    if (this.wakeAt === undefined) throw new Error('the client wants to sleep for ever');
    this.pass(Math.max(0, this.wakeAt - this.now));
    return this.step({ type: 'timer' });
  }

  /** Up to this many milliseconds, with all that is due on the way; what was sent, and when. */
  run(milliseconds: number): { after: number; sent: Outgoing4 }[] {
    const from = this.now;
    const end = from + milliseconds;
    const all: { after: number; sent: Outgoing4 }[] = [];
    for (let steps = 0; this.wakeAt !== undefined && this.wakeAt <= end; steps++) {
      if (steps === 10_000) throw new Error('the client is awake all the time');
      for (const sent of this.wake()) all.push({ after: this.now - from, sent });
    }
    this.pass(end - this.now);
    return all;
  }

  /** From nothing to a lease of this address. */
  bind(address = '192.168.7.50', values: Values = {}): Message4 {
    const given = { serverId: '192.168.7.1', subnetMask: '255.255.255.0', leaseTime: 80, ...values };
    const [discover] = this.step({ type: 'start' });
    const [request] = this.hear(answer(discover!.message, 'offer', address, given));
    const ack = answer(request!.message, 'ack', address, given);
    this.hear(ack);
    return ack;
  }

  get outcome(): Outcome4 | undefined {
    return this.outcomes.at(-1);
  }

  get last(): Outgoing4 {
    return this.sent.at(-1)!;
  }
}

/** The options of a message by code, in order, for whoever compares them. */
export function codesOf({ message }: Outgoing4): number[] {
  return [...message.options.keys()];
}

export function option<N extends OptionName4>({ message }: Outgoing4, name: N): OptionValues4[N] | undefined {
  return readOption4(message.options, name);
}
