/** A lease's result as it goes over the daemon's socket, and as the plugin reads it there. */
import { formatCidr, maskOf, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import type { LeaseResult } from '@cni-ts/dhcp-protocol/lease';
import type { IpConfig, Result, Route } from '@cni-ts/spec/result';
import type { Settings } from './config.ts';
import type { GobObject, GobValue } from './gob-types.ts';

/** What an Allocate answers: what the leases give, and of it what the configuration asks for. */
export function gobResult(leases: readonly LeaseResult[], settings: Settings, fresh: boolean): GobObject {
  const mtus = leases.flatMap(({ mtu }) => mtu ?? []);
  const mtu = settings.use.has('mtu') && mtus.length > 0 ? Math.min(...mtus) : 0;
  const routes = [...leases.flatMap((lease) => lease.routes), ...settings.routes];
  const dns = settings.use.has('dns') ? leases.flatMap((lease) => lease.dns ?? []) : [];
  return {
    IPs: leases.map(({ ip }) => ({
      Address: network(ip.address),
      ...(ip.gateway !== undefined && { Gateway: bytes(ip.gateway) }),
    })),
    Routes: routes.map((route) => gobRoute(route, mtu)),
    DNS: {
      Nameservers: dns.flatMap(({ nameservers = [] }) => nameservers),
      Domain: dns.find(({ domain }) => domain)?.domain ?? '',
      Search: dns.flatMap(({ search = [] }) => search),
    },
    NTP: settings.use.has('ntp') ? leases.flatMap(({ ntp = [] }) => ntp) : [],
    Fresh: fresh,
  };
}

function gobRoute(
  { dst, gw, mtu = 0, advmss = 0, priority = 0, table = 0, scope = 0 }: Route,
  linkMtu: number,
): GobObject {
  return {
    Dst: network(dst),
    ...(gw !== undefined && { GW: bytes(gw) }),
    MTU: mtu || linkMtu,
    AdvMSS: advmss,
    Priority: priority,
    Table: table,
    Scope: scope,
  };
}

function network(text: string): GobObject {
  const cidr = parseCidr(text);
  if (cidr) return { IP: cidr.ip.bytes, Mask: maskOf(cidr) };
  // A mask that is no prefix, in hex after the slash, as the reference prints one.
  const [address = '', mask = ''] = text.split('/');
  const octets = mask.match(/../g)?.map((octet) => Number.parseInt(octet, 16)) ?? [];
  return { IP: bytes(address), Mask: new Uint8Array(octets) };
}

function bytes(text: string): Uint8Array {
  return parseIp(text)?.bytes ?? new Uint8Array(0);
}

/** The result that a daemon, ours or the reference's, answered. What it says in vain (an address of five bytes) is left
 *  out. */
export function resultOf(answer: GobObject): Result {
  const dns = objectIn(answer.DNS);
  const [nameservers, search] = [texts(dns.Nameservers), texts(dns.Search)];
  const domain = typeof dns.Domain === 'string' ? dns.Domain : '';
  const hasDns = nameservers.length > 0 || search.length > 0 || domain !== '';
  const routes = objects(answer.Routes).flatMap(routeOf);
  const ntp = texts(answer.NTP);
  return {
    ips: objects(answer.IPs).flatMap(ipOf),
    ...(routes.length > 0 && { routes }),
    ...(hasDns && {
      dns: {
        ...(nameservers.length > 0 && { nameservers }),
        ...(domain !== '' && { domain }),
        ...(search.length > 0 && { search }),
      },
    }),
    ...(ntp.length > 0 && { ntp }),
  };
}

function ipOf(entry: GobObject): IpConfig[] {
  const address = networkText(objectIn(entry.Address));
  const gateway = ipIn(entry.Gateway);
  return address === undefined ? [] : [{ address, ...(gateway && { gateway: formatIp(gateway) }) }];
}

function routeOf(entry: GobObject): Route[] {
  const dst = networkText(objectIn(entry.Dst));
  const gateway = ipIn(entry.GW);
  const number = (name: string, field: string) => {
    const value = entry[field];
    return typeof value === 'number' && value !== 0 ? { [name]: value } : {};
  };
  if (dst === undefined) return [];
  const numbers = {
    ...number('mtu', 'MTU'),
    ...number('advmss', 'AdvMSS'),
    ...number('priority', 'Priority'),
    ...number('table', 'Table'),
    ...number('scope', 'Scope'),
  };
  return [{ dst, ...(gateway && { gw: formatIp(gateway) }), ...numbers }];
}

/** `10.0.0.5/24`, and with a mask that is no prefix `10.0.0.5/ff00ff00`. */
function networkText(value: GobObject): string | undefined {
  const ip = ipIn(value.IP);
  const mask = value.Mask;
  if (!ip || !(mask instanceof Uint8Array) || mask.length !== ip.bytes.length) return undefined;
  let prefix = 0;
  while (prefix < mask.length * 8 && mask[prefix >> 3]! & (0x80 >> (prefix & 7))) prefix++;
  const plain = { ip, prefix };
  const isPrefix = maskOf(plain).every((byte, i) => byte === mask[i]);
  if (isPrefix) return formatCidr(plain);
  return `${formatIp(ip)}/${[...mask].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function ipIn(value: GobValue | undefined): Ip | undefined {
  if (!(value instanceof Uint8Array)) return undefined;
  if (value.length === 4) return { family: 4, bytes: value };
  return value.length === 16 ? parseIp(formatIp({ family: 6, bytes: value })) : undefined;
}

function objectIn(value: GobValue | undefined): GobObject {
  const isObject = typeof value === 'object' && !(value instanceof Uint8Array) && !Array.isArray(value);
  return isObject ? (value as GobObject) : {}; // reason: none of the others is left
}

function objects(value: GobValue | undefined): GobObject[] {
  return Array.isArray(value) ? value.map(objectIn) : [];
}

function texts(value: GobValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
