/** `cnitool ipam show`: a line for each range, then who holds what. */
import { blockLines, poolJson } from '../cluster/pool-show.ts';
import { many } from '../many.ts';
import { type Holder, isFull, type NetworkView, timeText, type Use, usesOf, whose } from './survey.ts';

/** `named`: the network was asked for by its name, so its holders are told too. */
export function showText(networks: readonly NetworkView[], named: boolean): string {
  if (networks.length === 0) return 'no network of this node keeps reservations\n';
  return networks.map((one) => networkText(one, named)).join('');
}

function networkText(view: NetworkView, named: boolean): string {
  const { network, stores, leases } = view;
  const lines: string[] = [];
  for (const one of stores) {
    const uses = usesOf(one);
    for (const use of uses) lines.push(`${network.name} ${useText(use)}`);
    const { unknown, folder, pool } = one.store;
    if (unknown !== undefined) {
      lines.push(
        `${network.name} ${one.holders.length} used in ${folder}; its ranges are not known: ${unknown}`,
      );
    }
    const outside = one.holders.filter(({ set }) => set === undefined).length;
    if (outside > 0 && unknown === undefined)
      lines.push(`${network.name} ${outside} used outside of its ranges`);
    if (named || pool?.damaged !== undefined) lines.push(...blockLines(one));
    if (named) {
      lines.push(...one.holders.map(holderText));
      lines.push(...one.odd.map(({ address, path, why }) => `  ${address} ${path}: ${why}`));
    }
    lines.push(...cure(network.name, one.holders, uses));
  }
  for (const type of network.others) {
    if (type === 'static') lines.push(`${network.name} static: its addresses are in the configuration`);
    else if (type !== 'dhcp') lines.push(`${network.name} ${type}: its memory is not known here`);
    else if (leases.length === 0)
      lines.push(`${network.name} dhcp no lease is known here; the Go daemon tells nobody of its leases`);
    else lines.push(`${network.name} dhcp ${leases.length} leases`);
  }
  if (named) lines.push(...leases.map(({ address, ...of }) => `  ${address} ${whose(of)}, by dhcp`));
  return lines.map((line) => `${line}\n`).join('');
}

export function useText({
  range,
  usable,
  used,
  live,
  beforeBoot,
  namespaceGone,
  forgotten,
  aside,
  blocks,
}: Use): string {
  const inBlocks = blocks === undefined ? '' : ` in ${many(blocks, 'block')} here`;
  const parts = [`${range} ${count(usable)} usable${inBlocks} ${used} used ${live} live`];
  if (beforeBoot > 0) parts.push(`${beforeBoot} from before boot`);
  if (namespaceGone > 0) parts.push(`${namespaceGone} namespace gone`);
  if (forgotten > 0) parts.push(`${forgotten} nobody remembers`);
  if (aside > 0) parts.push(`${aside} kept aside`);
  return parts.join(' ');
}

/** Of IPv6 there are more than anybody counts. */
function count(number: number): string {
  return number < 1e15 ? String(number) : number.toExponential(1);
}

export function holderText({ address, since, standing, ...of }: Holder): string {
  const sign = standing.stale === undefined ? ' ' : '✗';
  return `${sign} ${address} ${whose(of)} since ${timeText(since)}: ${standing.why}`;
}

export function cure(network: string, holders: readonly Holder[], uses: readonly Use[]): string[] {
  const stale = holders.filter(({ standing }) => standing.stale !== undefined).length;
  const full = uses.some(isFull);
  if (stale > 0) {
    const held = stale === 1 ? '1 address is' : `${stale} addresses are`;
    const beginning = full ? 'the range is full: ' : '';
    return [
      `${beginning}${held} held by attachments that are gone; cure: cnitool gc ${network} --stale --yes`,
    ];
  }
  return full
    ? ['the range is full, and all who hold its addresses may live; cure: give the network a larger range']
    : [];
}

export function showJson(networks: readonly NetworkView[]): object {
  return {
    networks: networks.map(({ network, stores, leases }) => ({
      network: network.name,
      ...(network.file !== undefined && { file: network.file }),
      stores: stores.map((one) => ({
        folder: one.store.folder,
        ...(one.store.unknown !== undefined && { unknown: one.store.unknown }),
        ranges: usesOf(one),
        ...(one.store.pool && { pool: poolJson(one, one.store.pool) }),
        holders: one.holders.map(({ address, containerId, ifname, since, standing, set }) => ({
          address,
          containerId,
          ...(ifname !== undefined && { ifname }),
          since: timeText(since),
          live: standing.stale === undefined,
          ...(standing.stale !== undefined && { cause: standing.stale }),
          why: standing.why,
          inRange: set !== undefined,
        })),
        odd: one.odd.map(({ address, path, why }) => ({ address, path, why })),
      })),
      leases,
      others: network.others,
    })),
  };
}
