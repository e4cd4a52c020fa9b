import { formatCidr } from '@cni-ts/address/cidr';
import { formatIp } from '@cni-ts/address/ip';
import type { Route } from '@cni-ts/spec/result';
import * as z from 'zod/mini';
import { cidrField, ipField } from './ip-field.ts';

/** One entry of `ipam.routes` as it stands in a configuration. */
export const ipamRoute = () => {
  const number = () => z.optional(z.int());
  return z.object({
    dst: z.string(),
    gw: z.optional(z.string()),
    mtu: number(),
    advmss: number(),
    priority: number(),
    table: number(),
    scope: number(),
  });
};

/** The route as results have it: addresses in canonical text, host bits kept. `field` is its path in the
 *  configuration. Throws `invalid CIDR address: …` and `invalid IP address: …`, the field in the details. */
export function readIpamRoute(raw: z.output<ReturnType<typeof ipamRoute>>, field: string): Route {
  const { dst, gw, mtu, advmss, priority, table, scope } = raw;
  const destination = cidrField(dst, `${field}.dst`);
  const gateway = ipField(gw, `${field}.gw`);
  return {
    dst: formatCidr(destination),
    ...(gateway && { gw: formatIp(gateway) }),
    ...(mtu !== undefined && { mtu }),
    ...(advmss !== undefined && { advmss }),
    ...(priority !== undefined && { priority }),
    ...(table !== undefined && { table }),
    ...(scope !== undefined && { scope }),
  };
}
