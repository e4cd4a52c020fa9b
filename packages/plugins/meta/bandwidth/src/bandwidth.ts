/** bandwidth: limits what a container receives and sends, at the host's end of its veth pair.
 *
 *  The kernel delays what leaves a link, not what comes in. What the container receives leaves the host's end, so a
 *  token bucket there is enough. What it sends comes in there: it is redirected to an ifb, a link that gives back
 *  all that it is sent, and the bucket stands at the ifb's exit. */
import { chainedPlugin } from '@cni-ts/resource/chained-plugin';
import { toCome } from '@cni-ts/resource/foretold';
import { emptyNamespace } from '@cni-ts/resource/namespace';
import type { Resource } from '@cni-ts/resource/resource';
import { redirectIngress } from '@cni-ts/rtnetlink/filter';
import { getLink } from '@cni-ts/rtnetlink/link';
import { addIngress, addTokenBucket } from '@cni-ts/rtnetlink/qdisc';
import { failing } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import { exactIntegers } from '@cni-ts/spec/whole-numbers';
import { parse, schema } from './config.ts';
import { foretoldHostEnd, hostEnd } from './host-end.ts';
import { createIfb } from './ifb.ts';
import { Inward, Outward } from './limited.ts';
import { limits } from './limits.ts';
import { tokenBucket } from './rate-limit.ts';

/** Where nothing is limited CHECK looks for the host's end all the same. */
const unlimited = (previous: Result): Resource => ({
  implied: true,
  describe: () => 'no limit',
  differences: (site) => (hostEnd(site, previous) ? [] : []),
});

/** Whom STATUS makes its links for. */
const nobody = { network: '-', containerId: '-', ifname: '-' };

export const bandwidth = chainedPlugin({
  type: 'bandwidth',
  config: schema,
  configError: 'failed to parse network configuration',
  readJson: exactIntegers,
  parse,
  missing: 'must be called as chained plugin',
  missingInCheck: 'must be called as a chained plugin',
  plan({ ingress, egress }, site, previous) {
    // What the kernel would refuse is refused here, before anything is made.
    const inward = ingress && tokenBucket(ingress);
    const outward = egress && tokenBucket(egress, 'create ifb qdisc: ');
    if (!inward && !outward) return { resources: [unlimited(previous)] };
    const foretold = foretoldHostEnd(site, previous);
    const veth = foretold ?? hostEnd(site, previous);
    const coming = (one: Resource) => (foretold ? toCome(one) : one);
    const resources = inward ? [coming(new Inward({ veth, limit: ingress, bucket: inward }))] : [];
    if (!outward) return { resources };
    const last = new Outward({ veth, limit: egress, bucket: outward });
    resources.push(coming(last));
    const { interfaces = [] } = previous;
    return { resources, result: () => ({ ...previous, interfaces: [...interfaces, last.entry(site)] }) };
  },
  lasting: () => [limits],
  /** Tries all that ADD does in a namespace that is thrown away: whether the kernel can do it is known only then. */
  status({ ingress, egress }, { request }) {
    for (const limit of [ingress, egress]) if (limit) tokenBucket(limit);
    const { route } = emptyNamespace(request);
    failing('adding link', () => createIfb(route, 'ifb', 1500, nobody));
    const ifb = getLink(route, 'ifb');
    const some = tokenBucket({ rate: 8_000_000n, burst: 800_000n });
    failing('create qdisc', () => addTokenBucket(route, ifb, some));
    failing('create ingress qdisc', () => addIngress(route, ifb));
    failing('add filter', () => redirectIngress(route, ifb, getLink(route, 'lo')));
  },
});
