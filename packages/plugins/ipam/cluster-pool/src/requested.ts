/** Which addresses a call asks for: CNI_ARGS, args.cni.ips and runtimeConfig.ips. */
import { type Cidr, contains, formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { rangeOf } from '@cni-ts/ipam-kit/ranges';
import type { Given } from '@cni-ts/ipam-kit/store';
import { parseCniArgs, stringArg } from '@cni-ts/spec/cni-args';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { fieldError, type PoolRange } from './pool-range.ts';

/** What of CNI_ARGS the plugin reads. */
export interface PoolArgs {
  readonly IP?: string;
  readonly GATEWAY?: string;
  readonly K8S_POD_NAMESPACE?: string;
  readonly K8S_POD_NAME?: string;
}

export function readArgs(text: string): PoolArgs {
  return parseCniArgs(text, {
    IP: stringArg,
    GATEWAY: stringArg,
    K8S_POD_NAMESPACE: stringArg,
    K8S_POD_NAME: stringArg,
    K8S_POD_INFRA_CONTAINER_ID: stringArg,
    K8S_POD_UID: stringArg,
  });
}

/** The addresses that a call asks for, and by which of its members. */
interface Lists {
  readonly args: readonly string[] | undefined;
  readonly runtimeConfig: readonly string[] | undefined;
}

const nothing: readonly Given[] = [];

/**
 * What is asked for of a range is the address of it; CNI_ARGS may name others, with their prefixes, which are given besides:
 * whereabouts does that with all of them. Throws for what is not to be had.
 */
export function requested(
  ranges: readonly PoolRange[],
  { IP = '', GATEWAY = '' }: PoolArgs,
  { args, runtimeConfig }: Lists,
): { wanted: readonly (Ip | undefined)[]; added: readonly Given[] } {
  if (IP === '' && args === undefined && runtimeConfig === undefined) return { wanted: [], added: nothing };
  const texts = [
    ...items(IP).map((text) => ({ text, field: 'CNI_ARGS' })),
    ...(args ?? []).map((text) => ({ text, field: 'args.cni.ips' })),
    ...(runtimeConfig ?? []).map((text) => ({ text, field: 'runtimeConfig.ips' })),
  ];
  const wanted: (Ip | undefined)[] = ranges.map(() => undefined);
  const added: Cidr[] = [];
  for (const { text, field } of texts) {
    const cidr = parseCidr(text);
    const ip = parseIp(text) ?? cidr?.ip;
    if (ip === undefined) throw fieldError(field, `${JSON.stringify(text)} is no address`);
    const i = ranges.findIndex(({ set }) => rangeOf(set, ip));
    const range = ranges[i];
    if (range) {
      refuseKept(range, ip);
      const before = wanted[i];
      if (before && !equalIp(before, ip)) throw notAll(ip, `${range.field}.range gives one address`);
      wanted[i] = ip;
    } else if (field === 'CNI_ARGS' && cidr) added.push(cidr);
    else throw notAll(ip, 'it lies in no range of the network');
  }
  return { wanted, added: withGateways(added, GATEWAY) };
}

function refuseKept({ set, exclude }: PoolRange, ip: Ip): void {
  if (set.some(({ gateway }) => equalIp(gateway, ip))) {
    throw new CniError(ErrorCode.invalidConfig, `requested ip ${formatIp(ip)} is subnet's gateway`);
  }
  const kept = exclude.find(({ cidr }) => contains(cidr, ip));
  if (kept) {
    throw new CniError(
      ErrorCode.invalidConfig,
      `requested ip ${formatIp(ip)} is excluded`,
      `${kept.field} is ${formatCidr(kept.cidr)}`,
    );
  }
}

function notAll(ip: Ip, why: string): CniError {
  return new CniError(ErrorCode.invalidConfig, `failed to allocate all requested IPs: ${formatIp(ip)}`, why);
}

function withGateways(cidrs: readonly Cidr[], list: string): Given[] {
  if (cidrs.length === 0) return [];
  const gateways = items(list).map((text) => {
    const ip = parseIp(text);
    if (ip) return ip;
    throw fieldError('CNI_ARGS', `invalid gateway address: ${text}`);
  });
  return cidrs.map((cidr) => ({ cidr, gateway: gateways.findLast((ip) => contains(cidr, ip)) }));
}

/** Of a list with commas. */
export function items(list: string): string[] {
  return list === '' ? [] : list.split(',').map((text) => text.trim());
}
