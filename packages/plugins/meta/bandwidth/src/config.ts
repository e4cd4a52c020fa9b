import { networkConfig } from '@cni-ts/skeleton/config';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import * as z from 'zod/mini';

const greatest = 2n ** 64n - 1n;

/** The fields as they stand in a configuration, whose integers were read as bigint. Those of the plugin itself may
 *  also come from the runtime. */
export function schema() {
  const expected = `expected a whole number from 0 to ${greatest}, written in digits`;
  // Null is a value here: it is 0, and says that the limits stand in this place.
  const bits = () =>
    z.optional(z.nullable(z.bigint(expected).check(z.minimum(0n, expected), z.maximum(greatest, expected))));
  const limits = { ingressRate: bits(), ingressBurst: bits(), egressRate: bits(), egressBurst: bits() };
  return z.object({
    ...networkConfig,
    ...limits,
    runtimeConfig: z.optional(z.object({ bandwidth: z.optional(z.object(limits)) })),
  });
}

/** What one direction may carry. */
export interface Limit {
  /** Bits per second. */
  readonly rate: bigint;
  /** Bits that may pass at once after a pause. */
  readonly burst: bigint;
}

/** Directions as the container sees them; undefined: without limit. */
export interface Config {
  readonly ingress: Limit | undefined;
  readonly egress: Limit | undefined;
}

type Raw = z.output<ReturnType<typeof schema>>;

const names = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'] as const;

/** The network's limits count alone where one of them stands in the configuration, be it 0: then the runtime's are
 *  not looked at. */
export function parse(raw: Raw): Config {
  const own = names.some((name) => raw[name] !== undefined);
  const given = own ? raw : (raw.runtimeConfig?.bandwidth ?? {});
  const path = own ? '' : 'runtimeConfig.bandwidth.';
  return {
    ingress: limit(given.ingressRate ?? 0n, given.ingressBurst ?? 0n, `${path}ingress`),
    egress: limit(given.egressRate ?? 0n, given.egressBurst ?? 0n, `${path}egress`),
  };
}

/** A bucket's size in bytes has 32 bits in the kernel, and the highest is taken as too much. */
const burstEnd = 0xffffffffn;

function limit(rate: bigint, burst: bigint, path: string): Limit | undefined {
  if (burst === 0n && rate !== 0n) throw refusal('if rate is set, burst must also be set', `${path}Burst`);
  if (rate === 0n && burst !== 0n) throw refusal('if burst is set, rate must also be set', `${path}Rate`);
  if (burst / 8n >= burstEnd) {
    throw refusal(
      'burst cannot be more than 4GB',
      `${path}Burst`,
      `${burst} bits, at most ${burstEnd * 8n - 1n}`,
    );
  }
  return rate === 0n ? undefined : { rate, burst };
}

function refusal(text: string, path: string, found = 'missing or 0'): CniError {
  return new CniError(ErrorCode.internal, text, `${path}: ${found}`);
}
