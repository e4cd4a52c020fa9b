/** The DHCPv4 client among servers and on a wire that do what they like. What must hold is what an operator relies on: no
 *  address is used past its end, and none changes without a word. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answer, Bench4, option, type Values } from '../test/bench4.ts';
import type { Outgoing4 } from './client4-state.ts';
import type { Message4 } from './message4.ts';

/** How a run is: shares are of one. */
interface World {
  readonly seed: number;
  readonly servers: number;
  readonly leaseTime: number;
  readonly loss: number;
  readonly duplicates: number;
  /** Longest time on the wire, milliseconds. */
  readonly delay: number;
  readonly refuses: number;
  /** Each second: a server forgets all, moves to other addresses, or falls silent; the daemon is killed or sleeps; the
   *  link goes down. */
  readonly trouble: number;
}

const world: fc.Arbitrary<World> = fc.record({
  seed: fc.nat(),
  servers: fc.integer({ min: 1, max: 3 }),
  leaseTime: fc.oneof(fc.integer({ min: 20, max: 300 }), fc.constant(0xffffffff)),
  loss: fc.constantFrom(0, 0.1, 0.5),
  duplicates: fc.constantFrom(0, 0.3),
  delay: fc.constantFrom(0, 500, 3000),
  refuses: fc.constantFrom(0, 0.2),
  trouble: fc.constantFrom(0, 0.01, 0.05),
});

/** Worlds in which an address was once used past its end: by the answer to a question of before the process slept, to one that
 *  was given up meanwhile, and to one of the daemon before. */
const found: readonly World[] = [
  {
    seed: 409354209,
    servers: 2,
    leaseTime: 20,
    loss: 0,
    duplicates: 0,
    delay: 3000,
    refuses: 0,
    trouble: 0.05,
  },
  {
    seed: 2147483637,
    servers: 2,
    leaseTime: 207,
    loss: 0.1,
    duplicates: 0.3,
    delay: 500,
    refuses: 0,
    trouble: 0.01,
  },
  { seed: 18, servers: 3, leaseTime: 193, loss: 0, duplicates: 0, delay: 0, refuses: 0, trouble: 0.01 },
];

const seconds = 900;

test('no address is used past its end, and none changes without an outcome that says so', () => {
  fc.assert(
    fc.property(world, (given) => {
      const model = new Model(given);
      model.run();
      model.release();
    }),
    // The same worlds every time: what others show is for who works on the client (leave the seed out).
    { numRuns: 200, seed: 20261129, examples: found.map((one): [World] => [one]) },
  );
});

test('a client that hears its servers has an address that one of them gave', () => {
  const calm = { leaseTime: 60, loss: 0.1, duplicates: 0.3, delay: 500, refuses: 0, trouble: 0 };
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 3 }), (seed, servers) => {
      const model = new Model({ ...calm, seed, servers });
      model.run();
      expect(model.inUse).toBeDefined();
      expect(model.bench.sent.length).toBeLessThan(200);
    }),
    { numRuns: 50 },
  );
});

interface Flight {
  readonly at: number;
  readonly message: Message4;
}

class Model {
  readonly bench: Bench4;
  inUse: string | undefined;
  readonly #world: World;
  readonly #random: () => number;
  readonly #servers: Server[] = [];
  #flights: Flight[] = [];
  /** Until when an address may be used, by what its servers promised, forgotten or not. */
  readonly #promised = new Map<string, number>();
  /** What is on disk: the state of the last step with an outcome. */
  #disk: string;
  #told = 0;
  #linkUp = true;
  #sleepsUntil = 0;

  constructor(given: World) {
    this.#world = given;
    this.#random = chance(given.seed);
    this.bench = new Bench4({}, this.#random);
    this.#disk = JSON.stringify(this.bench.state);
    for (let i = 1; i <= given.servers; i++) this.#servers.push(new Server(i, given, this.#random));
  }

  run(): void {
    this.#step({ type: 'start' });
    for (const end = this.bench.now + seconds * 1000; this.bench.now < end; ) {
      this.#trouble();
      this.#second(this.bench.now + 1000);
      // A daemon that gives up is told to try again.
      if (this.bench.state.phase === 'stopped') this.#step({ type: 'start' });
    }
  }

  release(): void {
    this.#step({ type: 'release' });
    expect(this.inUse).toBeUndefined();
  }

  /** All that happens until then, in its order. */
  #second(end: number): void {
    for (let count = 0; ; count++) {
      if (count === 500) throw new Error('there is no end to this second');
      const { bench } = this;
      this.#flights.sort((a, b) => a.at - b.at);
      const asleep = this.#sleepsUntil > bench.now;
      // A client at rest has no socket.
      if (asleep && bench.state.phase === 'bound') {
        this.#flights = this.#flights.filter(({ at }) => at > this.#sleepsUntil);
      }
      const wake = asleep ? this.#sleepsUntil : Math.max(bench.now, bench.wakeAt ?? Number.POSITIVE_INFINITY);
      const flight = asleep ? this.#sleepsUntil : (this.#flights[0]?.at ?? Number.POSITIVE_INFINITY);
      const next = Math.min(wake, flight);
      if (next > end) break;
      bench.pass(Math.max(0, next - bench.now));
      const arrived = asleep || flight > wake ? undefined : this.#flights.shift();
      if (arrived !== undefined) this.#step({ type: 'message', message: arrived.message });
      else this.#step({ type: 'timer' });
    }
    this.bench.pass(Math.max(0, end - this.bench.now));
  }

  #trouble(): void {
    const { trouble } = this.#world;
    const happens = () => this.#random() < trouble;
    for (const server of this.#servers) if (happens()) server.suffer();
    if (happens()) {
      this.#linkUp = !this.#linkUp;
      this.#step({ type: this.#linkUp ? 'linkUp' : 'linkDown' });
    }
    if (happens()) {
      this.bench.state = JSON.parse(this.#disk);
      // The calendar may say what it likes.
      this.bench.wall = Math.floor(this.#random() * 1e13);
      this.#step({ type: 'resumed', linkUp: this.#linkUp });
    }
    if (happens())
      this.#sleepsUntil = this.bench.now + this.#random() * 2000 * Math.min(300, this.#world.leaseTime);
    if (happens()) this.#step({ type: 'renew' });
    if (happens()) this.#step({ type: 'decline' });
  }

  #step(event: Parameters<Bench4['step']>[0]): void {
    const { bench } = this;
    for (const one of bench.step(event)) this.#carry(one);
    const fresh = bench.outcomes.slice(this.#told);
    this.#told = bench.outcomes.length;
    for (const outcome of fresh) {
      if ('previous' in outcome && outcome.previous !== undefined) {
        expect(outcome.previous.address).toBe(this.inUse);
      }
      if (outcome.type === 'bound') expect(this.inUse).toBeUndefined();
      if (outcome.type === 'bound' || outcome.type === 'changed') this.inUse = outcome.lease.address;
      else if ('lease' in outcome) expect(outcome.lease.address).toBe(this.inUse);
      else this.inUse = undefined;
      this.#disk = JSON.stringify(bench.state);
    }
    expect(bench.state.lease?.address).toBe(this.inUse);
    if (this.inUse !== undefined) expect(this.#promised.get(this.inUse)).toBeGreaterThan(bench.now);
    if (bench.state.lease?.expiresAt !== undefined) expect(bench.wakeAt).toBeDefined();
  }

  /** To the servers and, by those that answer, back. */
  #carry({ destination, message, ...rest }: Outgoing4): void {
    for (const server of this.#servers) {
      if (destination !== '255.255.255.255' && destination !== server.id) continue;
      if (!this.#linkUp || this.#random() < this.#world.loss) continue;
      const heard = this.bench.now + this.#onTheWire() / 2;
      const reply = server.answer({ destination, message, ...rest });
      if (reply === undefined) continue;
      if (option({ destination, message: reply, ...rest }, 'messageType') === 5) {
        const { leaseTime } = this.#world;
        const until = leaseTime === 0xffffffff ? Number.POSITIVE_INFINITY : heard + leaseTime * 1000;
        this.#promised.set(reply.yiaddr, Math.max(until, this.#promised.get(reply.yiaddr) ?? 0));
      }
      const times = this.#random() < this.#world.duplicates ? 2 : 1;
      for (let i = 0; i < times; i++) {
        if (this.#random() < this.#world.loss) continue;
        this.#flights.push({ at: heard + this.#onTheWire() / 2, message: reply });
      }
    }
  }

  #onTheWire(): number {
    return this.#random() * this.#world.delay;
  }
}

class Server {
  readonly id: string;
  readonly #world: World;
  readonly #random: () => number;
  #known: string | undefined;
  #next = 10;
  #silent = false;

  constructor(number: number, given: World, random: () => number) {
    this.id = `10.0.${number}.1`;
    this.#world = given;
    this.#random = random;
  }

  suffer(): void {
    const kind = Math.floor(this.#random() * 3);
    if (kind === 0) this.#known = undefined;
    else if (kind === 1) this.#known = this.#fresh();
    else this.#silent = !this.#silent;
  }

  answer(heard: Outgoing4): Message4 | undefined {
    if (this.#silent) return undefined;
    const { message, kind } = heard;
    const values: Values = { serverId: this.id, subnetMask: '255.0.0.0', leaseTime: this.#world.leaseTime };
    if (kind === 'discover') {
      this.#known ??= this.#fresh();
      return answer(message, 'offer', this.#known, values);
    }
    if (kind === 'release' || kind === 'decline') {
      this.#known = undefined;
      return undefined;
    }
    const chosen = option(heard, 'serverId');
    if (chosen !== undefined && chosen !== this.id) return undefined;
    const asked = kind === 'renew' || kind === 'rebind' ? message.ciaddr : option(heard, 'requestedAddress');
    const nak = answer(message, 'nak', '0.0.0.0', { serverId: this.id });
    if (this.#random() < this.#world.refuses) return nak;
    if (asked === this.#known) return answer(message, 'ack', asked!, values);
    // Some give another address instead of a word, some keep silent.
    const how = this.#random();
    if (how < 0.4) return nak;
    if (how < 0.7 || this.#known === undefined) return undefined;
    return answer(message, 'ack', this.#known, values);
  }

  #fresh(): string {
    this.#next = (this.#next % 200) + 1;
    return this.id.replace(/1$/, String(this.#next + 1));
  }
}

/** Numbers that follow from a seed (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
