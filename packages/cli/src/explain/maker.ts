/** Which plugin makes rules of a name. */
import type { HostRule } from '../node/rules-here.ts';

/** By the names that the plugins give their tables and shared chains. */
export function makerOf(
  within: readonly HostRule[],
  standing: readonly { table: string; name: string }[],
): string | undefined {
  const names = [
    ...within.map(({ table, chain }) => [table, chain]),
    ...standing.map((one) => [one.table, one.name]),
  ];
  for (const [table = '', chain = ''] of names) {
    if (/ cni_hostport$/.test(table) || /^CNI-(DN-|SN-|HOSTPORT-)/.test(chain)) return 'portmap';
    if (/ cni_plugins_firewall$/.test(table) || /^CNI-(FORWARD|ADMIN|ISOLATION)/.test(chain))
      return 'firewall';
    if (/ cni_plugins_masquerade$/.test(table)) return 'bridge';
    if (chain.startsWith('cni-br-iface-')) return 'bridge';
  }
  return undefined;
}
