/** What tuning changes of a link: reading, checking, setting. The names are those of the configuration and of the
 *  saved-values file. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import type { Netlink } from '@cni-ts/netlink/socket';
import {
  IFF_ALLMULTI,
  IFF_PROMISC,
  type Link,
  setAllmulti,
  setMac,
  setMtu,
  setPromisc,
  setTxQueueLength,
} from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import type { Config } from './config.ts';

export function valuesOf({ mac, flags, mtu, txQueueLength }: Link) {
  return {
    /** Lower case, with colons. */
    mac: formatMac(mac),
    /** Switched on by somebody with the link's flag; other reasons to be promiscuous have a counter only. */
    promisc: (flags & IFF_PROMISC) !== 0,
    mtu,
    allmulti: (flags & IFF_ALLMULTI) !== 0,
    /** Packets. */
    txQLen: txQueueLength,
  };
}

export type LinkValues = Readonly<ReturnType<typeof valuesOf>>;
export type LinkValue = keyof LinkValues;
/** Some of them, for one link. */
export type SomeValues = { readonly [K in LinkValue]?: LinkValues[K] | undefined };

type Row<T> = readonly [what: string, set: (nl: Netlink, link: Link, value: T) => void];

/** In the order they are set and saved. */
const rows: { readonly [K in LinkValue]: Row<LinkValues[K]> } = {
  mac: ['MAC address', (nl, link, mac) => setMac(nl, link, macBytes(mac))],
  promisc: ['promiscuous mode', setPromisc],
  mtu: ['MTU', setMtu],
  allmulti: ['all-multicast mode', setAllmulti],
  txQLen: ['transmit queue length', setTxQueueLength],
};

export const linkValues = Object.keys(rows) as LinkValue[]; // reason: it has no others

/** What the configuration asks for; undefined is left as it is. */
export function wantedLink({ mac, promisc, mtu, allmulti, txQLen }: Config): SomeValues {
  return {
    mac: mac === '' ? undefined : formatMac(macBytes(mac)),
    promisc,
    mtu: mtu === 0 ? undefined : mtu,
    allmulti,
    txQLen,
  };
}

/** Promiscuous mode is switched on or left alone. */
export function toSet(wanted: SomeValues): LinkValue[] {
  return linkValues.filter((name) => wanted[name] !== undefined && (name !== 'promisc' || wanted.promisc));
}

/** Throws `failed to set the MTU of "eth0" to 70000: invalid argument`. */
export function setValue<K extends LinkValue>(nl: Netlink, link: Link, name: K, value: LinkValues[K]): void {
  const [what, set] = rows[name];
  failing(`failed to set the ${what} of "${link.name}" to ${value}`, () => set(nl, link, value));
}

export function macBytes(mac: string): Uint8Array {
  const bytes = parseMac(mac);
  if (bytes) return bytes;
  throw new Error(`invalid args ${mac} for MAC addr: address ${mac}: invalid MAC address`);
}

/** Values this link cannot have, said with the kernel's word for it before anything is changed. */
export function refuseImpossible(link: Link, { mtu, mac }: SomeValues): void {
  const { minMtu = 0, maxMtu = 0 } = link.attributes;
  if (mtu !== undefined && (mtu < minMtu || (maxMtu > 0 && mtu > maxMtu))) {
    throw new Error(`invalid argument: MTU ${mtu} of "${link.name}" is not between ${minMtu} and ${maxMtu}`);
  }
  if (mac === undefined) return;
  const bytes = macBytes(mac);
  if (bytes.length !== link.mac.length) {
    const lengths = `has ${bytes.length} bytes where "${link.name}" has ${link.mac.length}`;
    throw new Error(`invalid argument: MAC address ${mac} ${lengths}`);
  }
  const isEthernet = bytes.length === 6;
  if (isEthernet && ((bytes[0] ?? 0) & 1 || bytes.every((byte) => byte === 0))) {
    throw new Error(
      `cannot assign requested address: MAC address ${mac} is a group's or zero, "${link.name}" needs one of its own`,
    );
  }
}

/** How the link differs from what ADD left, in words. */
export function linkDifferences(link: Link, wanted: SomeValues): string[] {
  const has = valuesOf(link);
  const { name, promiscuity } = link;
  const drift: string[] = [];
  const compare = (what: string, want: unknown, current: unknown) => {
    if (want === undefined || want === current) return;
    drift.push(`Error: Tuning configured ${what} of ${name} is ${want}, current value is ${current}`);
  };
  compare('Ethernet', wanted.mac, has.mac);
  if (wanted.promisc !== undefined && wanted.promisc !== promiscuity > 0) {
    drift.push(
      `Error: Tuning link ${name} configured promisc is ${wanted.promisc}, current value is ${promiscuity}`,
    );
  }
  compare('MTU', wanted.mtu, has.mtu);
  compare('all-multicast mode', wanted.allmulti, has.allmulti);
  compare('Transmit Queue Length', wanted.txQLen, has.txQLen);
  return drift;
}
