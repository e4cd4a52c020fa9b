import { parseCidr } from '@cni-ts/address/cidr';
import { type Ip, parseIp } from '@cni-ts/address/ip';
import type { Family, Variant } from '@cni-ts/iptables/program';
import { type SavedRule, type SavedTable, save } from '@cni-ts/iptables/save';
import { wordAfter } from '@cni-ts/iptables/words';
import type { Netlink } from '@cni-ts/netlink/socket';
import { jumpTarget, verdictChain } from '@cni-ts/nftables/action';
import { chainsThere, findChain } from '@cni-ts/nftables/chain';
import { dataOf, type Expression } from '@cni-ts/nftables/expression';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { protocols } from '@cni-ts/nftables/set';
import type { Protocol } from './mapping.ts';
import type { Redirection } from './stale-flows.ts';

/** As much of a rule in iptables' nat table as portmap has to know. */
export interface SeenRule {
  /** The chain it leads to, or the target's name. */
  readonly target: string | undefined;
  readonly comment: string | undefined;
  /** What a packet has to be sent to. */
  readonly ports: readonly Redirection[];
  /** Whether this mark (bit and mask) stands in it. */
  mentions(mark: number): boolean;
}

/** The nat table, as far as it is asked for. */
export interface NatTable {
  has(chain: string): boolean;
  /** The rules of a chain, none where it is not there. `about`: bytes of which a rule must have some to be of interest;
   *  others may be left out. */
  rules(chain: string, about?: readonly Uint8Array[]): SeenRule[];
  /** Whether one of a chain's rules leads to another chain. */
  leads(chain: string, to: string): boolean;
}

/**
 * Rules of iptables-nft are read from the kernel chain by chain, so that thousands of others in the table cost
 * nothing; the older tables are read whole, by one program, at the first question. `expected`: chains that will be
 * asked for, so that one message to the kernel tells which of them are there.
 */
export function natTable(
  nl: Netlink,
  family: Family,
  variant: Variant,
  expected: readonly string[] = [],
): NatTable {
  if (variant === 'nft') {
    const table = { family: family === 4 ? 'ip' : 'ip6', name: 'nat' } as const;
    const found = chainsThere(nl, table, expected);
    const there = new Map(expected.map((name) => [name, found.includes(name)]));
    const has = (chain: string) => there.get(chain) ?? findChain(nl, { table, name: chain }) !== undefined;
    return {
      has,
      rules: (chain, about) =>
        there.get(chain) === false
          ? []
          : listRules(nl, table, chain, about).map((rule) => fromKernel(family, rule)),
      // By the bytes of the jump alone: no rule is taken apart.
      leads: (chain, to) =>
        there.get(chain) !== false && listRules(nl, table, chain, [verdictChain(to)]).length > 0,
    };
  }
  let read: SavedTable | undefined;
  const all = () => {
    read ??= save(family, 'nat');
    return read;
  };
  return {
    has: (chain) => all().chains.includes(chain),
    rules: (chain) => all().rules.flatMap((rule) => (rule.chain === chain ? [fromWords(rule)] : [])),
    leads: (chain, to) => all().rules.some((rule) => rule.chain === chain && fromWords(rule).target === to),
  };
}

function fromWords({ words }: SavedRule): SeenRule {
  const protocol = protocolOf(wordAfter(words, '-p'));
  const list = wordAfter(words, '--dports') ?? wordAfter(words, '--dport') ?? '';
  const address = parseCidr(wordAfter(words, '-d') ?? '')?.ip;
  const to = parseIp(
    (wordAfter(words, '--to-destination') ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'),
  );
  return {
    target: wordAfter(words, '-j') ?? wordAfter(words, '-g'),
    comment: wordAfter(words, '--comment'),
    ports: protocol
      ? list
          .split(',')
          .flatMap((port) => (/^\d+$/.test(port) ? [{ protocol, port: Number(port), address, to }] : []))
      : [],
    mentions: (mark) => words.some((word) => word === `0x${mark.toString(16)}/0x${mark.toString(16)}`),
  };
}

/** Where the header names the protocol, which older versions compare. */
const protocolAt = { 4: 9, 6: 6 } as const;

/** NFT_RETURN */
const returnVerdict = -5 >>> 0;

function fromKernel(family: Family, { comment, expressions }: ListedRule): SeenRule {
  let protocol: Protocol | undefined;
  let numbers: number[] = [];
  let address: Ip | undefined;
  let text = comment;
  let target = jumpTarget(expressions);
  let to: Ip | undefined;
  for (const [i, one] of expressions.entries()) {
    const match = dataOf(one, 'match');
    if (match?.name === 'comment') text ??= asciiz(match.info);
    else if (match?.name && match.info) numbers = extensionPorts(match.name, match.info) ?? numbers;
    to ??= natAddress(family, one);
    if (dataOf(one, 'immediate')?.data?.verdict?.code === returnVerdict) target ??= 'RETURN';
    target ??= dataOf(one, 'target')?.name ?? (one.kind === 'nat' ? 'DNAT' : undefined);
    const comparison = expressions[i + 1] && dataOf(expressions[i + 1]!, 'cmp');
    const value = comparison?.op === '==' ? comparison.data?.value : undefined;
    if (!value) continue;
    const payload = dataOf(one, 'payload');
    if (dataOf(one, 'meta')?.key === 16) protocol = protocolOf(value[0]);
    else if (payload?.base === 'network' && payload.offset === protocolAt[family]) {
      protocol = protocolOf(value[0]);
    } else if (payload?.base === 'transport' && payload.offset === 2) {
      numbers = [((value[0] ?? 0) << 8) | (value[1] ?? 0)];
    } else if (payload?.base === 'network' && payload.offset === (value.length === 4 ? 16 : 24)) {
      address = { family: value.length === 4 ? 4 : 6, bytes: value };
    }
  }
  return {
    target,
    comment: text,
    ports: protocol ? numbers.map((port) => ({ protocol, port, address, to })) : [],
    mentions: (mark) => expressions.some((one) => holds(one.data, mark)),
  };
}

/** Destination ports in the structure of an extension (include/uapi/linux/netfilter/xt_*.h), in host byte order. */
function extensionPorts(name: string, info: Uint8Array): number[] | undefined {
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  // A range of one, [first, last]: source ports first, but for sctp.
  if (name === 'tcp' || name === 'udp') return [view.getUint16(4, true)];
  if (name === 'sctp') return [view.getUint16(0, true)];
  if (name !== 'multiport') return undefined;
  return Array.from({ length: info[1] ?? 0 }, (_, i) => view.getUint16(2 + 2 * i, true));
}

/**
 * Where DNAT leads: nftables' own register, or the extension's structure: nf_nat_range2 (flags, smallest address, …),
 * or the older one that has a count before it and room for IPv4 only.
 */
function natAddress(family: Family, one: Expression): Ip | undefined {
  const length = family === 4 ? 4 : 16;
  const loaded = dataOf(one, 'immediate')?.data?.value;
  if (loaded?.length === length) return { family, bytes: loaded };
  const extension = dataOf(one, 'target');
  if (extension?.name !== 'DNAT' || !extension.info) return undefined;
  const at = family === 4 && extension.revision === 0 ? 8 : 4;
  return { family, bytes: extension.info.slice(at, at + length) };
}

/** Whether the mark is somewhere in an instruction: in an extension's structure, or in nftables' own. */
function holds(data: unknown, mark: number): boolean {
  const wanted = new Uint8Array(Uint32Array.of(mark).buffer);
  if (data instanceof Uint8Array) {
    for (let at = 0; at + 4 <= data.length; at += 4) {
      if (wanted.every((byte, i) => data[at + i] === byte)) return true;
    }
    return false;
  }
  if (data === null || typeof data !== 'object') return false;
  return Object.values(data).some((member) => holds(member, mark));
}

function protocolOf(nameOrNumber: string | number | undefined): Protocol | undefined {
  const names = Object.keys(protocols) as Protocol[]; // reason: the table's own keys
  return names.find((name) => name === nameOrNumber || protocols[name] === Number(nameOrNumber));
}

function asciiz(info: Uint8Array | undefined): string {
  return new TextDecoder().decode(info).replace(/\0[\s\S]*$/, '');
}
