import { deleteLink, type Link, listLinks } from '@cni-ts/rtnetlink/link';
import { isOwnedBy, isStale, readLinkOwner } from '@cni-ts/skeleton/link-owner';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import { tryEach } from '@cni-ts/spec/failing';
import type { Namespace } from './namespace.ts';

/** Whether the link's alias names another attachment. Without one of ours it may be anybody's, or ours from before. */
export function isAnothers(link: Link, owner: Owner, plugin: string): boolean {
  const alias = link.attributes.ifAlias;
  return !!alias && !isOwnedBy(alias, owner, plugin) && readLinkOwner(alias) !== undefined;
}

/** GC: deletes the links of the host that the plugin made in this network for attachments that are not in the list. */
export function collectLinks(
  host: Namespace,
  network: string,
  plugin: string,
  valid: readonly Omit<Owner, 'network'>[],
): void {
  const all = listLinks(host.route);
  const stale = all.filter(({ attributes }) => isStale(attributes.ifAlias ?? '', network, plugin, valid));
  tryEach(stale, (link) => void deleteLink(host.route, link));
}
