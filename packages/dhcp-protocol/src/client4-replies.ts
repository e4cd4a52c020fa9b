/** Which answers a DHCPv4 client believes, and what follows from them. */
import { noAddress4 } from './address-bytes.ts';
import { enter4, pause4, refuse4, type Turn4 } from './client4-exchange.ts';
import { chaddrOf } from './client4-messages.ts';
import { leaseOf4, sameAddress4, sameOptions4 } from './lease4.ts';
import { type Message4, MessageType4 } from './message4.ts';
import { readOption4 } from './options4.ts';

/** Our own server answers a broadcast in less, if it is there. */
const afterForeignNak = 1000;

/** A message that came to the client's port; what is not an answer to the exchange going on is ignored. */
export function hear4(turn: Turn4, message: Message4): void {
  const { state } = turn;
  if (message.op !== 2 || message.xid !== state.xid || !isForUs(turn, message)) return;
  const type = readOption4(message.options, 'messageType');
  const server = readOption4(message.options, 'serverId');
  if (type === MessageType4.offer && state.phase === 'selecting') {
    offered(turn, message, server);
    return;
  }
  if (type === MessageType4.ack) {
    acknowledged(turn, message, server);
    return;
  }
  if (type === MessageType4.nak) {
    refused(turn, message, server);
    return;
  }
}

function isForUs({ state }: Turn4, message: Message4): boolean {
  const { chaddr } = chaddrOf(state.config);
  if (message.chaddr.length !== chaddr.length) return false;
  for (let i = 0; i < chaddr.length; i++) if (message.chaddr[i] !== chaddr[i]) return false;
  return true;
}

/** The first offer wins; those of other servers come to a client that is not selecting any more. */
function offered(turn: Turn4, message: Message4, serverId: string | undefined): void {
  if (message.yiaddr === noAddress4) return;
  turn.state.offer = {
    address: message.yiaddr,
    ...(serverId !== undefined && { serverId }),
    ciaddr: message.ciaddr,
    flags: message.flags,
  };
  enter4(turn, 'requesting');
}

function acknowledged(turn: Turn4, message: Message4, server: string | undefined): void {
  const { state, at } = turn;
  const { phase, offer, lease: previous } = state;
  const asked = phase === 'requesting' ? offer?.serverId : previous?.serverId;
  // A broadcast to all may be answered by any; in the other phases one server was asked.
  const any = phase === 'rebooting' || phase === 'rebinding';
  if (!any && phase !== 'requesting' && phase !== 'renewing') return;
  if (!any && server !== undefined && server !== asked && !(phase === 'renewing' && asked === undefined))
    return;
  const lease = leaseOf4(message, state.since, asked);
  if (lease === undefined || (lease.expiresAt !== undefined && lease.expiresAt <= at)) return;
  state.phase = 'bound';
  state.lease = lease;
  state.wanted = lease.address;
  state.failures = 0;
  delete state.why;
  delete state.offer;
  delete state.due;
  delete state.foreignNak;
  if (previous === undefined) turn.outcome = { type: 'bound', lease };
  else if (!sameAddress4(lease, previous)) turn.outcome = { type: 'changed', lease, previous };
  else if (!sameOptions4(lease, previous)) turn.outcome = { type: 'options', lease, previous };
  else turn.outcome = { type: 'renewed', lease };
}

/** Two servers on one wire do not know of each other's leases: only the one that was asked may refuse at once. */
function refused(turn: Turn4, message: Message4, server: string | undefined): void {
  const { state, at } = turn;
  const { phase, lease, offer } = state;
  const said = readOption4(message.options, 'message');
  const reason = `server ${server ?? 'without an id'} rejected request with Nak${said === undefined ? '' : ` (msg: ${said})`}`;
  if (phase === 'requesting') {
    if (server === offer?.serverId) pause4(turn, reason);
    return;
  }
  if (phase !== 'rebooting' && phase !== 'renewing' && phase !== 'rebinding') return;
  const own = lease !== undefined && (server === lease.serverId || server === undefined);
  if (phase === 'renewing' && !own && lease?.serverId !== undefined) return;
  if (own || phase === 'renewing') {
    refuse4(turn, reason);
    return;
  }
  state.foreignNak ??= reason;
  state.due = Math.min(state.due ?? at + afterForeignNak, at + afterForeignNak);
}
