/** What the clients of an attachment are told when they begin: flags of the daemon, configuration, and link. */
import { parseMac } from '@cni-ts/address/mac';
import type { Client4Config } from '@cni-ts/dhcp-protocol/client4-state';
import type { Client6Config } from '@cni-ts/dhcp-protocol/client6-state';
import { duidLl, duidUuid, iaidOf } from '@cni-ts/dhcp-protocol/duid';
import { hashedName } from '@cni-ts/libc/name-hash';
import { clientIdHex, hexOf, type Settings } from './config.ts';
import type { Flags } from './flags.ts';
import type { Identity } from './lease-record.ts';
import type { LinkPort } from './link-port.ts';

export function config4(flags: Flags, identity: Identity, port: LinkPort, settings: Settings): Client4Config {
  const provide: Record<string, string> = {};
  for (const [code, payload] of settings.provide) provide[code] = hexOf(payload);
  return {
    mac: port.macText,
    clientId: clientIdHex(settings, identity, port.mac),
    request: settings.request,
    provide,
    // An ipvlan has its master's hardware address, so that unicast finds it only once the address is on it.
    broadcast: flags.broadcast || settings.broadcast || port.kind === 'ipvlan',
    timeout: flags.timeout,
    resendMax: flags.resendmax,
    resendTimeout: flags.resendtimeout,
  };
}

/** Options by what of them is used: RFC 3646, RFC 4075 and RFC 5908. */
const options6 = { dns: [23, 24], ntp: [56, 31], mtu: [] } as const;

export function config6(flags: Flags, identity: Identity, port: LinkPort, settings: Settings): Client6Config {
  return {
    duid: hexOf(duidOf(identity, port, settings)),
    iaid: iaidOf(`${settings.network}/${identity.ifname}`),
    request: [...settings.use].flatMap((one) => [...options6[one]]),
    rapidCommit: false,
    resendTimeout: flags.resendtimeout,
  };
}

/** By hardware address where that is the client, else a number that follows from the names that option 61 has. */
function duidOf(identity: Identity, port: LinkPort, settings: Settings): Uint8Array {
  const byMac = duidLl(parseMac(port.macText) ?? port.mac);
  if (settings.clientId === 'mac') return byMac;
  return duidUuid(hashedName(32, '', clientIdHex(settings, identity, port.mac))) ?? byMac;
}
