/** The DHCPv6 client as a state machine (RFC 8415, section 18.2): no socket, no timer, no clock. It works as client4.ts
 *  does. */
import { clockMoved, movedLease, stepOf } from './client-step.ts';
import {
  begin6,
  confirmTime,
  drop6,
  enter6,
  isAcquiring6,
  isExhausted6,
  send6,
  stop6,
  type Turn6,
} from './client6-exchange.ts';
import { hear6, released6 } from './client6-replies.ts';
import type { Client6Config, Client6State, Event6, Step6 } from './client6-state.ts';
import type { Now } from './clock.ts';
import { isIp6 } from './stored.ts';

export { parseClient6 } from './client6-stored.ts';

/** SOL_MAX_RT where no server says otherwise. */
const solMaxRt = 3_600_000;

/** A client that has done nothing yet; the event `start` sets it off. */
export function newClient6(config: Client6Config, now: Now): Client6State {
  return {
    version: 1,
    config,
    phase: 'stopped',
    xid: 0,
    sends: 0,
    since: now.boottime,
    wait: 0,
    began: now.boottime,
    solMaxRt,
    linkUp: true,
    stamp: { boottime: now.boottime, wall: now.wall, boot: now.boot },
  };
}

/** One event. `random` gives numbers from 0 up to 1, as Math.random does. Never throws; the state is not changed. */
export function step6(state: Client6State, event: Event6, now: Now, random: () => number): Step6 {
  const turn: Turn6 = { state: { ...state }, at: now.boottime, random, send: [] };
  if (event.type === 'resumed') followClock(turn, now);
  handle(turn, event);
  turn.state.stamp = { boottime: now.boottime, wall: now.wall, boot: now.boot };
  return stepOf(turn, dueTimes(turn.state));
}

function handle(turn: Turn6, event: Event6): void {
  const { state } = turn;
  switch (event.type) {
    case 'start':
      start(turn, event.address, event.linkUp ?? true);
      return;
    case 'resumed':
      resume(turn, event.linkUp ?? true);
      return;
    case 'message':
      if (!isOver(turn)) hear6(turn, event.message);
      if (turn.outcome === undefined) advance(turn);
      return;
    case 'timer':
      advance(turn);
      return;
    case 'linkUp':
      linkUp(turn);
      return;
    case 'linkDown':
      state.linkUp = false;
      advance(turn);
      return;
    case 'renew':
      advance(turn);
      if (state.phase === 'bound') enter6(turn, state.lease === undefined ? 'informing' : 'renewing');
      return;
    case 'decline':
      decline(turn);
      return;
    case 'release':
      release(turn);
      return;
  }
}

function start(turn: Turn6, address: string | undefined, up: boolean): void {
  const { state } = turn;
  state.linkUp = up;
  if (state.phase !== 'stopped') {
    advance(turn);
    return;
  }
  if (address !== undefined && isIp6(address)) state.wanted = address;
  begin6(turn);
  enter6(turn, state.config.informationOnly ? 'informing' : 'soliciting');
}

/** Times of another boot are moved. */
function followClock({ state }: Turn6, now: Now): void {
  const moved = clockMoved(state.stamp, now);
  if (moved === undefined || state.lease === undefined) return;
  state.lease = movedLease(state.lease, moved);
  if (state.phase !== 'releasing') state.phase = 'confirming';
}

function resume(turn: Turn6, up: boolean): void {
  const { state } = turn;
  const { lease, phase } = state;
  state.linkUp = up;
  if (phase === 'stopped') return;
  if (phase === 'releasing') {
    enter6(turn, phase);
    return;
  }
  if (lease === undefined) {
    begin6(turn);
    enter6(turn, state.config.informationOnly ? 'informing' : 'soliciting');
    return;
  }
  if (isOver(turn)) {
    advance(turn);
    return;
  }
  turn.outcome = { type: 'resumed', lease };
  if (phase === 'confirming') {
    enter6(turn, phase);
    return;
  }
  state.phase = 'bound';
  delete state.due;
  advance(turn);
}

function isOver({ state: { lease, phase }, at }: Turn6): boolean {
  return phase !== 'releasing' && lease?.expiresAt !== undefined && lease.expiresAt <= at;
}

/** Whatever the clock says is due, the most urgent first. */
function advance(turn: Turn6): void {
  const { state, at } = turn;
  const { lease, phase } = state;
  if (lease !== undefined && isOver(turn)) {
    drop6(turn, true);
    turn.outcome = { type: 'expired', previous: lease };
    enter6(turn, 'soliciting');
    return;
  }
  const holds = phase === 'bound' || phase === 'renewing' || phase === 'confirming';
  if (holds && lease?.rebindAt !== undefined && lease.rebindAt <= at) {
    enter6(turn, 'rebinding');
    return;
  }
  if (phase === 'bound' && lease?.renewAt !== undefined && lease.renewAt <= at) {
    enter6(turn, 'renewing');
    return;
  }
  if (isAcquiring6(state) && state.deadline !== undefined && state.deadline <= at) {
    fail(turn);
    return;
  }
  if (state.due !== undefined && state.due <= at) unanswered(turn);
}

/** Nobody answered for as long as was to be waited. */
function unanswered(turn: Turn6): void {
  const { state, at } = turn;
  const { phase, offer } = state;
  if (phase === 'soliciting' && offer !== undefined) {
    enter6(turn, 'requesting');
    return;
  }
  if (phase === 'bound') {
    begin6(turn);
    enter6(turn, 'informing');
    return;
  }
  if (phase === 'confirming' && at - state.began >= confirmTime) {
    // Nobody says that the address is wrong here (section 18.2.3).
    state.phase = 'bound';
    delete state.due;
    advance(turn);
    return;
  }
  const over = isExhausted6(state);
  if (phase === 'releasing' && (over || !state.linkUp)) {
    released6(turn);
    return;
  }
  if (!over) {
    send6(turn);
    return;
  }
  if (phase === 'requesting') state.why = `DHCPv6 server ${offer?.serverId} did not answer the Request`;
  enter6(turn, 'soliciting');
}

function fail(turn: Turn6): void {
  const { state } = turn;
  let reason = state.why ?? 'no DHCPv6 server answered';
  if (!state.linkUp) reason = 'the link has no carrier';
  stop6(turn);
  turn.outcome = { type: 'failed', error: 'no more tries', reason };
}

/** What was asked while the link was down is asked anew, and an address is confirmed: it may be another network by now. */
function linkUp(turn: Turn6): void {
  const { state } = turn;
  const wasDown = !state.linkUp;
  state.linkUp = true;
  advance(turn);
  if (!wasDown || turn.send.length > 0 || state.phase === 'stopped') return;
  if (state.phase !== 'bound') enter6(turn, state.phase);
  else enter6(turn, state.lease === undefined ? 'informing' : 'confirming');
}

function decline(turn: Turn6): void {
  const { state, at } = turn;
  const { lease, deadline } = state;
  if (lease === undefined || state.phase === 'releasing') {
    advance(turn);
    return;
  }
  state.offer = { serverId: lease.serverId, preference: 0, address: lease.address };
  drop6(turn, false);
  // An ADD that waits for an address waits no longer for that.
  if (deadline !== undefined && deadline > at) state.deadline = deadline;
  const reason = `another host uses ${lease.address}`;
  turn.outcome = { type: 'lost', reason, previous: lease };
  enter6(turn, 'declining');
  state.why = reason;
}

function release(turn: Turn6): void {
  const { state } = turn;
  const { lease, offer, phase } = state;
  if (phase === 'releasing') return;
  // The server may have given already what it was asked for.
  const asked = phase === 'requesting' ? offer : undefined;
  if (isOver(turn) || (lease === undefined && asked === undefined)) {
    released6(turn);
    return;
  }
  if (lease !== undefined) {
    state.offer = { serverId: lease.serverId, preference: 0, address: lease.address };
  }
  enter6(turn, 'releasing');
  // Without a link there is nobody to tell.
  if (!state.linkUp) released6(turn);
}

/** At which something is to be done. */
function dueTimes(state: Client6State): (number | undefined)[] {
  const { lease, phase } = state;
  const times = [state.due];
  if (phase !== 'releasing') times.push(lease?.expiresAt);
  if (phase === 'bound' || phase === 'renewing' || phase === 'confirming') times.push(lease?.rebindAt);
  if (phase === 'bound') times.push(lease?.renewAt);
  if (isAcquiring6(state)) times.push(state.deadline);
  return times;
}
