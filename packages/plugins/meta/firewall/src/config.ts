import { parseCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { networkConfig } from '@cni-ts/skeleton/config';
import type { Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { expectedWords } from '@cni-ts/spec/nearest-word';
import type { Result } from '@cni-ts/spec/result';
import * as z from 'zod/mini';
import { checkPolicy } from './ingress-policy.ts';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () =>
  z.object({
    ...networkConfig,
    backend: z.optional(z.string()),
    iptablesAdminChainName: z.optional(z.string()),
    firewalldZone: z.optional(z.string()),
    ingressPolicy: z.optional(z.string()),
    dataDir: z.optional(z.string()),
  });

export const backends = ['iptables', 'nftables', 'firewalld'] as const;
export type BackendName = (typeof backends)[number];

/** What the plugin works by. Refuses nothing, so that DEL and GC can clean up after a wrong configuration: see
 *  `checkConfig`. */
export function parse(raw: z.output<ReturnType<typeof schema>>) {
  return {
    /** undefined: chosen at every call. */
    backend: backends.find((name) => name === raw.backend),
    /** As configured. */
    backendWord: raw.backend ?? '',
    adminChain: raw.iptablesAdminChainName || usualAdminChain,
    zone: raw.firewalldZone || 'trusted',
    ingressPolicy: raw.ingressPolicy ?? '',
    /** Where it is remembered which addresses firewalld was told of. */
    dataDir: raw.dataDir || '/var/lib/cni/firewall',
  };
}
export type Config = Readonly<ReturnType<typeof parse>>;

const usualAdminChain = 'CNI-ADMIN';

/** What ADD needs right, said before anything is changed. */
export function checkConfig({ backend, backendWord, adminChain, ingressPolicy }: Config): void {
  if (backend === undefined && backendWord !== '') {
    throw new CniError(
      ErrorCode.invalidConfig,
      `backend: ${JSON.stringify(backendWord)} is unknown; it ${expectedWords(backendWord, backends)}`,
      'without this field the plugin chooses one',
    );
  }
  if (adminChain !== usualAdminChain) checkChainName(adminChain);
  checkPolicy(ingressPolicy);
}

/** XT_EXTENSION_MAXNAMELEN less the NUL, include/uapi/linux/netfilter/x_tables.h */
const longestChainName = 28;
const taken =
  /^(CNI-FORWARD|CNI-FORWARD-OWNERS|CNI-FORWARD-PUBLISHED|CNI-ISOLATION-STAGE-[12]|ACCEPT|DROP|RETURN|QUEUE|REJECT|FORWARD|INPUT|OUTPUT)$/;

/** What no chain can be called. */
function checkChainName(chain: string): void {
  const { length } = new TextEncoder().encode(chain);
  let why = taken.test(chain) ? 'has a meaning of its own; choose another' : undefined;
  if (!/^[\w.:+][\w.:+-]*$/.test(chain)) why = 'must consist of letters, digits, "_", ".", ":", "+", "-"';
  if (length > longestChainName) {
    why = `too long: it has ${length} characters, at most ${longestChainName} are allowed`;
  }
  if (why === undefined) return;
  const name = JSON.stringify(chain);
  throw new CniError(ErrorCode.invalidConfig, `iptablesAdminChainName: chain name ${name} ${why}`);
}

/** The container's addresses: all of them, whatever interface they belong to. */
export function addressesOf({ ips = [] }: Result): Ip[] {
  return ips.map(({ address }, i) => {
    const cidr = parseCidr(address);
    if (!cidr)
      throw new Error(`prevResult: ips[${i}].address: "${address}" is no address with prefix length`);
    return cidr.ip;
  });
}

/**
 * The addresses for a DEL, which nothing may hold up: of a prevResult that cannot be read, for it is of another version
 * or broken, whatever in it is an address. `log` hears of it.
 */
export function addressesForDel(request: Request<unknown>): Ip[] {
  try {
    return addressesOf(request.prevResult ?? {});
  } catch (error) {
    request.log(`firewall: DEL goes by owner and by what is left of prevResult: ${errorText(error)}`);
    return textsIn(request.json.prevResult, 0).flatMap((text) => parseCidr(text)?.ip ?? []);
  }
}

/** What stands under `address` or `ip`, where every version of a result has its addresses, with their prefix. */
function textsIn(value: unknown, depth: number): string[] {
  if (typeof value !== 'object' || value === null || depth > 3) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (typeof inner === 'string') return /^(address|ip)$/i.test(key) ? [inner] : [];
    return textsIn(inner, depth + 1);
  });
}
