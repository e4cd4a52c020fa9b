/** Which answers a DHCPv6 client believes, and what follows from them (RFC 8415, sections 18.2.9 and 18.2.10). */
import { begin6, enter6, lose6, stop6, type Turn6 } from './client6-exchange.ts';
import { toHex } from './hex.ts';
import { iaOf6, informationOf6, leaseOf6, sameOptions6, usableAddress6 } from './lease6.ts';
import { type Message6, MessageType6 } from './message6.ts';
import { type IaNa, type Options6, type Status6, StatusCode6 } from './options6.ts';

/** SOL_MAX_RT that a server may ask for, seconds (section 21.24). */
const leastSolMaxRt = 60;
const mostSolMaxRt = 86_400;
/** IRT_DEFAULT and IRT_MINIMUM, seconds. */
const defaultRefresh = 86_400;
const leastRefresh = 600;
const highestPreference = 255;

/** A message that came to the client's port; what is not an answer to the exchange going on is ignored. So is Reconfigure,
 *  which a client takes only if it said that it would. */
export function hear6(turn: Turn6, message: Message6): void {
  const { state } = turn;
  const { options, type } = message;
  if (message.xid !== state.xid) return;
  if (options.clientId === undefined || toHex(options.clientId) !== state.config.duid.toLowerCase()) return;
  if (options.serverId === undefined) return;
  const serverId = toHex(options.serverId);
  const { solMaxRt } = options;
  if (solMaxRt !== undefined && solMaxRt >= leastSolMaxRt && solMaxRt <= mostSolMaxRt) {
    state.solMaxRt = solMaxRt * 1000;
  }
  if (type === MessageType6.advertise && state.phase === 'soliciting') advertised(turn, options, serverId);
  else if (type === MessageType6.reply) replied(turn, options, serverId);
}

function advertised(turn: Turn6, options: Options6, serverId: string): void {
  const { state } = turn;
  const ia = iaOf6(options, state.config.iaid);
  const refused = failureOf(options.status) ?? failureOf(ia?.status);
  const found = ia === undefined ? undefined : usableAddress6(ia, state.wanted);
  if (refused !== undefined || found === undefined) {
    state.why = wordsOf('advertised no address', serverId, refused);
    return;
  }
  const preference = options.preference ?? 0;
  if (state.offer === undefined || preference > state.offer.preference) {
    state.offer = { serverId, preference, address: found.address };
  }
  // Others have until the first Solicit is sent again to offer something better.
  if (preference === highestPreference || state.sends > 1) enter6(turn, 'requesting');
}

function replied(turn: Turn6, options: Options6, serverId: string): void {
  const { state } = turn;
  switch (state.phase) {
    case 'soliciting':
      if (state.config.rapidCommit && options.rapidCommit) take(turn, options, serverId);
      return;
    case 'requesting':
      if (serverId === state.offer?.serverId) take(turn, options, serverId);
      return;
    case 'renewing':
      if (serverId === state.lease?.serverId) take(turn, options, serverId);
      return;
    case 'rebinding':
      take(turn, options, serverId);
      return;
    case 'confirming':
      confirmed(turn, options, serverId);
      return;
    case 'releasing':
      released6(turn);
      return;
    case 'declining':
      enter6(turn, 'soliciting');
      return;
    case 'informing':
      informed(turn, options);
      return;
  }
}

function take(turn: Turn6, options: Options6, serverId: string): void {
  const { state } = turn;
  const { lease: previous, phase } = state;
  const ia = iaOf6(options, state.config.iaid);
  const refused = failureOf(options.status) ?? failureOf(ia?.status);
  if (refused !== undefined) {
    refuse(turn, refused, serverId);
    return;
  }
  if (ia === undefined) return;
  const found = usableAddress6(ia, previous?.address ?? state.offer?.address);
  if (found === undefined) {
    const taken = ia.addresses.some(({ address, valid }) => valid === 0 && address === previous?.address);
    if (taken) lose6(turn, wordsOf(`took ${previous?.address} back`, serverId, undefined));
    else if (phase === 'requesting') {
      state.why = wordsOf('gave no address', serverId, undefined);
      enter6(turn, 'soliciting');
    }
    return;
  }
  bind(turn, ia, found, options);
}

function bind(turn: Turn6, ia: IaNa, found: IaNa['addresses'][number], options: Options6): void {
  const { state, at } = turn;
  const { lease: previous } = state;
  const lease = leaseOf6(ia, found, state.since, options);
  if (lease.expiresAt !== undefined && lease.expiresAt <= at) return;
  state.phase = 'bound';
  state.lease = lease;
  state.wanted = lease.address;
  delete state.why;
  delete state.offer;
  delete state.due;
  if (previous === undefined) turn.outcome = { type: 'bound', lease };
  else if (previous.address !== lease.address) turn.outcome = { type: 'changed', lease, previous };
  else if (!sameOptions6(previous, lease)) turn.outcome = { type: 'options', lease, previous };
  else turn.outcome = { type: 'renewed', lease };
}

function refuse(turn: Turn6, { code, message }: Status6, serverId: string): void {
  const { state } = turn;
  const { phase, lease } = state;
  const reason = wordsOf('refused', serverId, { code, message });
  state.why = reason;
  if (phase === 'renewing' || phase === 'rebinding') {
    // The server knows nothing of the address, and may give it.
    if (code === StatusCode6.noBinding && lease !== undefined) {
      state.offer = { serverId, preference: 0, address: lease.address };
      enter6(turn, 'requesting');
    } else if (code === StatusCode6.notOnLink) lose6(turn, reason);
    return;
  }
  // A server that failed without telling why is asked again when it is time to.
  if (code === StatusCode6.unspecFail || code === StatusCode6.useMulticast) return;
  if (phase !== 'requesting') return;
  if (code === StatusCode6.notOnLink) lose6(turn, reason);
  else {
    if (lease === undefined) delete state.wanted;
    enter6(turn, 'soliciting');
  }
}

function confirmed(turn: Turn6, options: Options6, serverId: string): void {
  const { state } = turn;
  if (options.status === undefined) return;
  if (options.status.code === StatusCode6.success) {
    state.phase = 'bound';
    delete state.due;
  } else if (options.status.code === StatusCode6.notOnLink) {
    lose6(turn, wordsOf('refused', serverId, options.status));
  }
}

/** The server has heard of the release, or has been told often enough. */
export function released6(turn: Turn6): void {
  const { lease } = turn.state;
  stop6(turn);
  turn.outcome = lease === undefined ? { type: 'released' } : { type: 'released', previous: lease };
}

function informed(turn: Turn6, options: Options6): void {
  const { state, at } = turn;
  begin6(turn);
  state.phase = 'bound';
  const refresh = Math.max(leastRefresh, options.informationRefresh ?? defaultRefresh);
  if (refresh === 0xffffffff) delete state.due;
  else state.due = at + refresh * 1000;
  turn.outcome = { type: 'information', ...informationOf6(options) };
}

function failureOf(status: Status6 | undefined): Status6 | undefined {
  return status === undefined || status.code === StatusCode6.success ? undefined : status;
}

const statusNames = new Map<number, string>([
  [StatusCode6.unspecFail, 'UnspecFail'],
  [StatusCode6.noAddrsAvail, 'NoAddrsAvail'],
  [StatusCode6.noBinding, 'NoBinding'],
  [StatusCode6.notOnLink, 'NotOnLink'],
  [StatusCode6.useMulticast, 'UseMulticast'],
]);

function wordsOf(did: string, serverId: string, status: Status6 | undefined): string {
  const server = `DHCPv6 server ${serverId} ${did}`;
  if (status === undefined) return server;
  const name = statusNames.get(status.code) ?? `status ${status.code}`;
  return `${server}: ${name}${status.message === '' ? '' : ` (${status.message})`}`;
}
