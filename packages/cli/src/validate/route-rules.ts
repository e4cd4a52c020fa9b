/** Routes of a network: where to, by whom, and the numbers that the kernel takes. */
import { contains, formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { memberOf, objectMember } from '@cni-ts/skeleton/config-findings';
import { addressField, type GivenRange } from './address-field.ts';
import { type Draft, error, type Path, type warning } from './finding.ts';

/** `given`: the network's own addresses, where they are known. `ofGateway`: how bad it is when a gateway is none of theirs. */
export function routeFindings(
  routes: readonly unknown[],
  given: readonly GivenRange[],
  path: Path,
  ofGateway: typeof warning,
  found: Draft[],
): void {
  for (const [i, route] of routes.entries()) {
    const json = objectMember({ route }, 'route');
    if (!json) continue;
    const at = [...path, i];
    const dst = memberOf(json, 'dst');
    const destination = typeof dst === 'string' ? parseCidr(dst) : undefined;
    if (typeof dst === 'string' && !destination) {
      const hint = parseIp(dst) ? ': its prefix length is missing' : '';
      found.push(
        error(
          'CNI2001',
          [...at, 'dst'],
          `${JSON.stringify(dst)} is no destination such as "0.0.0.0/0"${hint}`,
        ),
      );
    }
    for (const key of ['mtu', 'advmss', 'priority', 'table', 'scope']) {
      const number = memberOf(json, key);
      if (typeof number === 'number' && number < 0)
        found.push(error('CNI1011', [...at, key], `${key} is ${number}, and cannot be less than 0`));
    }
    const gateway = addressField(json, 'gw', at, found);
    if (!gateway) continue;
    const place = [...at, 'gw'];
    if (destination && destination.ip.family !== gateway.family) {
      found.push(
        error(
          'CNI1015',
          place,
          `the gateway ${formatIp(gateway)} is of another family than ${formatCidr(destination)}`,
        ),
      );
      continue;
    }
    const same = given.filter(({ subnet }) => subnet.ip.family === gateway.family);
    const isLinkLocal = gateway.family === 6 && gateway.bytes[0] === 0xfe && gateway.bytes[1] === 0x80;
    if (same.length > 0 && !isLinkLocal && !same.some(({ subnet }) => contains(subnet, gateway))) {
      found.push(
        ofGateway('CNI2010', place, `the gateway ${formatIp(gateway)} is in none of the network's subnets`),
      );
    }
  }
}
