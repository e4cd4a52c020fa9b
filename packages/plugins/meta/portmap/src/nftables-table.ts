import type { Ip } from '@cni-ts/address/ip';
import { jump, toCaller, vmap } from '@cni-ts/nftables/action';
import { type Chain, chainQuestion } from '@cni-ts/nftables/chain';
import { destinationAddress, destinationPort, l4proto } from '@cni-ts/nftables/field';
import { ctStatus, daddr, daddrIsLocal } from '@cni-ts/nftables/match';
import type { Question } from '@cni-ts/nftables/question';
import { type Rule, rule } from '@cni-ts/nftables/rule';
import { type Element, elementQuestion, keyText, type NftSet } from '@cni-ts/nftables/set';
import { type Table, tableText } from '@cni-ts/nftables/table';
import type { Change } from '@cni-ts/nftables/transaction';
import type { HostPort } from './mapping.ts';

/**
 * Port mappings in nftables: a table per family with the reference's names. Two maps say whose chain a protocol,
 * host address and port leads to, so a port has one owner, which the kernel itself sees to, and finding it is one
 * look-up however many ports there are. Only packets for an address of this host get as far as the maps. One more map
 * leads redirected connections by the container's address to the rules that say whether they are masqueraded.
 *
 * A container's chain is shared by its attachments, whose rules carry their owner in the comment: published on
 * several networks, a port leads to the attachment that came first, and to the next one when that goes.
 */
export function objects(family: 4 | 6) {
  const table: Table = {
    family: family === 4 ? 'ip' : 'ip6',
    name: 'cni_hostport',
    comment: 'CNI portmap plugin',
  };
  const chain = (name: string): Chain => ({ table, name });
  const base = (hook: 'prerouting' | 'output' | 'postrouting', name: string, priority: number): Chain => ({
    table,
    name,
    base: { type: 'nat', hook, priority, policy: 'accept' },
  });
  const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const map = (name: string, ...key: NftSet['key']): NftSet => ({ table, name, key, value: 'verdict' });
  return {
    table,
    hostports: chain('hostports'),
    hostipHostports: chain('hostip_hostports'),
    all: chain('hostports_all'),
    prerouting: base('prerouting', 'prerouting', -100),
    output: base('output', 'output', -100),
    masquerading: base('postrouting', 'masquerading', 100),
    dnat: {
      byAddress: map('owner_by_address', address, 'inet_proto', 'inet_service'),
      byPort: map('owner_by_port', 'inet_proto', 'inet_service'),
    },
    masq: map('masquerade_by_container', address),
  };
}

/**
 * What IPv6 calls localhost cannot be redirected: answers that come by another link than `lo` are dropped, and there is
 * no setting like route_localnet. Left alone, a client is refused at once and tries 127.0.0.1.
 */
export const loopback6: Ip = {
  family: 6,
  bytes: new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
};

/** Chains of the table with the rules that lead from one to the next and into the maps, for all attachments. */
export function plumbing(family: 4 | 6, withMasquerading: boolean): [Chain, Rule[]][] {
  const {
    hostports,
    hostipHostports,
    all,
    prerouting,
    output,
    masquerading,
    dnat: to,
    masq,
  } = objects(family);
  const chains: [Chain, Rule[]][] = [
    [hostipHostports, []],
    [
      hostports,
      [
        ...(family === 6 ? [rule(daddr(loopback6), toCaller)] : []),
        rule(vmap([destinationAddress[family], l4proto, destinationPort], to.byAddress)),
        rule(vmap([l4proto, destinationPort], to.byPort)),
      ],
    ],
    [all, [rule(jump(hostipHostports)), rule(jump(hostports))]],
    [prerouting, [rule(daddrIsLocal, jump(all))]],
    [output, [rule(daddrIsLocal, jump(all))]],
  ];
  if (!withMasquerading) return chains;
  return [...chains, [masquerading, [rule(ctStatus('dnat'), vmap([destinationAddress[family]], masq))]]];
}

/**
 * How often each chain of a complete table without strange rules is used: by its own rules and by what leads to it.
 * The kernel counts, so that nobody has to list rules to know that they are there.
 */
export function uses(family: 4 | 6) {
  return {
    prerouting: 1,
    output: 1,
    all: 4,
    hostports: family === 4 ? 3 : 4,
    hostipHostports: 1,
    masquerading: 1,
  };
}

/** For what the kernel counts in these chains. */
export function useQuestions<const Name extends keyof ReturnType<typeof uses>>(
  family: 4 | 6,
  ...names: Name[]
) {
  const all = objects(family);
  const questions = names.map((name) => [name, chainQuestion(all[name])]);
  // reason: fromEntries forgets which names it was given
  return Object.fromEntries(questions) as Record<Name, ReturnType<typeof chainQuestion>>;
}

/** A key of one of the maps, whatever it leads to. */
export interface Key {
  readonly map: NftSet;
  readonly key: readonly unknown[];
}

/** What leads packets for a port of the host to a container's chain. */
export function portKey(family: 4 | 6, { address, protocol, port }: HostPort): Key {
  const { byAddress, byPort } = objects(family).dnat;
  return address
    ? { map: byAddress, key: [address, protocol, port] }
    : { map: byPort, key: [protocol, port] };
}

/** What leads redirected packets to the chain that masquerades. */
export function containerKey(address: Ip): Key {
  return { map: objects(address.family).masq, key: [address] };
}

export function keyQuestion({ map, key }: Key): Question<Element | undefined> {
  return elementQuestion(map, key);
}

/** `tcp . 8080 of map owner_by_port` */
export function keyName({ map, key }: Key): string {
  return `${keyText(map.key, key)} in map ${map.name} of table ${tableText(map.table)}`;
}

/** Those that are not among `those`. */
export function keysWithout(keys: readonly Key[], those: readonly Key[]): Key[] {
  const names = new Set(those.map(keyName));
  return keys.filter((one) => !names.has(keyName(one)));
}

/** Adds or deletes keys: one change per map, none for none. */
export function changeKeys(
  make: (set: NftSet, elements: readonly Element[]) => Change,
  keys: readonly Key[],
  chain: string,
): Change[] {
  const byMap = new Map<string, Key[]>();
  for (const one of keys) byMap.set(one.map.name, [...(byMap.get(one.map.name) ?? []), one]);
  return [...byMap.values()].map((some) =>
    make(
      some[0]!.map,
      some.map(({ key }) => ({ key, jump: chain })),
    ),
  );
}
