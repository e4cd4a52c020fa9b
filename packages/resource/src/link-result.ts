import type { Dns, Result } from '@cni-ts/spec/result';
import { resultDns } from '@cni-ts/spec/result-dns';

/** A main plugin's result from what IPAM gave, without its interfaces: all addresses are those of the link with this
 *  place among them. `dns`: the configuration's. */
export function linkResult(given: Result, link: number, dns: Dns | undefined): Result {
  const result: Result = { ips: (given.ips ?? []).map((ip) => ({ ...ip, interface: link })) };
  if (given.routes?.length) result.routes = given.routes;
  return withDns(result, dns, given.dns);
}

/** A main plugin's result where the network has no IPAM, without its interfaces. */
export function bareResult(dns: Dns | undefined): Result {
  return withDns({}, dns, undefined);
}

function withDns(result: Result, configured: Dns | undefined, fromIpam: Dns | undefined): Result {
  const dns = resultDns(configured, fromIpam);
  if (dns) result.dns = dns;
  return result;
}
