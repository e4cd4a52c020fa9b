import type { Netlink } from '@cni-ts/netlink/socket';
import type { Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import type { Link } from '@cni-ts/rtnetlink/link';
import {
  addBucketQueue,
  addTokenBucket,
  deleteQdisc,
  findQdisc,
  rootBucket,
  tcParent,
} from '@cni-ts/rtnetlink/qdisc';
import { failing } from '@cni-ts/spec/failing';
import type { Limit } from './config.ts';
import { bucketDifferences, tokenBucket } from './rate-limit.ts';

/** A token bucket at the exit of a link. `during`: what errors begin with. Throws for a limit that the kernel would
 *  refuse. */
export function bucketOf(
  name: () => string,
  find: () => Link | undefined,
  limit: Limit,
  during = '',
): Resource {
  const bucket = tokenBucket(limit, during);
  return {
    describe: () => `tbf on ${name()}: ${limit.rate} bit/s, burst ${limit.burst} bits`,
    ensure({ host: { route }, request }) {
      const link = find()!; // reason: the resource before has found or made it
      const make = (work: () => void) => failing(`${during}create qdisc`, work);
      request.undo.make(
        `tbf of ${link.name}`,
        () => make(() => addTokenBucket(route, link, bucket)),
        () => {
          // Without an answer nobody knows whether it was made, or somebody's was in the way.
          const found = findQdisc(route, link)?.tokenBucket;
          if (found && bucketDifferences('', limit, found).length === 0) deleteQdisc(route, link, rootBucket);
        },
      );
      const { queue } = bucket;
      if (queue !== undefined) make(() => addBucketQueue(route, link, queue));
    },
    differences({ host: { route } }) {
      const link = find();
      const found = link && findQdisc(route, link);
      if (found?.tokenBucket) return bucketDifferences(name(), limit, found.tokenBucket);
      const instead = found?.handle ? `its root qdisc is ${found.kind}` : 'it has no root qdisc';
      const detail = `${name()} is not limited: ${instead}, should be tbf`;
      return [{ text: 'Failed to find qdisc', detail }];
    },
    /** What stands in its place goes, and it is made anew. */
    mend({ host: { route } }) {
      const link = find()!; // reason: as above
      const { handle } = findQdisc(route, link) ?? {};
      if (handle) deleteQdisc(route, link, { handle, parent: tcParent.root });
      return false;
    },
  };
}

/** Takes the bucket off the attachment's link, whatever the configuration says of limits by now: one of ours is 1:,
 *  which nobody has by accident. */
export function releaseBucket(nl: Netlink, link: { readonly index: number }): void {
  const found = findQdisc(nl, link);
  if (found?.tokenBucket && found.handle === rootBucket.handle) {
    failing('delete qdisc', () => deleteQdisc(nl, link, rootBucket));
  }
}

/** Such a limit works as it says, and nothing passes but small packets: an operator looks for the reason elsewhere. */
export function warnOfSmallBurst({ request }: Site, link: Link, direction: string, { burst }: Limit): void {
  const ethernetHeader = 14;
  if (burst / 8n >= link.mtu + ethernetHeader) return;
  request.log(
    `bandwidth: ${direction}Burst of ${burst} bits is less than a packet of ${link.name}'s MTU (${link.mtu} bytes and ` +
      `${ethernetHeader} of header): packets larger than the burst are dropped`,
  );
}
