/** Addresses in `ipam`: ranges, gateways, routes. All that is wrong is told, where host-local tells the first. */
import { type Cidr, contains, formatCidr, isHost, lastOf, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { compareIp, equalIp, formatIp, type Ip, nextIp, parseIp, previousIp } from '@cni-ts/address/ip';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { newestVersion } from '@cni-ts/spec/released-versions';
import { poolConfig } from '../cluster/pool-network.ts';
import { addressField, type GivenRange } from './address-field.ts';
import type { ConfigDocument, Json } from './document.ts';
import { type Draft, error, note, type Path, warning } from './finding.ts';
import { isOfIpam, pluginsOf } from './list-rules.ts';
import { clusterIpam, interfacePlugins } from './plugin-types.ts';
import { routeFindings } from './route-rules.ts';

export interface Addresses {
  readonly findings: readonly Draft[];
  readonly ranges: readonly GivenRange[];
}

/** Of every plugin of the configuration that has an `ipam` of a kind that is known. */
export function addressesOf(document: ConfigDocument): Addresses {
  const findings: Draft[] = [];
  const ranges: GivenRange[] = [];
  for (const { json, type, path } of pluginsOf(document)) {
    const ipam = objectMember(json, 'ipam');
    if (!ipam) continue;
    const kind = textMember(ipam, 'type');
    const at = [...path, 'ipam'];
    if (clusterIpam.includes(kind)) ranges.push(...ofCluster(json, at));
    if (kind !== 'host-local' && kind !== 'static') continue;
    const found: Draft[] = [];
    const given = kind === 'host-local' ? hostLocal(ipam, json, at, found) : fixed(ipam, json, at, found);
    const routes = memberOf(ipam, 'routes');
    if (Array.isArray(routes))
      routeFindings(routes, given, [...at, 'routes'], kind === 'static' ? note : warning, found);
    if (kind === 'host-local') ranges.push(...given);
    // A plugin that is not ours may put something in the place of what is written: Calico has `usePodCidr`.
    const isOurs = interfacePlugins.includes(type) || (type === '' && isOfIpam(json));
    findings.push(
      ...found.map((one): Draft => (isOurs || one.level === 'note' ? one : { ...one, level: 'note' })),
    );
  }
  return { findings, ranges };
}

/** What is wrong with them the plugin itself tells. */
function ofCluster(plugin: Json, path: Path): GivenRange[] {
  try {
    const { ranges, network } = poolConfig('network', newestVersion, plugin);
    return ranges.flatMap(({ set, field }) => {
      const index = /\[(\d+)\]$/.exec(field)?.[1];
      const at = index === undefined ? path : [...path, 'ipRanges', Number(index)];
      return set.map(({ subnet, start, end }) => ({ subnet, start, end, path: at, space: network.space }));
    });
  } catch {
    return []; // which the plugin's own VALIDATE says
  }
}

function hostLocal(ipam: Json, plugin: Json, path: Path, found: Draft[]): GivenRange[] {
  const sets: GivenRange[][] = [];
  const ranges = memberOf(ipam, 'ranges');
  let written = 0;
  if (memberOf(ipam, 'subnet') !== undefined) {
    written++;
    sets.push(rangeOf(ipam, path, found));
  } else {
    for (const key of ['rangeStart', 'rangeEnd', 'gateway']) {
      if (memberOf(ipam, key) === undefined) continue;
      found.push(error('CNI1004', [...path, 'subnet'], `${key} has no subnet beside it: expected "subnet"`));
      written++;
      break;
    }
  }
  if (Array.isArray(ranges)) {
    for (const [i, set] of ranges.entries()) {
      if (!Array.isArray(set)) continue;
      written++;
      const at = [...path, 'ranges', i];
      if (set.length === 0) found.push(error('CNI2009', at, 'the range set is empty'));
      const read = set.flatMap((range: unknown, j) => {
        const json = objectMember({ range }, 'range');
        return json ? rangeOf(json, [...at, j], found) : [];
      });
      const families = new Set(read.map(({ subnet }) => subnet.ip.family));
      if (families.size > 1) {
        found.push(
          error('CNI2008', at, 'the range set has IPv4 and IPv6; each family needs a set of its own'),
        );
      }
      sets.push(read);
    }
  }
  const marked = objectMember(plugin, 'capabilities') ?? {};
  const args = objectMember(plugin, 'runtimeConfig') ?? {};
  if (written === 0 && marked.ipRanges !== true && !('ipRanges' in args)) {
    found.push(
      error(
        'CNI2009',
        [...path, 'type'],
        'there is nothing to give addresses from: expected "subnet" or "ranges"',
      ),
    );
  }
  const all = sets.flat();
  for (const [i, one] of all.entries()) {
    const other = all.slice(0, i).find((earlier) => overlap(one, earlier));
    if (!other) continue;
    const message = `${rangeText(one)} overlaps ${rangeText(other)} of this network`;
    found.push(error('CNI2006', placeOfRange(one), message));
  }
  return all;
}

function placeOfRange({ path }: GivenRange): Path {
  return [...path, 'subnet'];
}

export function overlap(a: Pick<GivenRange, 'start' | 'end'>, b: Pick<GivenRange, 'start' | 'end'>): boolean {
  return compareIp(a.start, b.end) <= 0 && compareIp(b.start, a.end) <= 0;
}

export function rangeText({ subnet, start, end }: GivenRange): string {
  const [first, last] = usable(subnet);
  return equalIp(first, start) && equalIp(last, end)
    ? formatCidr(subnet)
    : `${formatIp(start)}-${formatIp(end)}`;
}

/** IPv4's last address is for broadcasts. */
function usable(subnet: Cidr): [Ip, Ip] {
  const last = lastOf(subnet);
  return [nextIp(networkOf(subnet).ip), subnet.ip.family === 4 ? previousIp(last) : last];
}

/** None where it makes no sense. */
function rangeOf(range: Json, path: Path, found: Draft[]): GivenRange[] {
  const text = memberOf(range, 'subnet');
  if (text === undefined) {
    found.push(error('CNI1004', [...path, 'subnet'], 'expected "subnet", such as "10.22.0.0/16"'));
    return [];
  }
  if (typeof text !== 'string') return [];
  const at = [...path, 'subnet'];
  const subnet = parseCidr(text);
  if (!subnet) {
    const hint = parseIp(text) ? ': its prefix length is missing' : '';
    found.push(error('CNI2001', at, `${JSON.stringify(text)} is no subnet such as "10.22.0.0/16"${hint}`));
    return [];
  }
  const bits = subnet.ip.bytes.length * 8;
  const network = networkOf(subnet);
  if (!equalIp(network.ip, subnet.ip)) {
    found.push(
      error(
        'CNI2002',
        at,
        `the subnet has host bits set; the network of this prefix is ${formatCidr(network)}`,
      ),
    );
    return [];
  }
  if (bits - subnet.prefix < 2) {
    found.push(
      error('CNI2003', at, `${text} has no room: a network needs two addresses besides those of its ends`),
    );
    return [];
  }
  const [first, last] = usable(subnet);
  const start = addressField(range, 'rangeStart', path, found);
  const end = addressField(range, 'rangeEnd', path, found);
  const gateway = addressField(range, 'gateway', path, found);
  let isWhole = true;
  for (const [key, ip] of [
    ['rangeStart', start],
    ['rangeEnd', end],
  ] as const) {
    if (!ip || contains(subnet, ip)) continue;
    found.push(error('CNI2005', [...path, key], `${formatIp(ip)} is not in ${text}`));
    isWhole = false;
  }
  if (isWhole && compareIp(start ?? first, end ?? last) > 0) {
    const key = end ? 'rangeEnd' : 'rangeStart';
    found.push(
      error(
        'CNI2005',
        [...path, key],
        `the range ends before it begins: ${formatIp(start ?? first)} to ${formatIp(end ?? last)}`,
      ),
    );
    isWhole = false;
  }
  if (gateway && !contains(subnet, gateway)) {
    found.push(error('CNI2004', [...path, 'gateway'], `the gateway ${formatIp(gateway)} is not in ${text}`));
  } else if (
    gateway &&
    (equalIp(gateway, network.ip) || (subnet.ip.family === 4 && equalIp(gateway, lastOf(subnet))))
  ) {
    const which = equalIp(gateway, network.ip)
      ? 'the address of the network itself'
      : 'the broadcast address';
    found.push(warning('CNI2004', [...path, 'gateway'], `the gateway ${formatIp(gateway)} is ${which}`));
  }
  if (!isWhole) return [];
  const whole = { subnet, start: start ?? first, end: end ?? last, path };
  const taken = gateway ?? first;
  if (equalIp(whole.start, whole.end) && equalIp(whole.start, taken)) {
    const message = `the range has no room: ${formatIp(taken)}, its only address, is the gateway`;
    found.push(error('CNI2003', [...path, start ? 'rangeStart' : 'subnet'], message));
  }
  return [whole];
}

/** Of static: addresses are taken as networks of their own. */
function fixed(ipam: Json, plugin: Json, path: Path, found: Draft[]): GivenRange[] {
  const list = memberOf(ipam, 'addresses');
  const read: GivenRange[] = [];
  for (const [i, item] of Array.isArray(list) ? list.entries() : []) {
    const json = objectMember({ item }, 'item');
    if (!json) continue;
    const at = [...path, 'addresses', i];
    const text = memberOf(json, 'address');
    if (text === undefined)
      found.push(error('CNI1004', [...at, 'address'], 'expected "address", such as "10.22.0.5/16"'));
    if (typeof text !== 'string') continue;
    const cidr = parseCidr(text);
    if (!cidr) {
      const hint = parseIp(text) ? ': its prefix length is missing' : '';
      found.push(
        error(
          'CNI2001',
          [...at, 'address'],
          `${JSON.stringify(text)} is no address such as "10.22.0.5/16"${hint}`,
        ),
      );
      continue;
    }
    if (read.some(({ start }) => equalIp(start, cidr.ip))) {
      found.push(error('CNI2006', [...at, 'address'], `${formatIp(cidr.ip)} stands twice in this network`));
    }
    read.push({ subnet: cidr, start: cidr.ip, end: cidr.ip, path: at });
    const gateway = addressField(json, 'gateway', at, found);
    // A route over the link is made to it.
    if (gateway && !isHost(cidr) && !contains(cidr, gateway)) {
      const message = `the gateway ${formatIp(gateway)} is not in ${formatCidr(networkOf(cidr))}`;
      found.push(note('CNI2004', [...at, 'gateway'], message));
    }
  }
  const marked = objectMember(plugin, 'capabilities') ?? {};
  if (
    read.length === 0 &&
    list === undefined &&
    marked.ips !== true &&
    memberOf(plugin, 'args') === undefined
  ) {
    found.push(
      note(
        'CNI2009',
        [...path, 'type'],
        'no addresses are written: they must come by CNI_ARGS, or by the capability ips',
      ),
    );
  }
  const servers = memberOf(objectMember(ipam, 'dns'), 'nameservers');
  for (const [i, text] of Array.isArray(servers) ? servers.entries() : []) {
    if (typeof text === 'string' && !parseIp(text))
      found.push(
        warning('CNI2001', [...path, 'dns', 'nameservers', i], `${JSON.stringify(text)} is no address`),
      );
  }
  return read;
}
