import type { Netlink } from '@cni-ts/netlink/socket';
import type { NftFamily } from '@cni-ts/nftables/nfnetlink';
import { addTable } from '@cni-ts/nftables/table';
import { wouldAccept } from '@cni-ts/nftables/transaction';
import { findProgram, runProgram } from './program.ts';

export type Backend = 'iptables' | 'nftables';

/**
 * The backend for a configuration that names none: iptables, unless it cannot be used and nftables can. Usually only
 * a look into PATH. That iptables is there but fails shows when it is used: see `iptablesWorks`.
 */
export function defaultBackend(nl: Netlink, family: NftFamily = 'inet'): Backend {
  if (findProgram('iptables') !== undefined && findProgram('iptables-restore') !== undefined)
    return 'iptables';
  return nftablesWorks(nl, family) ? 'nftables' : 'iptables';
}

/** Whether iptables can read its filter table: one process, so only asked after something failed. */
export function iptablesWorks(): boolean {
  const program = findProgram('iptables');
  if (program === undefined) return false;
  try {
    runProgram(program, ['-t', 'filter', '-S', 'INPUT', '1', '--wait']);
    return true;
  } catch (error) {
    // Status 1 is an empty chain to some versions.
    return error instanceof Error && 'status' in error && error.status === 1;
  }
}

/** Whether the kernel takes tables of this family from us. No process, nothing is changed. */
export function nftablesWorks(nl: Netlink, family: NftFamily = 'inet'): boolean {
  return wouldAccept(nl, [addTable({ family, name: 'cni_trial' })]);
}
