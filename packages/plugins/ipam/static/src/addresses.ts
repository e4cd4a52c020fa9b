/** Where static's addresses come from: the configuration, CNI_ARGS, `args.cni.ips` and the capability `ips`. */
import { contains, parseCidr } from '@cni-ts/address/cidr';
import { type Ip, parseIp } from '@cni-ts/address/ip';
import type { Given } from '@cni-ts/ipam-kit/store';
import { parseCniArgs, stringArg } from '@cni-ts/spec/cni-args';

/** An address of `ipam.addresses`; its text is looked at only when nothing replaces it. */
export interface WrittenAddress {
  readonly address: string;
  readonly gateway: Ip | undefined;
}

export interface Sources {
  readonly configured: readonly WrittenAddress[];
  /** CNI_ARGS as received. */
  readonly args: string;
  /** `args.cni.ips` and `runtimeConfig.ips`. */
  readonly argsIps: readonly string[];
  readonly runtimeIps: readonly string[];
}

/**
 * One list of all sources: `runtimeConfig.ips` if it has any, else `args.cni.ips` if it has any, else those of the
 * configuration followed by those of CNI_ARGS. Every source but the configuration is read even when another
 * replaces it, so that a mistake there does not wait for the day it counts. Only the configuration and CNI_ARGS
 * can name gateways.
 */
export function mergeAddresses({ configured, args, argsIps, runtimeIps }: Sources): Given[] {
  const added = fromCniArgs(args);
  const viaArgs = argsIps.map(fromList);
  const viaRuntime = runtimeIps.map(fromList);
  if (viaRuntime.length > 0) return viaRuntime;
  if (viaArgs.length > 0) return viaArgs;
  return [...configured.map(fromConfig), ...added];
}

function fromConfig({ address, gateway }: WrittenAddress): Given {
  const cidr = parseCidr(address);
  if (cidr) return { cidr, gateway };
  throw new Error(`the 'address' field is expected to be in CIDR notation, got: '${address}'`);
}

function fromList(text: string): Given {
  const cidr = parseCidr(text);
  if (cidr) return { cidr, gateway: undefined };
  throw new Error(`an entry in the 'ips' field is NOT in CIDR notation, got: '${text}'`);
}

/** `IP=10.0.0.1/24,fd00::1/64;GATEWAY=10.0.0.254`: each gateway goes to every address of `IP` whose network it lies
 *  in, the last one stays. Addresses of the configuration keep their own, whatever GATEWAY says. */
function fromCniArgs(text: string): Given[] {
  const args = parseCniArgs(text, { IP: stringArg, GATEWAY: stringArg });
  const cidrs = items(args.IP).map((item) => {
    const cidr = parseCidr(item.trim());
    if (cidr) return cidr;
    throw new Error(`the 'ip' field is expected to be in CIDR notation, got: '${item.trim()}'`);
  });
  const gateways = items(args.GATEWAY).map((item) => {
    const ip = parseIp(item.trim());
    if (ip) return ip;
    throw new Error(`invalid gateway address: ${item}`);
  });
  return cidrs.map((cidr) => ({ cidr, gateway: gateways.findLast((ip) => contains(cidr, ip)) }));
}

function items(list = ''): string[] {
  return list === '' ? [] : list.split(',');
}
