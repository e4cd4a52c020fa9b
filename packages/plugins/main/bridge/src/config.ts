import { parseMac } from '@cni-ts/address/mac';
import { checkMtu } from '@cni-ts/resource/link-mtu';
import { checkBackend } from '@cni-ts/rules/masquerade-backend';
import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import type { RawRequest } from '@cni-ts/skeleton/plugin';
import { parseCniArgs } from '@cni-ts/spec/cni-args';
import { errorText } from '@cni-ts/spec/cni-error';
import { checkInterfaceName } from '@cni-ts/spec/names';
import * as z from 'zod/mini';
import { trunkVlans, vlanLimits } from './vlan.ts';

const mac = () => z.optional(z.string());
const on = () => z.optional(z.boolean());
const whole = () => z.optional(z.int());

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () =>
  z.object({
    ...networkConfig,
    bridge: z.optional(z.string()),
    isGateway: on(),
    isDefaultGateway: on(),
    forceAddress: on(),
    ipMasq: on(),
    ipMasqBackend: z.optional(z.string()),
    mtu: whole(),
    hairpinMode: on(),
    promiscMode: on(),
    vlan: whole(),
    vlanTrunk: z.optional(z.array(z.object({ id: whole(), minID: whole(), maxID: whole() }))),
    preserveDefaultVlan: on(),
    macspoofchk: on(),
    enabledad: on(),
    disableContainerInterface: on(),
    portIsolation: on(),
    runtimeConfig: z.optional(z.object({ mac: mac() })),
    args: z.optional(z.object({ cni: z.optional(z.object({ mac: mac() })) })),
  });

/** What the plugin works by. */
export type Config = ReturnType<typeof parse>;

/** Checks that hold for every verb; those that only ADD makes are in `checkForAdd`. */
export function parse(raw: z.output<ReturnType<typeof schema>>, request: RawRequest) {
  const { vlan = 0, isDefaultGateway = false, mtu = 0 } = raw;
  if (vlan < 0 || vlan > vlanLimits.max) {
    throw new Error(`invalid VLAN ID ${vlan} (must be between 0 and ${vlanLimits.max})`);
  }
  const trunk = raw.vlanTrunk && trunkVlans(raw.vlanTrunk);
  const args = parseCniArgs(request.args, { MAC: (value) => value });
  return {
    bridge: raw.bridge ?? 'cni0',
    isGateway: isDefaultGateway || (raw.isGateway ?? false),
    isDefaultGateway,
    forceAddress: raw.forceAddress ?? false,
    ipMasq: raw.ipMasq ?? false,
    ipMasqBackend: raw.ipMasqBackend,
    /** undefined: the kernel's default. */
    mtu: mtu > 0 ? mtu : undefined,
    hairpin: raw.hairpinMode ?? false,
    promisc: raw.promiscMode ?? false,
    /** 0: none. */
    vlan,
    /** Ascending, without duplicates; undefined when the configuration has no `vlanTrunk`. */
    trunk,
    preserveDefaultVlan: raw.preserveDefaultVlan ?? false,
    macSpoofCheck: raw.macspoofchk ?? false,
    dad: raw.enabledad ?? false,
    disableContainerInterface: raw.disableContainerInterface ?? false,
    portIsolation: raw.portIsolation ?? false,
    /** An empty text counts as not given, so the next source is asked. */
    mac: raw.runtimeConfig?.mac || raw.args?.cni?.mac || args.MAC || undefined,
    /** '' when the network has no IPAM. */
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}

/** A name that the kernel would refuse, or take for a template. `what`: what could not be done, as the kernel's refusal of
 *  it is told. */
function checkLinkName(what: string, field: string, name: string): void {
  try {
    checkInterfaceName(name);
  } catch (error) {
    const isLong = new TextEncoder().encode(name).length > 15;
    const why = isLong ? 'numerical result out of range' : 'invalid argument';
    // Without the cause, whose code is that of a wrong variable.
    throw new Error(`${what}: ${why}: ${field} ${JSON.stringify(name)}: ${errorText(error)}`);
  }
}

/** What cannot work, said before anything is changed. */
export function checkForAdd(config: Config): void {
  if (config.ipam && config.disableContainerInterface) {
    throw new Error('cannot use IPAM when DisableContainerInterface flag is set');
  }
  if (config.hairpin && config.promisc) {
    throw new Error('cannot set hairpin mode and promiscuous mode at the same time');
  }
  if (config.bridge === '') {
    throw new Error('failed to create bridge "": could not add "": LinkAttrs.Name cannot be empty');
  }
  const what = `failed to create bridge "${config.bridge}": could not add "${config.bridge}"`;
  checkLinkName(what, 'bridge', config.bridge);
  if (config.vlan && config.ipam && config.isGateway) {
    const name = `${config.bridge}.${config.vlan}`;
    const leg = `faild to create vlan gateway "${name}": failed to make veth pair`;
    checkLinkName(leg, 'bridge and vlan', name);
  }
  checkMtu(what, config.mtu);
  if (config.ipam && config.ipMasq) checkBackend(config.ipMasqBackend);
  if (config.mac !== undefined && !parseMac(config.mac)) {
    throw new Error(`failed to make veth pair: address ${config.mac}: invalid MAC address`);
  }
}
