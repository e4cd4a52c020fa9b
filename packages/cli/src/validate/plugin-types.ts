/** What is known of plugins by their names, whoever made them. */

/** They make the container's interface. */
export const interfacePlugins: readonly string[] = [
  'bridge',
  'ptp',
  'macvlan',
  'ipvlan',
  'vlan',
  'host-device',
  'tap',
  'dummy',
];

/** They stand on a link of the node, which `master` names. */
export const upperPlugins: readonly string[] = ['macvlan', 'ipvlan', 'vlan'];

/** They work on what those before them made. */
export const chainedPlugins: readonly string[] = ['portmap', 'firewall', 'bandwidth', 'tuning', 'sbr', 'vrf'];

const referenceIpam: readonly string[] = ['host-local', 'static', 'dhcp'];

/** Addresses of a cluster; the second name is that of the plugin whose configuration it takes. */
export const clusterIpam: readonly string[] = ['cluster-pool', 'whereabouts'];

export const ipamPlugins: readonly string[] = [...referenceIpam, ...clusterIpam];

/** Those of containernetworking, which are ours as well. */
export const referencePlugins: readonly string[] = [
  ...interfacePlugins,
  ...chainedPlugins,
  ...referenceIpam,
  'loopback',
];

/** All names that ours go by. */
export const ourPlugins: readonly string[] = [...referencePlugins, ...clusterIpam];

/** For names that are near. */
export const wellKnown: readonly string[] = [
  ...ourPlugins,
  'flannel',
  'calico',
  'calico-ipam',
  'cilium-cni',
  'multus',
];
