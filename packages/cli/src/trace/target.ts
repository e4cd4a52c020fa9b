/** What `--to` says. */
import { type Ip, parseIp } from '@cni-ts/address/ip';
import type { PacketProtocol } from '@cni-ts/rules/packet';

export interface Target {
  readonly address: Ip;
  /** 0 for an echo request, which has none. */
  readonly port: number;
  readonly protocol: PacketProtocol;
}

/** `10.0.0.1:80`, `10.0.0.1:53/udp`, `[fd00::1]:80`; an address alone stands for an echo request. Throws a sentence. */
export function readTarget(text: string): Target {
  const [place = '', protocol = 'tcp', ...more] = text.split('/');
  const alone = parseIp(place);
  if (alone && protocol === 'tcp' && !text.includes('/'))
    return { address: alone, port: 0, protocol: 'icmp' };
  const at = place.lastIndexOf(':');
  const host = place.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const address = at > 0 ? parseIp(host) : undefined;
  const port = Number(place.slice(at + 1));
  const isPort = /^\d+$/.test(place.slice(at + 1)) && port >= 1 && port <= 65535;
  if (!address || !isPort || more.length > 0 || (protocol !== 'tcp' && protocol !== 'udp')) {
    throw new Error(
      `--to ${text}: write an address and a port, such as 192.0.2.1:80, 192.0.2.1:53/udp or [2001:db8::1]:80; or an address alone, for an echo request`,
    );
  }
  return { address, port, protocol };
}
