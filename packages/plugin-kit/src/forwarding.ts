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
