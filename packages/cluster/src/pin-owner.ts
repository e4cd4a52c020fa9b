/** Whose a pin (a block of one address) is, as plugin, agent and etcd have it. */

/** Who asked for just this address. It goes back when it is freed. */
export function fixedOwner({ containerId, ifname }: { containerId: string; ifname: string }): string {
  return `container ${containerId} ${ifname}`;
}

/** A pod whose address stays its own when it is freed. No name of Kubernetes has a blank in it, so no two kinds meet. */
export function stickyOwner(pod: { namespace: string; name: string; ifname: string }): string {
  return `${pod.namespace}/${pod.name}/${pod.ifname}`;
}

/** Whether the pin is of an address that was asked for, and nobody's for longer than it is used. */
export function isFixedOwner(owner: string): boolean {
  return owner.startsWith('container ');
}
