/** The DHCPv6 client as a state machine (RFC 8415, section 18.2): no socket, no timer, no clock. */
import type { Client6Config, Client6State, Event6, Step6 } from './client6-state.ts';
import type { Now } from './clock.ts';

export function newClient6(_config: Client6Config, _now: Now): Client6State {
  throw new Error('not written yet');
}

/** One event. Never throws; the state is not changed. */
export function step6(_state: Client6State, _event: Event6, _now: Now, _random: () => number): Step6 {
  throw new Error('not written yet');
}

/** Reads a state from disk. Undefined for what is none, or of another version. */
export function parseClient6(_json: unknown): Client6State | undefined {
  throw new Error('not written yet');
}
