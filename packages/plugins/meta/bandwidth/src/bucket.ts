/** A token bucket at the exit of a link. */
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Drift } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import type { Link } from '@cni-ts/rtnetlink/link';
import { addBucketQueue, addTokenBucket, deleteQdisc, findQdisc, rootBucket } from '@cni-ts/rtnetlink/qdisc';
import { failing } from '@cni-ts/spec/failing';
import type { Limit } from './config.ts';
import { type Bucket, bucketDifferences } from './rate-limit.ts';

/** `doing`: what errors begin with. */
export function addBucket(
  { host: { route }, request }: Site,
  link: Link,
  bucket: Bucket,
  doing: string,
): void {
  request.undo.make(
    `tbf of ${link.name}`,
    () => failing(doing, () => addTokenBucket(route, link, bucket)),
    () => {
      // Only the very bucket: without an answer nobody knows whether it was made, or somebody's was in the way.
      const { rate, limit, buffer } = findQdisc(route, link)?.tokenBucket ?? {};
      if (rate === bucket.rate && limit === bucket.limit && buffer === bucket.buffer)
        deleteQdisc(route, link, rootBucket);
    },
  );
  const { queue } = bucket;
  if (queue !== undefined) failing(doing, () => addBucketQueue(route, link, queue));
}

export function bucketDrift(nl: Netlink, link: Link, limit: Limit): Drift[] {
  const found = findQdisc(nl, link);
  if (found?.tokenBucket) return bucketDifferences(link.name, limit, found.tokenBucket);
  const instead = found?.handle ? `its root qdisc is ${found.kind}` : 'it has no root qdisc';
  return [{ text: 'Failed to find qdisc', detail: `${link.name} is not limited: ${instead}, should be tbf` }];
}

/** Takes the bucket off the attachment's link, whatever the configuration says of limits by now: one of ours is 1:,
 *  which nobody has by accident. */
export function releaseBucket(nl: Netlink, link: { readonly index: number }): void {
  const found = findQdisc(nl, link);
  if (found?.tokenBucket && found.handle === rootBucket.handle) {
    failing('delete qdisc', () => deleteQdisc(nl, link, rootBucket));
  }
}
