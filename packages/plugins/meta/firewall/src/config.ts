import { parseCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { CniError, ErrorCode } from '@cni-ts/skeleton/cni-error';
import { networkConfig } from '@cni-ts/skeleton/config';
import type { Result } from '@cni-ts/skeleton/result';
import * as z from 'zod/mini';

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
  readonly adminChain: string;
  readonly zone: string;
  /** As configured; `isolationOf` judges it, so that DEL can still clean up after a wrong one. */
  readonly ingressPolicy: string;
  /** Where it is remembered which addresses firewalld was told of. */
  readonly dataDir: string;
}

/** Checks that hold for DEL too; the others are in `checkAdminChain` and `isolationOf`. */
export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    // A word that is none of them counts as absent, as in the reference.
    backend: backends.find((name) => name === raw.backend),
    adminChain: raw.iptablesAdminChainName || usualAdminChain,
    zone: raw.firewalldZone || 'trusted',
    ingressPolicy: raw.ingressPolicy ?? '',
    dataDir: raw.dataDir || '/var/lib/cni/firewall',
  };
}

const usualAdminChain = 'CNI-ADMIN';

/** XT_EXTENSION_MAXNAMELEN less the NUL, include/uapi/linux/netfilter/x_tables.h */
const longestChainName = 28;
const taken =
  /^(CNI-FORWARD|CNI-FORWARD-OWNERS|CNI-ISOLATION-STAGE-[12]|ACCEPT|DROP|RETURN|QUEUE|REJECT|FORWARD|INPUT|OUTPUT)$/;

/** What no chain can be called, said before anything is changed. */
export function checkAdminChain({ adminChain }: Config): void {
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
export function addressesOf(result: Result | undefined): Ip[] {
  return (result?.ips ?? []).map(({ address }, i) => {
    const cidr = parseCidr(address);
    if (!cidr)
      throw new Error(`prevResult: ips[${i}].address: "${address}" is no address with prefix length`);
    return cidr.ip;
  });
}
