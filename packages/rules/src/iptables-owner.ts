import type { Owner } from '@cni-ts/skeleton/owner-comment';
import type { Owners } from './rule-set.ts';

export { readNamed } from '@cni-ts/skeleton/owner-of';

/** Network and container, which is all that the reference's iptables rules tell of their owner. */
export type NamedOwner = Pick<Owner, 'network' | 'containerId'>;

/** What iptables takes. */
const longest = 255;

/**
 * The comment of a rule that leads to a container's chain, as the reference writes it; `what` is a word for what the
 * rule does. One that is too long is cut, since its chain names the owner anyway, and ends with two dots or more.
 */
export function namingComment({ network, containerId }: NamedOwner, what = '', dots = '...'): string {
  const whole = `${networkStart(network, what)}${containerId}"`;
  return whole.length <= longest ? whole : whole.slice(0, longest - dots.length) + dots;
}

function networkStart(network: string, what: string): string {
  return `${what}name: "${network}" id: "`;
}

/** The rules that name a network, but none of `valid` as owner. */
export function namingNoneOf(
  network: string,
  valid: readonly { readonly containerId: string }[],
  what = '',
  dots?: string,
): Owners {
  const keep = new Set(valid.map(({ containerId }) => namingComment({ network, containerId }, what, dots)));
  const mark = networkStart(network, what);
  return { mark, owns: (comment) => (comment?.startsWith(mark) ?? false) && !keep.has(comment!) };
}

/**
 * Whether a comment names somebody else. The reference hashes network and container ID without anything between them,
 * so `net1` with `1abc` and `net11` with `abc` have one chain: what leads there tells whose it is. A comment that names
 * nobody is no reason to spare anything; long ones are cut and end with dots.
 */
export function isAnothers(comment: string | undefined, owner: NamedOwner): boolean {
  const at = comment?.indexOf('name: "') ?? -1;
  if (comment === undefined || at < 0) return false;
  const [theirs, own] = [comment.slice(at), `${networkStart(owner.network, '')}${owner.containerId}"`];
  if (theirs === own) return false;
  let end = theirs.length;
  while (end > 0 && theirs[end - 1] === '.') end--;
  return end > theirs.length - 2 || !own.startsWith(theirs.slice(0, end));
}
