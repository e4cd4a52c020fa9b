/** One turn of the DHCPv4 client: the state in the making, and the moves that its parts share. */
import type { ClientTurn } from './client-step.ts';
import { discover4, rebind4, reboot4, renew4, request4 } from './client4-messages.ts';
import type { Client4State, Outcome4, Outgoing4, Phase4 } from './client4-state.ts';
import { acquireWait4, pauseAfter4, renewWait4 } from './retransmission.ts';

export type Turn4 = ClientTurn<Client4State, Outgoing4, Outcome4>;
export type Draft4 = Turn4['state'];

/** An answer that takes longer is not to be expected: it is counted from a later send. */
const longestAnswer = 10_000;
/** What a wire repeats, it repeats within this. */
const straggling = 3500;
/** A process that is awake comes to its timers within this. */
const longestLateness = 1000;

/** Whether the client has no lease and is about to get one. */
export function isAcquiring4({ phase, lease }: Client4State): boolean {
  return lease === undefined && phase !== 'stopped';
}

/** Begins an exchange. The REQUEST for an offer has the offer's transaction. A renewal has that of the ACK before it, as the
 *  reference's have, unless another answer to the question before may still be on its way: it would pass for one to this. */
export function enter4(turn: Turn4, phase: Phase4): void {
  const { state } = turn;
  state.phase = phase;
  state.sends = 0;
  delete state.foreignNak;
  if (phase !== 'requesting') delete state.offer;
  const isQuiet = turn.at - state.sentAt >= straggling;
  if (phase !== 'requesting' && !(phase === 'renewing' && isQuiet)) {
    state.xid = Math.floor(turn.random() * 0x100000000);
  }
  send4(turn);
}

/** Sends the message of the phase, again or for the first time, and says how long to wait. Nothing is sent while the link
 *  is down: the next move is linkUp's. */
export function send4(turn: Turn4): void {
  const { state, at } = turn;
  if (!state.linkUp) {
    delete state.due;
    return;
  }
  if (state.phase === 'selecting' || state.phase === 'rebooting') {
    state.secs = Math.min(0xffff, Math.max(0, Math.floor((at - state.began) / 1000)));
  }
  count(turn);
  const outgoing = messageOf(state);
  if (outgoing === undefined) {
    delete state.due;
    return;
  }
  state.sentAt = at;
  state.sends++;
  turn.send.push(outgoing);
  state.due = at + waitOf(turn);
}

/** From when the answer to what is about to be sent counts: from the first time that the question was asked, since an answer does
 *  not tell to which of them it is. It counts from a later one only if that has a transaction of its own, so that an answer
 *  that was on its way, or not read yet, is not taken for one to this (RFC 2131, section 4.1, leaves it to the client). */
function count({ state, at, random }: Turn4): void {
  if (state.sends === 0) {
    state.since = at;
    return;
  }
  // The answer to a DISCOVER is no lease.
  if (state.phase === 'selecting') return;
  // Who comes late may have slept, and what was answered meanwhile is still to be read.
  const isInTime = state.due !== undefined && at - state.due < longestLateness;
  if (!isInTime || at - state.since <= longestAnswer) return;
  state.since = at;
  state.xid = Math.floor(random() * 0x100000000);
}

function messageOf(state: Client4State): Outgoing4 | undefined {
  const { phase, lease, offer, wanted } = state;
  if (phase === 'selecting') return discover4(state);
  if (phase === 'requesting' && offer !== undefined) return request4(state, offer);
  const address = lease?.address ?? wanted;
  if (phase === 'rebooting' && address !== undefined) return reboot4(state, address);
  if (phase === 'renewing' && lease !== undefined) return renew4(state, lease.address, lease.serverId);
  if (phase === 'rebinding' && lease !== undefined) return rebind4(state, lease.address);
  return undefined;
}

function waitOf({ state, at, random }: Turn4): number {
  const { config, phase, sends, lease } = state;
  if (phase === 'rebooting') return acquireWait4(config, 1, random);
  if (phase !== 'renewing' && phase !== 'rebinding') return acquireWait4(config, sends, random);
  const end = phase === 'renewing' ? lease?.rebindAt : lease?.expiresAt;
  return renewWait4(config, sends, end === undefined ? Number.POSITIVE_INFINITY : end - at, random);
}

/** The address is not in use any more; it is what to ask for next. */
export function dropLease4({ state }: Turn4): void {
  if (state.lease !== undefined) state.wanted = state.lease.address;
  delete state.lease;
  delete state.deadline;
}

/** A new attempt at a lease, with the whole time for it. */
export function begin4({ state, at }: Turn4): void {
  state.began = at;
  state.deadline = at + state.config.resendTimeout;
  state.failures = 0;
  delete state.why;
}

/** The address was taken back, or would not be given: all begins anew, without asking for it. */
export function refuse4(turn: Turn4, reason: string): void {
  const { state } = turn;
  const { lease } = state;
  if (lease !== undefined) {
    dropLease4(turn);
    begin4(turn);
    turn.outcome = { type: 'lost', reason, previous: lease };
  }
  state.failures++;
  state.why = reason;
  delete state.wanted;
  enter4(turn, 'selecting');
}

export function pause4(turn: Turn4, reason: string): void {
  const { state } = turn;
  state.failures++;
  state.why = reason;
  state.phase = 'pausing';
  delete state.offer;
  state.due = turn.at + pauseAfter4(state.config, state.failures, turn.random);
}

export function stop4({ state }: Turn4): void {
  state.phase = 'stopped';
  delete state.lease;
  delete state.offer;
  delete state.due;
  delete state.deadline;
  delete state.foreignNak;
}

/** Acquiring took all the time it was given. */
export function fail4(turn: Turn4): void {
  const { state } = turn;
  let reason = state.why ?? 'no DHCP server answered';
  if (!state.linkUp) reason = 'the link has no carrier';
  stop4(turn);
  turn.outcome = { type: 'failed', error: 'no more tries', reason };
}
