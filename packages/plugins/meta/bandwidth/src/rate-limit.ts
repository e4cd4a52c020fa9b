import type { Drift } from '@cni-ts/resource/resource';
import { type TokenBucket, tick } from '@cni-ts/rtnetlink/qdisc';
import { ticksOfBurst } from '@cni-ts/rtnetlink/token-bucket';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Limit } from './config.ts';

/** How long a packet may wait for its turn. */
const latencyMicroseconds = 25_000n;
const oneSecond = 1_000_000_000; // nanoseconds
/** The longest time by which the kernel sizes a bucket that is given as a time. */
const longestNanoseconds = 2 ** 32 - 1;
/** Bytes; what 32 bits can tell. */
const longestQueue = 0xffffffff;
/** A packet of the greatest MTU with its Ethernet header. */
const largestPacket = 65_550;
const uint32 = (value: bigint): number => Number(BigInt.asUintN(32, value));

/** A token bucket, and the queue behind it where that must be longer than the bucket says. */
export interface Bucket extends TokenBucket {
  /** Bytes that may wait, where `limit` has no room for them. */
  readonly queue?: number | undefined;
}

/**
 * A limit as the kernel's token bucket, by the reference's arithmetic: bits become bytes, and the burst becomes the
 * time it lasts at that rate, in whole microseconds and then ticks. Three things differ, since a bucket so made
 * would be another than was asked for:
 * - A time that 32 bits of ticks cannot tell (from 275 seconds) is given in bytes instead, if that can be done so that
 *   what the kernel tells of it afterwards, the low 32 bits, is the number at which the reference's arithmetic arrives:
 *   its CHECK compares that, and an engine takes a container's addresses away when CHECK fails. If not, it is given as
 *   that number, as long as what is left of the burst lasts a second.
 * - So is one that is over in less than a microsecond, and one over 4.3 seconds at a rate so low that the kernel
 *   would not let a packet into the bucket.
 * - Where the limit wraps at 32 bits to less than one packet, the bucket has that limit, which the reference's CHECK
 *   compares too, and gets a queue of its own that takes the packets.
 *
 * Throws what the kernel would say, for a rate or a burst below one byte and for a burst that takes no time.
 */
export function tokenBucket({ rate, burst }: Limit, errorPrefix = ''): Bucket {
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
  const buffer = referenceBuffer(bytes, bytesPerSecond);
  const size = isDistorted(bytes, bytesPerSecond) ? inBytes(bytes, bytesPerSecond, buffer) : { buffer };
  return { rate: bytesPerSecond, ...queueLimit(bytesPerSecond, bytes), ...size };
}

/** Whether the kernel would make another bucket of the reference's number than was asked for. */
function isDistorted(bytes: bigint, bytesPerSecond: bigint): boolean {
  const buffer = referenceBuffer(bytes, bytesPerSecond);
  const wraps = (bytes * 1_000_000_000n) / bytesPerSecond / BigInt(tick) > 0xffffffffn;
  return wraps || buffer === 0 || !admitsPackets(bytes, bytesPerSecond, buffer);
}

/** Whether a bucket given as a time takes packets as large as the burst lets through. */
function admitsPackets(bytes: bigint, bytesPerSecond: bigint, buffer: number): boolean {
  const admitted = (Math.min(buffer * tick, longestNanoseconds) * Number(bytesPerSecond)) / 1e9;
  return admitted >= Math.min(Number(bytes), largestPacket) * 0.99;
}

/** As a double and twice truncated, for the reference's CHECK compares this number. */
function referenceBuffer(bytes: bigint, bytesPerSecond: bigint): number {
  const microseconds = ((Number(bytes) * 1_000_000) / Number(bytesPerSecond)) >>> 0;
  return ((microseconds * 1000) / tick) >>> 0;
}

/** The burst in bytes, and what the kernel will tell of it: the nearest of which it tells the reference's number. Where
 *  a byte lasts longer than a tick there may be none; then that number alone, unless it is too little of the burst. */
function inBytes(bytes: bigint, rate: bigint, reference: number): { burst?: number; buffer: number } {
  const furthest = rate / 500_000n + 16n;
  for (let away = 0n; away <= furthest && reference !== 0; away++) {
    for (const near of [bytes - away, bytes + away]) {
      if (near > 0n && near < 0xffffffffn && ticksOfBurst(near, rate) === reference) {
        return { burst: Number(near), buffer: reference };
      }
    }
  }
  if (reference * tick >= oneSecond && admitsPackets(bytes, rate, reference)) return { buffer: reference };
  return { burst: Number(bytes), buffer: ticksOfBurst(bytes, rate) };
}

function queueLimit(bytesPerSecond: bigint, bytes: bigint): { limit: number; queue?: number } {
  const whole = (bytesPerSecond * latencyMicroseconds) / 1_000_000n + bytes;
  const limit = uint32(whole);
  return BigInt(limit) === whole || limit >= largestPacket ? { limit } : { limit, queue: longestQueue };
}

/** How the bucket found on a link differs from the one wanted there; the first is what the reference would say. */
export function bucketDifferences(where: string, limit: Limit, found: TokenBucket): Drift[] {
  const wanted = tokenBucket(limit);
  const differ = (what: string, is: bigint | number, should: bigint | number, unit: string): Drift => ({
    text: `${what} doesn't match`,
    detail: `${what.toLowerCase()} of ${where} is ${is} ${unit}, should be ${should}`,
  });
  const differences: Drift[] = [];
  if (found.rate !== wanted.rate) differences.push(differ('Rate', found.rate, wanted.rate, 'bytes/s'));
  // Made by an earlier release of ours, which had the bucket itself say how much may wait.
  const sameLimit =
    found.limit === wanted.limit || (wanted.queue !== undefined && found.limit === wanted.queue);
  if (!sameLimit) differences.push(differ('Limit', found.limit, wanted.limit, 'bytes'));
  if (!sameBuffer(limit, wanted, found))
    differences.push(differ('Buffer', found.buffer, wanted.buffer, 'ticks'));
  return differences;
}

/** A burst in bytes comes back as the kernel's own quotient: of the bytes that are chosen now, or, exact to 31 bits, of
 *  the burst itself, as earlier releases gave it. Or the reference made the bucket, whose ticks have wrapped twice. */
function sameBuffer({ rate, burst }: Limit, wanted: Bucket, found: TokenBucket): boolean {
  if (found.buffer === wanted.buffer) return true;
  const bytes = burst / 8n;
  if (!isDistorted(bytes, rate / 8n)) return false;
  if (found.buffer === referenceBuffer(bytes, rate / 8n)) return true;
  const ticks = (bytes * 1_000_000_000n) / wanted.rate / BigInt(tick);
  const apart = Math.abs((found.buffer - uint32(ticks)) | 0);
  return apart <= 2 + Number(ticks / 2n ** 31n);
}
