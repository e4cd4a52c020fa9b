import type { Cidr } from '@cni-ts/address/cidr';
import type { Statement } from '@cni-ts/nftables/rule';
import type { Config } from './config.ts';
import type { Mapping } from './mapping.ts';
import type { Owner } from './owner.ts';

/** What must hold afterwards, in the words of neither backend. */
export interface Plan {
  readonly owner: Owner;
  /** All of them, whatever they are for. */
  readonly mappings: readonly Mapping[];
  /** At most one address per family, IPv4 first, with the mappings that lead there: none without any. */
  readonly targets: readonly Target[];
  /** Whether sources that could not be answered otherwise are masqueraded. */
  readonly snat: boolean;
  /** … or all. */
  readonly masqAll: boolean;
  readonly mark: number;
  readonly externalSetMarkChain: string;
  /** As words of iptables. */
  readonly conditions: Config['conditions'];
  /** As matches of nftables: alternatives. */
  readonly nftConditions: Readonly<Record<4 | 6, readonly (readonly Statement[])[]>>;
}

export interface Target {
  /** With the prefix of the container's subnet. */
  readonly address: Cidr;
  readonly mappings: readonly Mapping[];
}
