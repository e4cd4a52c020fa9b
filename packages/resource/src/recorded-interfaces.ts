import { type Cidr, parseCidr } from '@cni-ts/address/cidr';
import type { Request } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Interface, Result } from '@cni-ts/spec/result';

type Asking = Pick<Request<unknown>, 'prevResult' | 'ifname' | 'log'>;

/** The links that prevResult tells, for DEL. None where it cannot be read: that is logged, and DEL goes on without. */
export function recordedInterfaces(request: Asking): readonly Interface[] {
  return recorded(request)?.interfaces ?? [];
}

/** The addresses that prevResult gives to this interface, for DEL; undefined where it tells none. */
export function recordedAddresses(request: Asking): Cidr[] | undefined {
  const { ips = [], interfaces = [] } = recorded(request) ?? {};
  const own = ips.filter(
    ({ interface: index }) => index === undefined || interfaces[index]?.name === request.ifname,
  );
  const addresses = own.flatMap(({ address }) => parseCidr(address) ?? []);
  return addresses.length ? addresses : undefined;
}

function recorded(request: Asking): Result | undefined {
  try {
    return request.prevResult;
  } catch (error) {
    request.log(`prevResult cannot be read and is not used: ${errorText(error)}`);
    return undefined;
  }
}
