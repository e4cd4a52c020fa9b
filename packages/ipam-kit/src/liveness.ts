/**
 * Who of those that hold a range's addresses lives, as far as this host can tell: for the error of a range that is full.
 * Nothing of it is asked while there is an address left.
 */
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { readRegular } from '@cni-ts/libc/file';
import { namespaceLives } from '@cni-ts/libc/netns';
import { cacheDir } from '@cni-ts/spec/cache-dir';
import { bootTime } from './boot-time.ts';
import { type RangeSet, rangeOf } from './ranges.ts';
import type { Store } from './store.ts';

export interface Liveness {
  /** Their attachment is remembered, and its namespace is there. */
  readonly live: number;
  readonly beforeBoot: number;
  /** Their attachment is remembered, and its namespace is not there. */
  readonly gone: number;
  /** Nobody remembers the attachment: another runtime's, or one whose DEL was lost. */
  readonly unknown: number;
  /** There are more, which were not looked at. */
  readonly more: boolean;
}

/** The lock is held meanwhile: no more than this are looked at. */
const most = 4096;

export function livenessOf(store: Store, set: RangeSet, network: string): Liveness {
  const found = { live: 0, beforeBoot: 0, gone: 0, unknown: 0, more: false };
  const boot = bootTime();
  let looked = 0;
  for (const name of store.names()) {
    const ip = parseIp(name);
    if (!ip || formatIp(ip) !== name || !rangeOf(set, ip)) continue;
    if (looked++ === most) return { ...found, more: true };
    const netns = namespaceOf(store.holder(name) ?? '', network);
    if (netns !== undefined && (netns === '' || namespaceLives(netns))) found.live++;
    else if (boot !== undefined && store.isOlderThan(name, boot)) found.beforeBoot++;
    else if (netns === undefined) found.unknown++;
    else found.gone++;
  }
  return found;
}

/** What follows in the error: empty where nothing is known besides that all are used. */
export function livenessText({ live, beforeBoot, gone, unknown, more }: Liveness, network: string): string {
  if (live + beforeBoot + gone === 0) return '';
  const stale = beforeBoot + gone;
  const parts = [`${live} live`];
  if (beforeBoot > 0) parts.push(`${beforeBoot} from before this boot`);
  if (gone > 0) parts.push(`${gone} whose network namespace is gone`);
  if (unknown > 0) parts.push(`${unknown} of attachments that nobody remembers`);
  const counted = `${more ? `of the first ${most}: ` : ''}${parts.join(', ')}`;
  const show = `"cnitool ipam show ${network}" tells which`;
  if (stale === 0) return `. Used are ${counted}; ${show}, and the network needs a larger range`;
  return `. Used are ${counted}: ${stale} stale; ${show}, "cnitool gc ${network} --stale --yes" releases them`;
}

/** The path that the runtime remembers of an attachment, '' where it remembers none; undefined for what it does not know.
 *  A reservation that names no interface is looked for as eth0, which it nearly always is. */
function namespaceOf(holder: string, network: string): string | undefined {
  const [id = '', ifname = 'eth0'] = holder.split('\r\n');
  if (id === '' || id.includes('/') || ifname.includes('/')) return undefined;
  const folder = cacheDir(process.env);
  try {
    const entry: unknown = JSON.parse(readRegular(`${folder}/results/${network}-${id}-${ifname}`));
    if (typeof entry !== 'object' || entry === null || !('netns' in entry)) return '';
    return typeof entry.netns === 'string' ? entry.netns : '';
  } catch {
    return undefined; // no entry, or a damaged one: nothing is known
  }
}
