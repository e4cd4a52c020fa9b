import type { Dns } from './result.ts';

/**
 * A `dns` section of the plugin's configuration replaces the one of IPAM wholly, also by empty lists; without any
 * member the one of IPAM stays.
 */
export function resultDns(configured: Dns | undefined, fromIpam: Dns | undefined): Dns | undefined {
  if (!configured) return fromIpam;
  const { nameservers, search, options, domain } = configured;
  return nameservers || search || options || domain ? configured : fromIpam;
}
