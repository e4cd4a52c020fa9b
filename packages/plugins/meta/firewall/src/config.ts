import { parseCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { networkConfig } from '@cni-ts/skeleton/config';
import { member } from '@cni-ts/skeleton/network';
import type { Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
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

type Json = Readonly<Record<string, unknown>>;

/** The addresses for a DEL, which nothing may hold up: whatever is one in a prevResult, which may be broken, or of
 *  another version: the oldest have `ip` in `ip4` and `ip6`. */
export function addressesForDel({ json }: Request<unknown>): Ip[] {
  const previous: Json = Object(member(json, 'prevResult'));
  return ['ips', 'ip4', 'ip6']
    .flatMap((key) => member(previous, key))
    .flatMap((found) => {
      const one: Json = Object(found);
      const text = member(one, 'address') ?? member(one, 'ip');
      return typeof text === 'string' ? (parseCidr(text)?.ip ?? []) : [];
    });
}
