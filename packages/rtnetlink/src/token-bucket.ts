import { tick } from './qdisc.ts';

/** What the kernel tells of a burst that it was given in bytes, at a rate in bytes a second: psched_ratecfg_precompute in net/sched/sch_generic.c and
 *  psched_l2t_ns in include/net/sch_generic.h, of which 32 bits of ticks are shown. */
export function ticksOfBurst(bytes: bigint, rate: bigint): number {
  let [factor, shift, multiplier] = [1_000_000_000n, 0n, 1n];
  for (;;) {
    multiplier = factor / rate;
    if (multiplier & (1n << 31n) || factor & (1n << 63n)) break;
    factor <<= 1n;
    shift++;
  }
  return Number(BigInt.asUintN(32, ((bytes * multiplier) >> shift) / BigInt(tick)));
}
