import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes } from '@cni-ts/netlink/attributes';
import { asciiz } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, Refused } from '@cni-ts/netlink/socket';
import { families, messageType, type NftFamily, nfgenmsg } from './nfnetlink.ts';

const NFT_MSG_GETTABLE = 1;
const NFT_MSG_GETCHAIN = 4;

const tableMessage = message(nfgenmsg, attributes('NFTA_TABLE_', { name: [1, asciiz] }));
const chainMessage = message(nfgenmsg, attributes('NFTA_CHAIN_', { table: [1, asciiz], name: [3, asciiz] }));
/** Nothing of a chain is read but that it is there. */
const presence: typeof chainMessage = { ...chainMessage, read: () => ({}) };

/** A chain by its names: family, table, chain; without a chain any of that table. */
export type ChainName = readonly [family: NftFamily, table: string, chain?: string];

/**
 * Which of these chains are there: one message where none of their tables is, two else. For who needs to know no more,
 * and therefore without the rest of nftables, which takes longer to begin with than to ask. What the kernel would not
 * tell counts as there.
 */
export function chainPresence(nl: Netlink, chains: readonly ChainName[]): boolean[] {
  const tables = tablesThere(nl);
  const there = chains.map(([family, table]) => tables?.has(tableKey(families[family], table)) ?? true);
  const asked = chains.filter(([, , name], i) => name !== undefined && there[i]);
  const requests = asked.map(([family, table, name]) => ({
    name: 'NFT_MSG_GETCHAIN',
    type: messageType('nftables', NFT_MSG_GETCHAIN),
    flags: 0,
    message: presence,
    value: { family: families[family], table, name },
  }));
  if (!requests.length) return there;
  // reason: getEach takes requests of several types, and these are all of one
  const answers = nl.getEach(requests as unknown as Parameters<Netlink['getEach']>[0]);
  const isThere = (answer: unknown) => !(answer instanceof Refused) || !absent.has(answer.code);
  let next = 0;
  return there.map((possible, i) =>
    possible && chains[i]?.[2] !== undefined ? isThere(answers[next++]) : possible,
  );
}

/** The tables of all families; undefined where others change them just now, so that some may have been left out, and
 *  where they may not be looked at. */
function tablesThere(nl: Netlink): ReadonlySet<string> | undefined {
  try {
    const { values, interrupted } = nl.dumpOnce({
      name: 'NFT_MSG_GETTABLE',
      type: messageType('nftables', NFT_MSG_GETTABLE),
      flags: 0,
      message: tableMessage,
      value: {},
    });
    if (interrupted) return undefined;
    return new Set(values.map(({ family = 0, name = '' }) => tableKey(family, name)));
  } catch (error) {
    if (error instanceof SyscallError && absent.has(error.code)) return new Set();
    // Who asks more gets that answer again, and tells what could not be done.
    if (error instanceof SyscallError && error.code === 'EPERM') return undefined;
    throw error;
  }
}

function tableKey(family: number, name: string): string {
  return `${family} ${name}`;
}

/** ENOENT, and what kernels answer that lack nf_tables, the family or all of nfnetlink: our reads are well-formed. */
export const absent: ReadonlySet<string> = new Set([
  'ENOENT',
  'EINVAL',
  'EOPNOTSUPP',
  'EAFNOSUPPORT',
  'EPROTONOSUPPORT',
]);
