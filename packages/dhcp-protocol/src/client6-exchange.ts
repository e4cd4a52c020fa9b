/** One turn of the DHCPv6 client: the state in the making, and the moves that its parts share. */
import type { ClientTurn } from './client-step.ts';
import { messageOf6 } from './client6-messages.ts';
import type { Client6State, Outcome6, Outgoing6, Phase6 } from './client6-state.ts';
import { nextWait6 } from './retransmission.ts';

export type Turn6 = ClientTurn<Client6State, Outgoing6, Outcome6>;
export type Draft6 = Turn6['state'];

/** RFC 8415, section 7.6, milliseconds: the first wait, the longest (0: no limit), how many sends (0: no limit). A
 *  Solicit's longest wait is in the state. Its first send is not put off by a chance second (section 18.2.1): that is for
 *  many hosts that get power at once, and an ADD is waited for. */
const timing: Readonly<Partial<Record<Phase6, { first: number; longest: number; most: number }>>> = {
  soliciting: { first: 1000, longest: 3_600_000, most: 0 },
  requesting: { first: 1000, longest: 30_000, most: 10 },
  confirming: { first: 1000, longest: 4000, most: 0 },
  renewing: { first: 10_000, longest: 600_000, most: 0 },
  rebinding: { first: 10_000, longest: 600_000, most: 0 },
  releasing: { first: 1000, longest: 0, most: 4 },
  declining: { first: 1000, longest: 0, most: 4 },
  informing: { first: 1000, longest: 3_600_000, most: 0 },
};
/** Phases whose answer may bring a lease. */
const leasing: readonly Phase6[] = ['soliciting', 'requesting', 'renewing', 'rebinding'];
/** CNF_MAX_RD. */
export const confirmTime = 10_000;
/** While somebody waits for an address, the next Solicit is never further away than this. */
const longestSolicit = 16_000;
/** An answer that takes longer is not to be expected: it is counted from a later send. */
const longestAnswer = 10_000;
/** A process that is awake comes to its timers within this. */
const longestLateness = 1000;

/** Whether the client has nothing yet and is about to get it. */
export function isAcquiring6({ phase, lease }: Client6State): boolean {
  if (phase === 'informing') return true;
  return lease === undefined && (phase === 'soliciting' || phase === 'requesting' || phase === 'declining');
}

/** Begins an exchange. */
export function enter6(turn: Turn6, phase: Phase6): void {
  const { state } = turn;
  state.phase = phase;
  state.sends = 0;
  state.wait = 0;
  state.began = turn.at;
  state.xid = Math.floor(turn.random() * 0x1000000);
  if (phase !== 'requesting' && phase !== 'releasing' && phase !== 'declining') delete state.offer;
  send6(turn);
}

/** Sends the message of the phase and says how long to wait. Nothing is sent while the link is down. */
export function send6(turn: Turn6): void {
  const { state, at } = turn;
  const times = timing[state.phase];
  if (!state.linkUp || times === undefined) {
    delete state.due;
    return;
  }
  count(turn);
  const outgoing = messageOf6(state, at);
  if (outgoing === undefined) {
    delete state.due;
    return;
  }
  state.sends++;
  turn.send.push(outgoing);
  const soliciting = state.phase === 'soliciting';
  const longest = soliciting ? Math.min(state.solMaxRt, longestSolicit) : times.longest;
  state.wait = nextWait6(state.wait, times.first, longest, turn.random, soliciting);
  state.due = at + state.wait;
}

/** From when the answer to what is about to be sent counts: from the first time that the question was asked, since an answer does
 *  not tell to which of them it is. It counts from a later one only if that has a transaction of its own, so that an answer
 *  that was on its way, or not read yet, is not taken for one to this. (RFC 8415, section 16.1, would rather have one.) */
function count({ state, at, random }: Turn6): void {
  if (state.sends === 0) {
    state.since = at;
    return;
  }
  // Who comes late may have slept, and what was answered meanwhile is still to be read.
  const isInTime = state.due !== undefined && at - state.due < longestLateness;
  if (!leasing.includes(state.phase) || !isInTime || at - state.since <= longestAnswer) return;
  state.since = at;
  state.xid = Math.floor(random() * 0x1000000);
}

/** Whether the message of the phase was sent as often as it may be. */
export function isExhausted6({ phase, sends }: Client6State): boolean {
  const most = timing[phase]?.most ?? 0;
  return most !== 0 && sends >= most;
}

/** A new attempt, with the whole time for it. */
export function begin6({ state, at }: Turn6): void {
  state.deadline = at + state.config.resendTimeout;
  delete state.why;
}

/** The address is not in use any more, and all begins anew. `again`: it may be asked for. */
export function drop6(turn: Turn6, again: boolean): void {
  const { state } = turn;
  if (again && state.lease !== undefined) state.wanted = state.lease.address;
  else delete state.wanted;
  delete state.lease;
  begin6(turn);
}

export function lose6(turn: Turn6, reason: string): void {
  const { lease } = turn.state;
  if (lease !== undefined) {
    drop6(turn, false);
    turn.outcome = { type: 'lost', reason, previous: lease };
  }
  turn.state.why = reason;
  delete turn.state.wanted;
  enter6(turn, 'soliciting');
}

export function stop6({ state }: Turn6): void {
  state.phase = 'stopped';
  delete state.lease;
  delete state.offer;
  delete state.due;
  delete state.deadline;
}
