/** What the container sends comes in at the host's end, and is sent through an ifb. */
import { formatMac } from '@cni-ts/address/mac';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import type { Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { addRedirectingIngress, ingressRedirects } from '@cni-ts/rtnetlink/filter';
import { getLink, IFF_UP, type Link, setUp } from '@cni-ts/rtnetlink/link';
import { findQdisc, tcParent } from '@cni-ts/rtnetlink/qdisc';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import type { Interface } from '@cni-ts/spec/result';
import { bucketOf } from './bucket.ts';
import type { Limit } from './config.ts';
import { createIfb, deleteMarkedIfb, freeName, ifbName, ifbsOf } from './ifb.ts';
import { release } from './limits.ts';

/** The ifb, the bucket at its exit and the redirection; and the ifb as it stands in the result. */
export function egressOf(
  site: Site,
  veth: () => Link,
  limit: Limit,
): { readonly resources: readonly Resource[]; readonly entry: () => Interface } {
  const { owner, request } = site;
  let known: Link | undefined;
  /** Of another interface than eth0 the reference's ifb has another name than ours: the one that is used counts. */
  const find = (): Link | undefined => {
    if (known) return known;
    const { route } = site.host;
    const all = ifbsOf(route, owner, veth());
    const used = all.length > 1 ? ingressRedirects(route, veth()) : [];
    known = all.find(({ index }) => used.includes(index)) ?? all[0];
    return known;
  };
  const name = () => find()?.name ?? freeName(site.host.route, owner, veth());

  const ifb: Resource = {
    describe: () => `link ${name()}, ifb`,
    // One at a time on this host: that a name is free must still be so when the link is made.
    ensure: ({ host: { route } }) =>
      oneAtATime(() => {
        const free = freeName(route, owner, veth());
        request.undo.make(
          `link ${free}`,
          () => failing('adding link', () => createIfb(route, free, veth().mtu, owner)),
          () => deleteMarkedIfb(route, free, owner),
        );
        known = failing('get ifb device', () => getLink(route, free));
      }),
    differences() {
      const link = find();
      const gone = `the link ${ifbName(owner)} is gone`;
      if (!link) return [{ text: 'get ifb device: Link not found', detail: gone, hides: true }];
      if (link.flags & IFF_UP) return [];
      const detail = `${link.name} is down: what ${request.ifname} sends is dropped there`;
      return [{ text: 'ifb device is down', detail }];
    },
    mend({ host: { route } }) {
      const link = find();
      if (link) setUp(route, link);
      return link !== undefined;
    },
  };

  const redirection: Resource = {
    describe: () => `ingress of ${veth().name} redirected to ${name()}`,
    ensure({ host: { route } }) {
      const there = findQdisc(route, veth(), tcParent.ingress);
      if (there) {
        const whose = `${veth().name} has a qdisc of kind "${there.kind}" there already`;
        throw new CniError(ErrorCode.internal, 'create ingress qdisc: file exists', whose);
      }
      const target = find()!; // reason: it was made before
      request.undo.make(
        `ingress qdisc of ${veth().name}`,
        () => {
          try {
            addRedirectingIngress(route, veth(), target);
          } catch (error) {
            const isFilter = error instanceof SyscallError && error.call === 'RTM_NEWTFILTER';
            const what = isFilter ? 'add filter' : 'create ingress qdisc';
            throw new Error(`${what}: ${errorText(error)}`, { cause: error });
          }
        },
        () => release(route, veth(), [target]),
      );
    },
    differences({ host: { route } }) {
      const { name: on } = veth();
      if (findQdisc(route, veth(), tcParent.ingress)?.kind !== 'ingress') {
        const detail = `${on} has no ingress qdisc: what it receives does not go through ${name()}`;
        return [{ text: 'Failed to find ingress qdisc', detail }];
      }
      if (ingressRedirects(route, veth()).includes(find()?.index ?? 0)) return [];
      const detail = `no filter of ${on}'s ingress redirects to ${name()}`;
      return [{ text: 'Failed to find filter', detail }];
    },
    mend({ host: { route } }) {
      release(route, veth(), ifbsOf(route, owner, veth()));
      return false;
    },
  };

  // The bucket first: from the redirection on nothing goes by without it.
  return {
    resources: [ifb, bucketOf(name, find, limit, 'create ifb qdisc: '), redirection],
    entry() {
      const link = find();
      return link ? { name: link.name, mac: formatMac(link.mac) } : { name: name() };
    },
  };
}
