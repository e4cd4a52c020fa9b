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

/** What the plugin works by. */
export interface Config {
  /** undefined: chosen at every call. */
  readonly backend: BackendName | undefined;
  /** As configured; `checkConfig` judges it. */
  readonly backendWord: string;
  readonly adminChain: string;
  readonly zone: string;
  /** As configured; `isolationOf` judges it, so that DEL can still clean up after a wrong one. */
  readonly ingressPolicy: string;
  /** Where it is remembered which addresses firewalld was told of. */
  readonly dataDir: string;
}

/** Refuses nothing, so that DEL and GC can clean up after a wrong configuration: see `checkConfig`. */
export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    backend: backends.find((name) => name === raw.backend),
    backendWord: raw.backend ?? '',
    adminChain: raw.iptablesAdminChainName || usualAdminChain,
    zone: raw.firewalldZone || 'trusted',
    ingressPolicy: raw.ingressPolicy ?? '',
    dataDir: raw.dataDir || '/var/lib/cni/firewall',
  };
}

const usualAdminChain = 'CNI-ADMIN';

/** What ADD needs right, said before anything is changed. */
export function checkConfig(config: Config): void {
  checkBackend(config);
  checkAdminChain(config);
  checkPolicy(config.ingressPolicy);
}

function checkBackend({ backend, backendWord }: Config): void {
  if (backend !== undefined || backendWord === '') return;
  throw new CniError(
    ErrorCode.invalidConfig,
    `backend: ${JSON.stringify(backendWord)} is unknown; it ${expectedWords(backendWord, backends)}`,
    'without this field the plugin chooses one',
  );
}

/** XT_EXTENSION_MAXNAMELEN less the NUL, include/uapi/linux/netfilter/x_tables.h */
const longestChainName = 28;
const taken =
  /^(CNI-FORWARD|CNI-FORWARD-OWNERS|CNI-FORWARD-PUBLISHED|CNI-ISOLATION-STAGE-[12]|ACCEPT|DROP|RETURN|QUEUE|REJECT|FORWARD|INPUT|OUTPUT)$/;

/** What no chain can be called. */
function checkAdminChain({ adminChain }: Config): void {
  if (adminChain === usualAdminChain) return;
  const refuse = (why: string) => {
    const name = JSON.stringify(adminChain);
    throw new CniError(ErrorCode.invalidConfig, `iptablesAdminChainName: chain name ${name} ${why}`);
  };
  const { length } = new TextEncoder().encode(adminChain);
  if (length > longestChainName) {
    refuse(`too long: it has ${length} characters, at most ${longestChainName} are allowed`);
  }
  if (!/^[\w.:+][\w.:+-]*$/.test(adminChain))
    refuse('must consist of letters, digits, "_", ".", ":", "+", "-"');
  if (taken.test(adminChain)) refuse('has a meaning of its own; choose another');
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
