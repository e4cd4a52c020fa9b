import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes } from '@cni-ts/netlink/attributes';
import type { Codec } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, type NetlinkRequest, NLM_F } from '@cni-ts/netlink/socket';
import { absent } from './chain-presence.ts';
import { messageType, nfgenmsg, subsystem } from './nfnetlink.ts';

const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
/** On a delete request: refuse while something is left inside. */
export const NLM_F_NONREC = 0x100;

/** One step of a transaction, as a value: made by addTable, addChain, addRule, deleteRule, addElements, … */
export interface Change {
  /** In nft's words: `add chain inet cni masq`. */
  readonly what: string;
  readonly request: NetlinkRequest<never>;
}

/** A change that the kernel refused: `code` is the errno's name, the message names the object. */
export class NftablesError extends Error {
  override readonly name = 'NftablesError';
  readonly code: string;
  constructor(what: string, cause: SyscallError) {
    super(`nftables: could not ${what}: ${cause.message}${advice(cause.code)}`, { cause });
    this.code = cause.code;
  }
}

/** A change of nftables; `number` is its NFT_MSG_*. */
export function change<T>(
  what: string,
  number: number,
  flags: number,
  codec: Codec<T>,
  value: NoInfer<T>,
): Change {
  const request = { name: what, type: messageType('nftables', number), flags, message: codec, value };
  // reason: a batch holds messages of several types; each is written by the codec it came with
  return { what, request: request as unknown as NetlinkRequest<never> };
}

const frame = message(nfgenmsg, attributes('NFNL_BATCH_', {}));

function edge(name: string, type: number): NetlinkRequest<never> {
  const value = { resource: subsystem.nftables };
  return { name, type, flags: 0, message: frame, value } as unknown as NetlinkRequest<never>; // reason: as above
}

/** What this process has written: for who tells what it did. */
export const written = { elements: 0, transactions: 0 };

/**
 * Makes all changes at once or none: the kernel applies a batch atomically, so no packet ever sees half of it. Throws
 * NftablesError for the first change that was refused. No changes: nothing is sent.
 */
export function transaction(nl: Netlink, changes: readonly Change[]): void {
  if (!changes.length) return;
  const begin = edge('begin the transaction', NFNL_MSG_BATCH_BEGIN);
  const end = edge('end the transaction', NFNL_MSG_BATCH_END);
  // Refusals are always answered, so one ack at the end tells that all went well.
  const last = changes.at(-1)?.request;
  const removes = changes.some(({ request }) => (request.flags & NLM_F.create) === 0);
  try {
    nl.batch([begin, ...changes.map((one) => one.request), end], (one) => one === last, removes);
    written.transactions++;
    written.elements += changes.length;
  } catch (error) {
    if (error instanceof SyscallError) throw new NftablesError(error.call, error);
    throw error;
  }
}

/** Runs a request that reads; what is not there is undefined. */
export function unlessAbsent<T>(what: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (absent.has(error.code)) return undefined;
    throw new NftablesError(what, error);
  }
}

function advice(code: string): string {
  switch (code) {
    case 'EPERM':
      return '; this needs CAP_NET_ADMIN in the network namespace';
    case 'EOPNOTSUPP':
    case 'EPROTONOSUPPORT':
    case 'EAFNOSUPPORT':
      return '; the kernel may lack nf_tables or this family (CONFIG_NF_TABLES_*)';
    default:
      return '';
  }
}

/**
 * Whether the kernel would take these changes: they are sent and checked like a transaction that then lacks its end,
 * which makes the kernel drop them. Any refusal is false.
 */
export function wouldAccept(nl: Netlink, changes: readonly Change[]): boolean {
  const begin = edge('begin a trial', NFNL_MSG_BATCH_BEGIN);
  try {
    nl.batch([begin, ...changes.map((one) => one.request)], (one) => one !== begin);
    return true;
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

const races: ReadonlySet<string> = new Set(['ENOENT', 'EBUSY', 'EEXIST']);

/**
 * Runs work that first lists and then changes by handle, again if somebody else changed the same things in between
 * (a rule deleted by two, a chain that got a new user or was made by two).
 */
export function retryRaces<T>(work: () => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      return work();
    } catch (error) {
      const raced = error instanceof NftablesError && races.has(error.code);
      if (!raced || attempt === 5) throw error;
    }
  }
}
