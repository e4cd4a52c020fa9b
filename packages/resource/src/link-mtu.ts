/** What a veth or a bridge takes: ETH_MIN_MTU, include/uapi/linux/if_ether.h, and ETH_MAX_MTU, drivers/net/veth.c. */
export const mtuLimits = { min: 68, max: 65535 } as const;

/** Throws for an mtu that the kernel would call an invalid argument, before anything is made. undefined: the kernel's.
 *  `max`: of another kind of link. */
export function checkMtu(what: string, mtu: number | undefined, max: number = mtuLimits.max): void {
  if (mtu === undefined || (mtu >= mtuLimits.min && mtu <= max)) return;
  throw new Error(`${what}: invalid argument: mtu is ${mtu}, must be ${mtuLimits.min} to ${max}`);
}
