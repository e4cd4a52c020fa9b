/** The link of a container, from its inner end to what the host sees of it. */
import { formatCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import type { Address } from '@cni-ts/rtnetlink/address';
import type { Link } from '@cni-ts/rtnetlink/link';
import { dropped, type Hop } from './hop.ts';
import { type Place, whyDown } from './place.ts';
import type { Holder, Subject } from './subject.ts';
import type { Target } from './target.ts';

export interface Traced {
  readonly subject: Subject;
  readonly container: Place;
  readonly host: Place;
  readonly target: Target;
  /** The address of who asks from outside, where the packet comes from there. */
  readonly from: Ip | undefined;
  /** Who was given an address, as far as is remembered. */
  holders(address: Ip): readonly Holder[];
  /** Told each hop, in order. */
  tell(hop: Hop): void;
}

/** The container's link, its other end, and what that end is a port of. */
export interface Wire {
  readonly inner: Link;
  readonly own: Address;
  /** Undefined for a link that has no end of its own on the host, such as a macvlan: its master then. */
  readonly outer: Link | undefined;
  readonly master: Link | undefined;
  /** The link by which the host sees it: the bridge, or the outer end itself. */
  readonly gate: Link;
}

/** Told hop by hop; throws Dropped where one of them is down or gone. */
export function wireOf({ subject, container, host, target, tell }: Traced): Wire {
  const { ifname } = subject;
  const named = container.named(ifname);
  if (!named) {
    throw dropped(
      'container',
      'CNI3023',
      `there is no link ${ifname} in ${subject.netns}`,
      subject.attachment
        ? 'it was attached and is not any more: detach it by "cnitool del" or the runtime, and attach it again'
        : `attach it, or name its interface by --ifname`,
    );
  }
  const down = whyDown(named);
  if (down && !down.includes('carrier')) {
    throw dropped(
      'container',
      'CNI3024',
      `${down} in the container`,
      `set it up, in the container: ip link set ${ifname} up`,
    );
  }
  const own = container.addresses(named).find(({ cidr }) => cidr.ip.family === target.address.family);
  if (!own) {
    throw dropped(
      'container',
      'CNI3023',
      `${ifname} has no IPv${target.address.family} address`,
      'ask the network for one: its IPAM needs a range of that family',
    );
  }
  const stacked = named.kind === 'macvlan' || named.kind === 'ipvlan' || named.kind === 'macvtap';
  const outer = host.link(named.lower);
  const isPeer = outer !== undefined && (stacked || (outer.kind === 'veth' && outer.lower === named.index));
  if (!outer || !isPeer) {
    throw dropped(
      'container',
      'CNI3025',
      `what ${ifname} (${named.kind || 'a device'}) is connected to is not on this host`,
      'trace it from where its other end is',
    );
  }
  tell({
    at: 'container',
    state: 'fine',
    text: `${ifname} is up, ${formatCidr(own.cidr)}, ${stacked ? `${named.kind} on` : 'its other end is'} ${outer.name}`,
  });
  const outerDown = whyDown(outer);
  if (outerDown) {
    throw dropped(
      'host',
      'CNI3024',
      `${outerDown}, and it is the other end of ${ifname}`,
      `set it up: ip link set ${outer.name} up`,
    );
  }
  if (down) throw dropped('container', 'CNI3024', `${down} in the container`, `look at ${outer.name}`);
  if (stacked) return { inner: named, own, outer: undefined, master: outer, gate: outer };
  const master = host.link(outer.master);
  if (!master) return { inner: named, own, outer, master: undefined, gate: outer };
  const masterDown = whyDown(master);
  if (masterDown) {
    throw dropped(
      'host',
      'CNI3024',
      `${masterDown}, and ${outer.name} is a port of it`,
      `set it up: ip link set ${master.name} up`,
    );
  }
  tell({ at: 'host', state: 'fine', text: `${outer.name} is up, a port of ${master.name}` });
  return { inner: named, own, outer, master, gate: master };
}
