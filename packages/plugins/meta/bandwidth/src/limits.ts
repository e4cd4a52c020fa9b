import type { Netlink } from '@cni-ts/netlink/socket';
import type { Lasting } from '@cni-ts/resource/resource';
import { ingressRedirects } from '@cni-ts/rtnetlink/filter';
import { deleteLink, type Link } from '@cni-ts/rtnetlink/link';
import { deleteQdisc, findQdisc, ingress, tcParent } from '@cni-ts/rtnetlink/qdisc';
import { failing, tryEach } from '@cni-ts/spec/failing';
import { releaseBucket } from './bucket.ts';
import { remainingHostEnd } from './host-end.ts';
import { ifbsOf, redirectedTo, staleIfbs } from './ifb.ts';

/** What limits an attachment. Names follow from that: no valid configuration is needed. */
export const limits: Lasting = {
  name: 'the limits',
  remove(site) {
    const { route } = site.host;
    const veth = remainingHostEnd(site);
    const ifbs = ifbsOf(route, site.owner, veth);
    const steps = ifbs.map((ifb) => () => removeIfb(route, ifb, veth));
    if (veth) {
      steps.unshift(
        () => release(route, veth, ifbs),
        () => releaseBucket(route, veth),
      );
    }
    tryEach(steps, (step) => step());
  },
  collect: ({ host: { route }, request }, valid) =>
    tryEach(staleIfbs(route, request.network, valid), (ifb) => removeIfb(route, ifb)),
};

/** Takes the redirection off a link. One that leads elsewhere is not ours; nor is an ingress qdisc without any, since
 *  ours has its filter from its first moment, but where an ADD of an earlier release was killed beside its ifb. */
export function release(nl: Netlink, link: { readonly index: number }, ifbs: readonly Link[]): void {
  const targets = ingressRedirects(nl, link);
  // 0: the ifb was deleted before its redirection, as the reference does. All the container sends is lost since.
  const ours = new Set([0, ...ifbs.map(({ index }) => index)]);
  if (!targets.every((target) => ours.has(target))) return;
  const isHalfMade = () => ifbs.length > 0 && findQdisc(nl, link, tcParent.ingress)?.kind === 'ingress';
  if (targets.length > 0 || isHalfMade()) {
    failing('delete ingress qdisc', () => deleteQdisc(nl, link, ingress));
  }
}

/** Links other than `veth` that lead to it are let go first: they would lose all that they receive. */
export function removeIfb(nl: Netlink, ifb: Link, veth?: Link): void {
  for (const index of veth ? [] : redirectedTo(nl, ifb)) {
    release(nl, { index }, [ifb]);
    releaseBucket(nl, { index });
  }
  failing(`failed to delete "${ifb.name}"`, () => deleteLink(nl, ifb));
}
