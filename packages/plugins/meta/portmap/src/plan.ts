import type { Cidr } from '@cni-ts/address/cidr';
import type { Backend } from '@cni-ts/iptables/backend';
import { readableMatches, readMatches, UnreadMatch } from '@cni-ts/nftables/read-matches';
import type { Statement } from '@cni-ts/nftables/rule';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import type { Config } from './config.ts';
import { containerAddresses } from './container-address.ts';
import { type Mapping, readMappings } from './mapping.ts';
import type { Owner } from './owner.ts';

/** What must hold afterwards. */
export interface Plan {
  readonly owner: Owner;
  readonly config: Config;
  /** All of them, whatever they are for. */
  readonly mappings: readonly Mapping[];
  /** At most one address per family, IPv4 first, with the mappings that lead there: none without any. */
  readonly targets: readonly Target[];
  /** The configuration's conditions as matches of nftables: alternatives. */
  readonly nftConditions: Readonly<Record<4 | 6, readonly (readonly Statement[])[]>>;
}

export interface Target {
  /** With the prefix of the container's subnet. */
  readonly address: Cidr;
  readonly mappings: readonly Mapping[];
}

/** Everything that can be decided without touching the host. */
export function planFor(config: Config, owner: Owner, prevResult: Result, backend: Backend): Plan {
  const mappings = readMappings(config.portMappings ?? []);
  const targets = containerAddresses(prevResult, owner.ifname).flatMap((address) => {
    const own = mappings.filter((one) => one.families.includes(address.ip.family));
    return own.length ? [{ address, mappings: own }] : [];
  });
  const conditions = (family: 4 | 6) => (backend === 'nftables' ? readConditions(family, config) : []);
  return { owner, config, mappings, targets, nftConditions: { 4: conditions(4), 6: conditions(6) } };
}

/** `conditionsV4` and `conditionsV6` in nft's language. What is not understood is refused before anything is changed. */
export function readConditions(family: 4 | 6, { conditions }: Config): Statement[][] {
  try {
    // One word may hold several of nft's, as the reference only joins them with spaces.
    return readMatches(family, conditions[family].join(' '));
  } catch (error) {
    if (!(error instanceof UnreadMatch)) throw error;
    throw new CniError(
      ErrorCode.internal,
      `conditionsV${family}: cannot understand "${error.message}" as a condition of nftables`,
      `conditions can be: ${readableMatches}`,
    );
  }
}
