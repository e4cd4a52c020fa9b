import { hashedName } from '@cni-ts/libc/name-hash';
import type { Owner } from './owner-comment.ts';

/** What the kernel keeps of an alias: IFALIASZ with the closing zero byte is 256 (include/uapi/linux/if.h). */
const longest = 255;
/** Of one name; three of them and the words between fit into an alias. */
const longestName = 72;

/**
 * Whose a link is, written into its alias (`ip link` shows it): `cni:1 net=<name> id=<container> if=<interface>
 * plugin=<type>`. Names are as the specification lets them be, without spaces; a very long one is there by its hash.
 */
export function linkOwner({ network, containerId, ifname }: Owner, plugin: string): string {
  const text = `cni:1 net=${short(network)} id=${short(containerId)} if=${short(ifname)} plugin=${plugin}`;
  return text.slice(0, longest);
}

/** Whether an alias says that the link is this attachment's. What a later release may say besides is passed over. */
export function isOwnedBy(alias: string, owner: Owner, plugin: string): boolean {
  const text = linkOwner(owner, plugin);
  return alias === text || alias.startsWith(`${text} `);
}

/** What an alias says, its long names as hashes; undefined when it is none of ours. */
export function readLinkOwner(alias: string): (Owner & { readonly plugin: string }) | undefined {
  const found = /^cni:1 net=(\S+) id=(\S+) if=(\S+) plugin=(\S+)/.exec(alias);
  if (!found) return undefined;
  const [, network = '', containerId = '', ifname = '', plugin = ''] = found;
  return { network, containerId, ifname, plugin };
}

/** Whether an alias names another attachment than this, whichever plugin made the link. */
export function namesAnother(alias: string, { network, containerId, ifname }: Owner): boolean {
  const said = readLinkOwner(alias);
  if (!said) return false;
  return (
    said.network !== short(network) ||
    said.containerId !== short(containerId) ||
    said.ifname !== short(ifname)
  );
}

/** Whether the link is one that the plugin made for this network, for an attachment that is not in the list. */
export function isStale(
  alias: string,
  network: string,
  plugin: string,
  valid: readonly Omit<Owner, 'network'>[],
): boolean {
  const owner = readLinkOwner(alias);
  if (owner?.network !== short(network) || owner.plugin !== plugin) return false;
  return !valid.some(
    ({ containerId, ifname }) => owner.containerId === short(containerId) && owner.ifname === short(ifname),
  );
}

/** Whether a name of an alias, which may be a hash, is that of this name. */
export function isNameOf(said: string, name: string): boolean {
  return said === name || said === short(name);
}

function short(name: string): string {
  return name.length <= longestName ? name : `#${hashedName(32, '', name)}`;
}
