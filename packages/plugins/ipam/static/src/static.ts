/** static: hands out the addresses that are written down, in the configuration or by whoever starts the container.
 *
 *  It remembers nothing and reserves nothing, so it never fails for want of an address, and it does not notice when
 *  two containers get the same one: that is its user's to watch. Everything follows from the call itself. */
import { equalIp, formatIp, parseIp } from '@cni-ts/address/ip';
import { ipamPlugin } from '@cni-ts/ipam-kit/ipam-plugin';
import { failOn } from '@cni-ts/resource/drift';
import { networkConfig, readConfig } from '@cni-ts/skeleton/config';
import type { Request } from '@cni-ts/skeleton/plugin';
import * as z from 'zod/mini';
import { type Config, parse, schema } from './addresses.ts';

/** Gateways that the result does not have as they are configured. An address that is not in the result at all is
 *  no drift: which of the sources counts may change between ADD and CHECK, since runtimes need not repeat them. */
function check(request: Request<Config>): void {
  const { addresses } = request.config;
  const given = readConfig(z.object({ prevResult: networkConfig.prevResult }), request.json);
  if (given.prevResult === undefined) throw new Error('Required prevResult missing');
  const drift: string[] = [];
  for (const { cidr, gateway } of addresses) {
    const entry = request.prevResult?.ips?.find(({ address }) => {
      const ip = parseIp(address.replace(/\/.*/, ''));
      return ip && equalIp(ip, cidr.ip);
    });
    if (!entry || !gateway) continue;
    const found = entry.gateway === undefined ? undefined : parseIp(entry.gateway);
    if (found && equalIp(found, gateway)) continue;
    drift.push(
      `static: Failed to match addr ${formatIp(cidr.ip)} on interface ${request.ifname}: ` +
        `its gateway is ${entry.gateway ?? 'none'}, configured is ${formatIp(gateway)}`,
    );
  }
  failOn(drift);
}

/** `static` alone is a reserved word. */
export const staticPlugin = ipamPlugin({
  type: 'static',
  config: schema,
  parse,
  rest: ({ routes, dns }) => ({ routes: [...routes], ...(dns && { dns }) }),
  choose: ({ addresses }) => addresses,
  check,
});
