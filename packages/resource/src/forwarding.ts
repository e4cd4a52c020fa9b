import { readSysctl } from '@cni-ts/libc/sysctl';
import type { Undo } from '@cni-ts/skeleton/undo';
import { setSysctl } from './set-sysctl.ts';

const keys = { 4: 'net/ipv4/ip_forward', 6: 'net/ipv6/conf/all/forwarding' } as const;

/**
 * Lets the plugin's namespace forward packets of a family. Nothing is written where it does already. `what`: how the
 * error starts.
 */
export function enableForwarding(family: 4 | 6, undo?: Undo, what = 'failed to enable forwarding'): void {
  try {
    setSysctl(keys[family], '1', undo);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${what}: ${why}`, { cause: error });
  }
}

/** CHECK: the families that the plugin's namespace does not forward any more, in words. */
export function forwardingDifferences(families: Iterable<4 | 6>): string[] {
  return [...new Set(families)]
    .filter((family) => readSysctl(keys[family]) === '0')
    .map((family) => `IPv${family} forwarding is off: ${keys[family]} is 0`);
}
