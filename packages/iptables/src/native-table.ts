import type { Table } from '@cni-ts/nftables/table';
import type { Family } from './program.ts';
import type { IptablesTableName } from './restore.ts';

/** Where iptables-nft keeps a table. */
export function iptablesNftTable(family: Family, name: IptablesTableName): Table {
  return { family: family === 4 ? 'ip' : 'ip6', name };
}
