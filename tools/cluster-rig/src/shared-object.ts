/** whereabouts' way, on raw etcd: all allocations of a range are one object. Who wants an address reads it, takes the lowest
 *  free one, and writes the object if nobody else has meanwhile; else once more. Its lease, for which everybody would have to
 *  wait besides, is left out. */
import { quantile } from '@cni-ts/bench/statistics';
import { Gateway } from './gateway.ts';
import { now } from './stage.ts';

export interface SharedObjectFigures {
  readonly writers: number;
  readonly allocations: number;
  readonly perSecond: number;
  /** Tries for one allocation, on average. */
  readonly tries: number;
  readonly median: number;
  /** Milliseconds. */
  readonly p99: number;
}

export async function sharedObject(
  endpoints: readonly string[],
  writers: number,
  seconds: number,
): Promise<SharedObjectFigures> {
  const key = '/rig/shared-object';
  const first = new Gateway(endpoints);
  await first.put(key, JSON.stringify({ allocations: {} }));
  const took: number[] = [];
  let tries = 0;
  const until = now() + seconds;
  const writer = async (number: number) => {
    // Each has a member of its own that it asks first.
    const at = number % endpoints.length;
    const gateway = new Gateway([...endpoints.slice(at), ...endpoints.slice(0, at)]);
    for (let i = 0; now() < until; i++) {
      const began = now();
      for (;;) {
        tries++;
        const found = await gateway.get(key);
        if (!found) throw new Error('the shared object is gone');
        const { allocations } = JSON.parse(found.value) as { allocations: Record<string, unknown> }; // reason: written above and below
        let lowest = 1;
        while (allocations[lowest] !== undefined) lowest++;
        allocations[lowest] = { id: `w${number}-${i}`, podref: `default/pod-${number}-${i}`, ifname: 'eth0' };
        if (await gateway.swap(key, found.modRevision, JSON.stringify({ allocations }))) break;
        if (now() > until + 30) return;
      }
      took.push((now() - began) * 1000);
    }
  };
  const began = now();
  await Promise.all(Array.from({ length: writers }, (_, number) => writer(number)));
  return {
    writers,
    allocations: took.length,
    perSecond: took.length / (now() - began),
    tries: tries / took.length,
    median: quantile(took, 0.5),
    p99: quantile(took, 0.99),
  };
}
