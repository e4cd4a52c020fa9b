import { type TokenBucket, tick } from '@cni-ts/rtnetlink/qdisc';
import { CniError, ErrorCode } from '@cni-ts/skeleton/cni-error';
import type { Limit } from './config.ts';

/** How long a packet may wait for its turn. */
const latencyMicroseconds = 25_000n;
/** The longest time by which the kernel sizes a bucket that is given as a time. */
const longestNanoseconds = 2 ** 32 - 1;
/** A packet of the greatest MTU with its Ethernet header. */
const largestPacket = 65_550;
const uint32 = (value: bigint): number => Number(BigInt.asUintN(32, value));

/**
 * A limit as the kernel's token bucket, by the reference's arithmetic: bits become bytes, and the burst becomes the
 * time it lasts at that rate, in whole microseconds and then ticks. Three things differ, since a bucket so made
 * would be another than was asked for:
 * - A time that 32 bits of ticks cannot tell (from 275 seconds) is given in bytes instead. What the kernel tells of
 *   it afterwards are the low 32 bits, the very number at which the reference's arithmetic arrives.
 * - So is one that is over in less than a microsecond, and one over 4.3 seconds at a rate so low that the kernel
 *   would not let a packet into the bucket.
 * - A limit that wraps at 32 bits to less than one packet is the largest there is.
 *
 * Throws what the kernel would say, for a rate or a burst below one byte and for a burst that takes no time.
 */
export function tokenBucket({ rate, burst }: Limit, errorPrefix = ''): TokenBucket {
  const bytesPerSecond = rate / 8n;
  const bytes = burst / 8n;
  const nanoseconds = bytesPerSecond === 0n ? 0n : (bytes * 1_000_000_000n) / bytesPerSecond;
  if (nanoseconds === 0n) {
    throw new CniError(
      ErrorCode.internal,
      `${errorPrefix}create qdisc: invalid argument`,
      `${rate} bits per second with a burst of ${burst} bits is nothing the kernel can measure out; ` +
        'both must be 8 at least, and the burst last a nanosecond',
    );
  }
  // As a double and twice truncated, for the reference's CHECK compares this number.
  const microseconds = ((Number(bytes) * 1_000_000) / Number(bytesPerSecond)) >>> 0;
  const buffer = ((microseconds * 1000) / tick) >>> 0;
  const inTicks = nanoseconds / BigInt(tick);
  const admitted = (Math.min(buffer * tick, longestNanoseconds) * Number(bytesPerSecond)) / 1e9;
  const distorted =
    buffer === 0 || inTicks > 0xffffffffn || admitted < Math.min(Number(bytes), largestPacket) * 0.99;
  return {
    rate: bytesPerSecond,
    limit: queueLimit(bytesPerSecond, bytes),
    buffer: distorted ? uint32(inTicks) : buffer,
    ...(distorted && { burst: Number(bytes) }),
  };
}

function queueLimit(bytesPerSecond: bigint, bytes: bigint): number {
  const whole = (bytesPerSecond * latencyMicroseconds) / 1_000_000n + bytes;
  const wrapped = uint32(whole);
  return BigInt(wrapped) === whole || wrapped >= largestPacket ? wrapped : 0xffffffff;
}

/** One thing that is not as ADD made it: in the words known for it, and in detail. */
export interface Difference {
  readonly text: string;
  readonly detail: string;
}

/** How the bucket found on a link differs from the one wanted there; the first is what the reference would say. */
export function bucketDifferences(where: string, limit: Limit, found: TokenBucket): Difference[] {
  const wanted = tokenBucket(limit);
  const differ = (what: string, is: bigint | number, should: bigint | number, unit: string): Difference => ({
    text: `${what} doesn't match`,
    detail: `${what.toLowerCase()} of ${where} is ${is} ${unit}, should be ${should}`,
  });
  const differences: Difference[] = [];
  if (found.rate !== wanted.rate) differences.push(differ('Rate', found.rate, wanted.rate, 'bytes/s'));
  if (found.limit !== wanted.limit) differences.push(differ('Limit', found.limit, wanted.limit, 'bytes'));
  if (!sameBuffer(wanted, found)) differences.push(differ('Buffer', found.buffer, wanted.buffer, 'ticks'));
  return differences;
}

/** What was given in bytes comes back as the kernel's own quotient, which is exact to 31 bits; or the reference made
 *  the bucket, whose ticks have wrapped twice. */
function sameBuffer(wanted: TokenBucket, found: TokenBucket): boolean {
  if (found.buffer === wanted.buffer) return true;
  if (wanted.burst === undefined) return false;
  const ticks = (BigInt(wanted.burst) * 1_000_000_000n) / wanted.rate / BigInt(tick);
  const apart = Math.abs((found.buffer - wanted.buffer) | 0);
  if (apart <= 2 + Number(ticks / 2n ** 31n)) return true;
  const microseconds = ((wanted.burst * 1_000_000) / Number(wanted.rate)) >>> 0;
  return found.buffer === ((microseconds * 1000) / tick) >>> 0;
}
