import type { Ip } from '@cni-ts/address/ip';
import { vmap } from '@cni-ts/nftables/action';
import { type Chain, chainQuestion } from '@cni-ts/nftables/chain';
import { destinationAddress, destinationPort, type Field, l4proto } from '@cni-ts/nftables/field';
import type { Question } from '@cni-ts/nftables/question';
import { type Element, elementQuestion, keyText, type NftSet } from '@cni-ts/nftables/set';
import { type Table, tableText } from '@cni-ts/nftables/table';
import type { Change } from '@cni-ts/nftables/transaction';
import { type RuleSet, useOf } from '@cni-ts/rules/rule-set';
import { type Action, hostCidr, jump, toCaller } from '@cni-ts/rules/rule-spec';
import type { HostPort } from './mapping.ts';

/**
 * What IPv6 calls localhost cannot be redirected: answers that come by another link than `lo` are dropped, and there is
 * no setting like route_localnet. Left alone, a client is refused at once and tries 127.0.0.1.
 */
export const loopback6: Ip = {
  family: 6,
  bytes: new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
};

/** The table's chains and maps, and the rules that lead from one to the next and into the maps, for all attachments. */
export interface Plumbing extends RuleSet {
  readonly maps: readonly NftSet[];
}

/**
 * Port mappings in nftables: a table per family with the reference's names. Two maps say whose chain a protocol,
 * host address and port leads to, so a port has one owner, which the kernel itself sees to, and finding it is one
 * look-up however many ports there are. Only packets for an address of this host get as far as the maps. One more map
 * leads redirected connections by the container's address to the rules that say whether they are masqueraded.
 *
 * A container's chain is shared by its attachments, whose rules carry their owner in the comment: published on
 * several networks, a port leads to the attachment that came first, and to the next one when that goes.
 */
function objectsOf(family: 4 | 6) {
  const table: Table = {
    family: family === 4 ? 'ip' : 'ip6',
    name: 'cni_hostport',
    comment: 'CNI portmap plugin',
  };
  const base = (hook: 'prerouting' | 'output' | 'postrouting', name: string, priority: number): Chain => ({
    table,
    name,
    base: { type: 'nat', hook, priority, policy: 'accept' },
  });
  const chains = {
    hostipHostports: { table, name: 'hostip_hostports' },
    hostports: { table, name: 'hostports' },
    all: { table, name: 'hostports_all' },
    prerouting: base('prerouting', 'prerouting', -100),
    output: base('output', 'output', -100),
    masquerading: base('postrouting', 'masquerading', 100),
  } satisfies Record<string, Chain>;
  const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const map = (name: string, ...key: NftSet['key']): NftSet => ({ table, name, key, value: 'verdict' });
  const maps = {
    byAddress: map('owner_by_address', address, 'inet_proto', 'inet_service'),
    byPort: map('owner_by_port', 'inet_proto', 'inet_service'),
    masq: map('masquerade_by_container', address),
  };
  const into = (to: NftSet, ...by: Field[]): Action => ({ kind: 'other', statement: vmap(by, to) });
  const { hostipHostports, hostports, all, prerouting, output, masquerading } = chains;
  const daddr = destinationAddress[family];
  const local = { when: { local: true }, action: jump(all.name) } as const;
  const loopback = { when: { to: hostCidr(loopback6) }, action: toCaller };
  const redirecting: Plumbing = {
    table,
    chains: [hostipHostports, hostports, all, prerouting, output],
    maps: [maps.byAddress, maps.byPort],
    shared: [
      ...(family === 6 ? [{ chain: hostports.name, ...loopback }] : []),
      { chain: hostports.name, action: into(maps.byAddress, daddr, l4proto, destinationPort) },
      { chain: hostports.name, action: into(maps.byPort, l4proto, destinationPort) },
      { chain: all.name, action: jump(hostipHostports.name) },
      { chain: all.name, action: jump(hostports.name) },
      { chain: prerouting.name, ...local },
      { chain: output.name, ...local },
    ],
    own: [],
  };
  const masquerade = { when: { state: ['dnat'] }, action: into(maps.masq, daddr) } as const;
  const complete: Plumbing = {
    ...redirecting,
    chains: [...redirecting.chains, masquerading],
    maps: [...redirecting.maps, maps.masq],
    shared: [...redirecting.shared, { chain: masquerading.name, ...masquerade }],
  };
  // reason: fromEntries forgets which names it was given
  const each = <T>(of: (chain: Chain) => T) =>
    Object.fromEntries(Object.entries(chains).map(([name, chain]) => [name, of(chain)])) as Record<
      keyof typeof chains,
      T
    >;
  return {
    family,
    table,
    chains,
    maps,
    plumbing: (withMasquerading: boolean) => (withMasquerading ? complete : redirecting),
    /** How often each chain of a complete table without strange rules is used, by its own rules and by what leads to
     *  it: the kernel counts, so that nobody has to list rules to know that they are there. */
    uses: each(({ name }) => useOf(name, complete.shared)),
    /** For the kernel's own counts. */
    useQuestions: each(chainQuestion),
  };
}

/** Of both families, made once: for the executables when they are built. */
export const objects = { 4: objectsOf(4), 6: objectsOf(6) };

/** A key of one of the maps, and the chain that it leads to. */
export interface Key {
  readonly map: NftSet;
  readonly key: readonly unknown[];
  readonly to: string;
}

/** What leads packets for a port of the host to a container's chain. */
export function portKey(family: 4 | 6, { address, protocol, port }: HostPort, to: string): Key {
  const { byAddress, byPort } = objects[family].maps;
  return address
    ? { map: byAddress, key: [address, protocol, port], to }
    : { map: byPort, key: [protocol, port], to };
}

/** What leads redirected packets to the chain that masquerades. */
export function containerKey(address: Ip, to: string): Key {
  return { map: objects[address.family].maps.masq, key: [address], to };
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
): Change[] {
  const maps = [...new Set(keys.map(({ map }) => map))];
  return maps.map((map) =>
    make(
      map,
      keys.flatMap(({ map: of, key, to }) => (of === map ? [{ key, jump: to }] : [])),
    ),
  );
}
