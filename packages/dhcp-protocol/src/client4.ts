/**
 * The DHCPv4 client as a state machine (RFC 2131, section 4.4): no socket, no timer, no clock.
 *
 * A step first looks at the clock: a process that slept past T2 rebinds at once, and one that slept past the end of its
 * lease says so before anything else. Of each step at most one outcome comes, and the address of the outcome before is
 * in use until one says otherwise.
 */

import { noAddress4 } from './address-bytes.ts';
import { clockMoved, movedLease, stepOf } from './client-step.ts';
import {
  begin4,
  dropLease4,
  enter4,
  fail4,
  isAcquiring4,
  refuse4,
  send4,
  stop4,
  type Turn4,
} from './client4-exchange.ts';
import { decline4, release4 } from './client4-messages.ts';
import { hear4 } from './client4-replies.ts';
import type { Client4Config, Client4State, Event4, Step4 } from './client4-state.ts';
import type { Now } from './clock.ts';
import { isIp4 } from './stored.ts';

/** Sends of a REQUEST for an offer before all begins anew, and of one for an address known from before. */
const requestSends = 3;
const rebootSends = 2;
/** RFC 2131, section 3.1 (5): at least this after a DECLINE. */
const pauseAfterDecline = 10_000;
/** A network in which every address is in use by somebody else is not ours to repair. */
const mostDeclines = 4;

/** A client that has done nothing yet; the event `start` sets it off. */
export function newClient4(config: Client4Config, now: Now): Client4State {
  return {
    version: 1,
    config,
    phase: 'stopped',
    xid: 0,
    secs: 0,
    sends: 0,
    since: now.boottime,
    sentAt: now.boottime,
    began: now.boottime,
    failures: 0,
    declines: 0,
    linkUp: true,
    stamp: { boottime: now.boottime, wall: now.wall, boot: now.boot },
  };
}

/** One event. `random` gives numbers from 0 up to 1, as Math.random does. Never throws; the state is not changed. */
export function step4(state: Client4State, event: Event4, now: Now, random: () => number): Step4 {
  const turn: Turn4 = { state: { ...state }, at: now.boottime, random, send: [] };
  if (event.type === 'resumed') followClock(turn, now);
  handle(turn, event);
  turn.state.stamp = { boottime: now.boottime, wall: now.wall, boot: now.boot };
  return stepOf(turn, dueTimes(turn.state));
}

function handle(turn: Turn4, event: Event4): void {
  switch (event.type) {
    case 'start':
      start(turn, event.address, event.linkUp ?? true);
      return;
    case 'resumed':
      resume(turn, event.linkUp ?? true);
      return;
    case 'message':
      // What came while the lease ran out is too late: the address may be another's by now.
      if (!isOver(turn)) hear4(turn, event.message);
      if (turn.outcome === undefined) advance(turn);
      return;
    case 'timer':
      advance(turn);
      return;
    case 'linkUp':
      linkUp(turn);
      return;
    case 'linkDown':
      turn.state.linkUp = false;
      advance(turn);
      return;
    case 'renew':
      advance(turn);
      if (turn.state.phase === 'bound') enter4(turn, 'renewing');
      return;
    case 'decline':
      decline(turn);
      return;
    case 'release':
      release(turn);
      return;
  }
}

/** One who has a lease, or is about to get one, has started already. */
function start(turn: Turn4, address: string | undefined, up: boolean): void {
  const { state } = turn;
  state.linkUp = up;
  if (state.lease !== undefined || isAcquiring4(state)) {
    advance(turn);
    return;
  }
  state.declines = 0;
  if (address !== undefined && isIp4(address) && address !== noAddress4) state.wanted = address;
  begin4(turn);
  enter4(turn, state.wanted !== undefined && address !== undefined ? 'rebooting' : 'selecting');
}

/** Times of another boot are moved. */
function followClock({ state }: Turn4, now: Now): void {
  const moved = clockMoved(state.stamp, now);
  if (moved === undefined) return;
  if (state.lease !== undefined) {
    state.lease = movedLease(state.lease, moved);
    // The wire may be another one since.
    state.phase = 'rebooting';
  }
}

function resume(turn: Turn4, up: boolean): void {
  const { state } = turn;
  state.linkUp = up;
  // The daemon before may have asked since it wrote this down, and its answer may be on its way.
  state.sentAt = turn.at;
  const { lease } = state;
  if (lease === undefined) {
    if (state.phase === 'stopped') return;
    begin4(turn);
    enter4(turn, 'selecting');
    return;
  }
  if (isOver(turn)) {
    advance(turn);
    return;
  }
  turn.outcome = { type: 'resumed', lease };
  if (state.phase === 'rebooting') {
    enter4(turn, 'rebooting');
    return;
  }
  state.phase = 'bound';
  delete state.due;
  advance(turn);
}

function isOver({ state: { lease }, at }: Turn4): boolean {
  return lease?.expiresAt !== undefined && lease.expiresAt <= at;
}

/** Whatever the clock says is due, the most urgent first. */
function advance(turn: Turn4): void {
  const { state, at } = turn;
  const { lease, phase } = state;
  if (lease !== undefined && isOver(turn)) {
    dropLease4(turn);
    begin4(turn);
    turn.outcome = { type: 'expired', previous: lease };
    enter4(turn, 'selecting');
    return;
  }
  if (lease?.rebindAt !== undefined && lease.rebindAt <= at && phase !== 'rebinding') {
    enter4(turn, 'rebinding');
    return;
  }
  if (lease?.renewAt !== undefined && lease.renewAt <= at && phase === 'bound') {
    enter4(turn, 'renewing');
    return;
  }
  if (isAcquiring4(state) && state.deadline !== undefined && state.deadline <= at) {
    fail4(turn);
    return;
  }
  if (state.due !== undefined && state.due <= at) unanswered(turn);
}

/** Nobody answered for as long as was to be waited. */
function unanswered(turn: Turn4): void {
  const { state } = turn;
  const { phase, lease, foreignNak } = state;
  if (foreignNak !== undefined && (phase === 'rebooting' || phase === 'rebinding')) {
    refuse4(turn, foreignNak);
    return;
  }
  if (phase === 'pausing') {
    enter4(turn, 'selecting');
    return;
  }
  if (phase === 'requesting' && state.sends >= requestSends) {
    state.failures++;
    state.why = `server ${state.offer?.serverId ?? 'without an id'} offered ${state.offer?.address} and did not answer the REQUEST for it`;
    enter4(turn, 'selecting');
    return;
  }
  if (phase === 'rebooting' && state.sends >= rebootSends) {
    if (lease === undefined) {
      enter4(turn, 'selecting');
      return;
    }
    // A server that is away takes nothing back: the lease is good for as long as it was (section 3.2 (3)).
    // An answer may come still, or not have been read yet: the renewal has another transaction.
    state.xid = Math.floor(turn.random() * 0x100000000);
    state.phase = 'bound';
    delete state.due;
    advance(turn);
    return;
  }
  send4(turn);
}

/** What was asked while the link was down is asked anew, and a lease is confirmed: it may be another network by now. */
function linkUp(turn: Turn4): void {
  const { state } = turn;
  const wasDown = !state.linkUp;
  state.linkUp = true;
  advance(turn);
  if (!wasDown || turn.send.length > 0) return;
  const { phase } = state;
  if (phase === 'bound') enter4(turn, 'rebooting');
  // These go on with their transaction, whose answer may be waiting.
  else if (phase === 'renewing' || phase === 'requesting') send4(turn);
  else if (phase !== 'stopped' && phase !== 'pausing') enter4(turn, phase);
}

function decline(turn: Turn4): void {
  const { state, at } = turn;
  const { lease } = state;
  if (lease === undefined) {
    advance(turn);
    return;
  }
  state.xid = Math.floor(turn.random() * 0x100000000);
  turn.send.push(decline4(state, lease.address, lease.serverId));
  const { deadline } = state;
  dropLease4(turn);
  delete state.wanted;
  begin4(turn);
  // An ADD that waits for an address waits no longer for that.
  if (deadline !== undefined && deadline > at) state.deadline = deadline;
  state.declines++;
  if (state.declines >= mostDeclines) state.deadline = at;
  const reason = `another host uses ${lease.address}`;
  state.why = reason;
  state.phase = 'pausing';
  state.due = at + pauseAfterDecline;
  turn.outcome = { type: 'lost', reason, previous: lease };
}

function release(turn: Turn4): void {
  const { state } = turn;
  const { lease, offer } = state;
  const over = isOver(turn);
  state.xid = Math.floor(turn.random() * 0x100000000);
  if (lease !== undefined && !over) turn.send.push(release4(state, lease.address, lease.serverId));
  // The server may have given it already.
  else if (state.phase === 'requesting' && offer !== undefined && state.linkUp) {
    turn.send.push(release4(state, offer.address, offer.serverId));
  }
  stop4(turn);
  turn.outcome = lease === undefined ? { type: 'released' } : { type: 'released', previous: lease };
}

/** At which something is to be done. */
function dueTimes(state: Client4State): (number | undefined)[] {
  const { lease, phase } = state;
  const times = [state.due, lease?.expiresAt];
  if (phase !== 'rebinding') times.push(lease?.rebindAt);
  if (phase === 'bound') times.push(lease?.renewAt);
  if (isAcquiring4(state)) times.push(state.deadline);
  return times;
}

export { parseClient4 } from './client4-stored.ts';
