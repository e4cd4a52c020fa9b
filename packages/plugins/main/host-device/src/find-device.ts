/** Which link of the host is meant, and what it was like before it was in any container. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import type { Site } from '@cni-ts/resource/site';
import { findLink, type Link, listLinks } from '@cni-ts/rtnetlink/link';
import { nameAdvice } from '@cni-ts/rtnetlink/link-name';
import { failing } from '@cni-ts/spec/failing';
import { checkInterfaceName } from '@cni-ts/spec/names';
import type { Config } from './config.ts';
import type { DeviceRecord, DeviceRecords } from './device-record.ts';
import { busDevice, linkOfBusDevice, linkOfKernelPath } from './sysfs.ts';

/** What is put right when a device comes home. */
export type Home = Pick<
  DeviceRecord,
  'name' | 'alias' | 'mac' | 'mtu' | 'txQueueLength' | 'flags' | 'kind' | 'permanentMac'
>;

export interface FoundDevice {
  readonly link: Link;
  readonly home: Home;
}

/** Throws `failed to find host device: …`. */
export function findDevice(config: Config, site: Site, records: DeviceRecords): FoundDevice {
  const link = failing('failed to find host device', () => deviceLink(config, site, records));
  return { link, home: homeOf(link, site, records) };
}

/** The first that is given counts, in this order. */
function deviceLink(config: Config, site: Site, records: DeviceRecords): Link {
  if (config.device) return byName(config.device, site, records);
  if (config.hwaddr) return byMac(config.hwaddr, site);
  if (config.kernelpath) return byName(linkOfKernelPath(config.kernelpath), site, records);
  const device = busDevice(config);
  // A configuration that names nothing has been refused.
  return byName(device ? linkOfBusDevice(device) : '', site, records);
}

function byName(name: string, site: Site, records: DeviceRecords): Link {
  const link = findLink(site.host.route, name);
  if (link) return link;
  const record = records.read(name);
  const returned = listLinks(site.host.route).filter((one) => isReturned(one, name, site, record));
  if (returned.length === 1) return returned[0]!;
  const where = record
    ? `: container ${record.containerId} of network ${record.network} has "${name}" as ${record.ifname}; DEL brings it back`
    : `: "${name}" is not in the host's namespace${nameAdvice(name)}`;
  throw new Error(`Link not found${where}`);
}

/** Whether the link has come home without a DEL under the name that it had in a container: the kernel brings hardware back
 *  when the namespace ends, with the alias that it had. */
function isReturned(link: Link, name: string, site: Site, record: DeviceRecord | undefined): boolean {
  if (link.attributes.ifAlias !== name || link.name === name) return false;
  return record ? isDevice(link, record) : isContainersName(link.name, site.ifname);
}

/** As runtimes name the interfaces of containers, and the kernel a link that comes home where its name is taken. Another
 *  name with an alias is an administrator's. */
function isContainersName(name: string, ifname: string): boolean {
  return name === ifname || /^(net|dev)\d+$/.test(name);
}

/** Whether it may be the device: of the same kind, and the same piece of hardware where it is one. */
export function isDevice(link: Link, { kind, permanentMac }: Pick<Home, 'kind' | 'permanentMac'>): boolean {
  return link.kind === kind && permanentMacOf(link) === permanentMac;
}

export function permanentMacOf({ attributes }: Link): string {
  return attributes.permAddress ? formatMac(attributes.permAddress) : '';
}

/** What the device was like before its first container: one that came home without a DEL is not as it was. */
function homeOf(link: Link, site: Site, records: DeviceRecords): Home {
  const now: Home = {
    name: link.name,
    alias: link.attributes.ifAlias ?? '',
    mac: formatMac(link.mac),
    mtu: link.mtu,
    txQueueLength: link.txQueueLength,
    flags: link.flags,
    kind: link.kind,
    permanentMac: permanentMacOf(link),
  };
  const { alias } = now;
  if (!isLinkName(alias)) return now;
  const record = records.read(alias);
  if (record && isDevice(link, record)) return record;
  if (alias === link.name || !isContainersName(link.name, site.ifname)) return now;
  if (findLink(site.host.route, alias)) return now;
  site.request.log(`host-device: "${link.name}" came home without a DEL, its name was "${alias}"`);
  return { ...now, name: alias, alias: '' };
}

/** Whether a text can be the name of a link. */
export function isLinkName(text: string): boolean {
  try {
    checkInterfaceName(text);
    return true;
  } catch {
    return false; // reason: that is the question
  }
}

function byMac(text: string, site: Site): Link {
  const mac = parseMac(text);
  if (!mac) {
    throw new Error(
      `failed to parse MAC address ${JSON.stringify(text)}: address ${text}: invalid MAC address`,
    );
  }
  const wanted = formatMac(mac);
  const all = failing('failed to list node links', () => listLinks(site.host.route));
  let found = mac.some((byte) => byte !== 0) ? all.filter((link) => formatMac(link.mac) === wanted) : [];
  if (found.length === 0) found = all.filter((link) => permanentMacOf(link) === wanted);
  const best = theOne(found, wanted);
  if (best.length === 1) return best[0]!;
  if (best.length === 0)
    throw new Error(`failed to find physical interface: no link of the host has the MAC ${wanted}`);
  const names = best.map(({ name }) => `"${name}"`).join(', ');
  throw new Error(`several links have the MAC ${wanted}: ${names}; say which by "device"`);
}

/** Kinds that take the MAC of another link, or stand on one. */
const borrowers = [
  'bridge',
  'bond',
  'team',
  'vlan',
  'macvlan',
  'macvtap',
  'ipvlan',
  'ipvtap',
  'vrf',
  'macsec',
];

/** Of links with one MAC the one that it is of: bridges, bonds and links on top of others have it from those. */
function theOne(links: readonly Link[], mac: string): readonly Link[] {
  const preferences: ((link: Link) => boolean)[] = [
    (link) => !borrowers.includes(link.kind),
    (link) => link.kind === '',
    (link) => permanentMacOf(link) === mac,
    (link) => link.master === 0,
  ];
  let left = links;
  for (const prefers of preferences) {
    const preferred = left.filter(prefers);
    if (preferred.length > 0) left = preferred;
  }
  return left;
}
