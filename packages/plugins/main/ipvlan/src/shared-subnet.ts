import { type Cidr, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import type { Site } from '@cni-ts/resource/site';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import type { Link } from '@cni-ts/rtnetlink/link';
import { sameDestination } from '@cni-ts/rtnetlink/route';

/**
 * In l3 and l3s the host routes, and nobody behind the master asks for the containers' MAC addresses. With addresses of
 * the master's own subnet the others there ask all the same, and IPv4 gets no answer: one line of the log says so.
 */
export function warnOfSharedSubnet(site: Site, master: Link): void {
  const own = listAddresses(site.host.route, master).map(({ cidr }) => cidr);
  for (const subnet of subnetsOf(site.request.json.ipam)) {
    const shared = own.find((one) => overlap(one, subnet));
    if (!shared) continue;
    const range = formatCidr(networkOf(subnet));
    site.request.log(
      `ipvlan: the addresses of ${range} lie in the subnet of "${master.name}" (${formatCidr(shared)}), ` +
        'whose hosts do not reach them in modes l3 and l3s: take another subnet, and route it to this host',
    );
  }
}

/** As host-local's configuration has them: `subnet`, and `ranges` of `subnet`s. */
function subnetsOf(ipam: unknown): Cidr[] {
  const found: Cidr[] = [];
  const texts: unknown[] = [];
  const look = (value: unknown): void => {
    if (Array.isArray(value)) for (const one of value) look(one);
    else if (typeof value === 'object' && value !== null && 'subnet' in value) texts.push(value.subnet);
  };
  look(ipam);
  if (typeof ipam === 'object' && ipam !== null && 'ranges' in ipam) look(ipam.ranges);
  for (const text of texts) {
    const subnet = typeof text === 'string' ? parseCidr(text) : undefined;
    if (subnet) found.push(subnet);
  }
  return found;
}

function overlap(a: Cidr, b: Cidr): boolean {
  const prefix = Math.min(a.prefix, b.prefix);
  return sameDestination({ ...a, prefix }, { ...b, prefix });
}
