/** Calls about one attachment, as a runtime makes them. */
import type { Call, Host } from './host.ts';
import type { Network } from './networks.ts';
import type { Verb } from './verdict.ts';

export interface Attachment {
  readonly id: string;
  readonly netns: string;
  readonly ifname: string;
}

/** The configuration that a plugin gets. */
export function configOf(network: Network, name: string, prevResult?: unknown): Record<string, unknown> {
  return {
    cniVersion: '1.1.0',
    name,
    type: network.type,
    ...network.config,
    ...(prevResult ? { prevResult } : {}),
  };
}

export function environment(host: Host, verb: Verb | string, one: Attachment): Record<string, string> {
  return {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: one.id,
    CNI_NETNS: one.netns,
    CNI_IFNAME: one.ifname,
    CNI_PATH: host.bin,
  };
}

export function callOf(
  host: Host,
  verb: Verb,
  network: Network,
  name: string,
  one: Attachment,
  prevResult?: unknown,
): Call {
  const config = configOf(network, name, prevResult);
  return { verb, type: network.type, env: environment(host, verb, one), stdin: JSON.stringify(config) };
}

/** GC of everything that is not in `valid`. */
export function collectOf(
  host: Host,
  network: Network,
  name: string,
  valid: readonly { containerID: string; ifname: string }[] = [],
): Call {
  const config = { ...configOf(network, name), 'cni.dev/valid-attachments': valid };
  const env = { CNI_COMMAND: 'GC', CNI_PATH: host.bin };
  return { verb: 'GC', type: network.type, env, stdin: JSON.stringify(config) };
}

/** What a plugin before it would have made in the container: eth0, whose other end is on the host; and its result. */
export function predecessor(host: Host, netns: string, name: string, net: number): object {
  host.sh(
    `ip link add ${name} type veth peer name eth0 netns ${netns}; ip link set ${name} up; ip address add 10.200.${net}.1/24 dev ${name}`,
  );
  host.sh(
    `nsenter --net=${netns} sh -c 'ip link set eth0 up; ip address add 10.200.${net}.2/24 dev eth0; ip address add fd00:200:${net}::2/64 dev eth0 nodad'`,
  );
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name }, { name: 'eth0', sandbox: netns }],
    ips: [
      { address: `10.200.${net}.2/24`, gateway: `10.200.${net}.1`, interface: 1 },
      { address: `fd00:200:${net}::2/64`, interface: 1 },
    ],
  };
}
