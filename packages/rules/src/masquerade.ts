import { type Cidr, formatCidr } from '@cni-ts/address/cidr';
import { defaultBackend, iptablesWorks, nftablesWorks } from '@cni-ts/iptables/backend';
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import type { Undo } from '@cni-ts/skeleton/undo';
import { errorText } from '@cni-ts/spec/cni-error';
import { tryEach } from '@cni-ts/spec/failing';
import { checkBackend } from './masquerade-backend.ts';
import {
  addByIptables,
  differencesInIptables,
  gcByIptables,
  removeByIptables,
} from './masquerade-iptables.ts';
import {
  addByNftables,
  differencesInNftables,
  gcByNftables,
  removeByNftables,
} from './masquerade-nftables.ts';

/** Whose rules they are; everything DEL needs follows from it. */
export type MasqueradeOwner = Owner;

/**
 * Hides the addresses of one attachment behind the host's: what leaves their subnets gets the host's address.
 * `nl` is the host's 'netfilter' socket; programs run in the calling thread's namespace, which must be the same.
 * `addresses`: the container's, with prefix; none: nothing happens. `backend`: the config's `ipMasqBackend` as it
 * stands there (undefined or null: chosen); a word that is no backend throws. Repeating it changes nothing. Its undo
 * is added here.
 */
export function addMasquerade(
  nl: Netlink,
  owner: MasqueradeOwner,
  addresses: readonly Cidr[],
  backend: string | null | undefined,
  undo: Undo,
): void {
  const requested = checkBackend(backend);
  if (!addresses.length) return;
  undo.add(`masquerading of ${owner.containerId}`, () => removeMasquerade(nl, owner, addresses));
  const chosen = requested ?? defaultBackend(nl);
  try {
    if (chosen === 'nftables') addByNftables(nl, owner, addresses);
    else addByIptables(nl, owner, addresses);
  } catch (error) {
    // iptables may be installed on a host whose kernel does not serve it.
    if (requested || chosen !== 'iptables' || iptablesWorks() || !nftablesWorks(nl)) {
      const whose = addresses.map(formatCidr).join(', ');
      throw new Error(`could not masquerade ${whose} by ${chosen}: ${errorText(error)}`, { cause: error });
    }
    addByNftables(nl, owner, addresses);
  }
}

/**
 * Takes the rules of one attachment away, of both backends, whatever the config says. Nothing there is fine, and
 * then starts no program. `addresses` only spare another interface that the same container has on the same network
 * (iptables rules do not name the interface); where they are unknown, leave them out: all rules of the container go.
 */
export function removeMasquerade(nl: Netlink, owner: MasqueradeOwner, addresses?: readonly Cidr[]): void {
  both(
    () => removeByNftables(nl, owner),
    () => removeByIptables(nl, owner, addresses?.length ? addresses : undefined),
  );
}

/** What is missing or different, in words; empty when everything is as addMasquerade leaves it. */
export function checkMasquerade(
  nl: Netlink,
  owner: MasqueradeOwner,
  addresses: readonly Cidr[],
  backend: string | null | undefined,
): string[] {
  const requested = checkBackend(backend);
  if (!addresses.length) return [];
  const chosen = requested ?? defaultBackend(nl);
  if (chosen === 'nftables') return differencesInNftables(nl, owner, addresses);
  // Programs come and go between ADD and CHECK: whichever backend was not asked for by name may have the rules.
  if (!requested && !differencesInNftables(nl, owner, addresses).length) return [];
  return differencesInIptables(nl, owner, addresses);
}

/** Removes the rules of every attachment of `network` that is not among `valid`, of both backends. */
export function gcMasquerade(
  nl: Netlink,
  network: string,
  valid: readonly { readonly containerId: string; readonly ifname: string }[],
): void {
  both(
    () => gcByNftables(nl, network, valid),
    () => gcByIptables(nl, network, valid),
  );
}

/** Both are tried whatever the other does; a kernel without nf_tables has nothing to remove there. */
function both(nftables: () => void, iptables: () => void): void {
  tryEach([nftables, iptables], (remove) => remove());
}
