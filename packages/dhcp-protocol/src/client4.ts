/** The DHCPv4 client as a state machine (RFC 2131, section 4.4): no socket, no timer, no clock. */
import type { Client4Config, Client4State, Event4, Step4 } from './client4-state.ts';
import type { Now } from './clock.ts';

/** A client that has done nothing yet; the event `start` sets it off. */
export function newClient4(_config: Client4Config, _now: Now): Client4State {
  throw new Error('not written yet');
}

/** One event. `random` gives numbers from 0 up to 1, as Math.random does. Never throws; the state is not changed. */
export function step4(_state: Client4State, _event: Event4, _now: Now, _random: () => number): Step4 {
  throw new Error('not written yet');
}

/** Reads a state from disk. Undefined for what is none, or of another version. */
export function parseClient4(_json: unknown): Client4State | undefined {
  throw new Error('not written yet');
}
