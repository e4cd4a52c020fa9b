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

export const ipamPlugins: readonly string[] = ['host-local', 'static', 'dhcp'];

/** Those of containernetworking, which are ours as well. */
export const referencePlugins: readonly string[] = [
  ...interfacePlugins,
  ...chainedPlugins,
  ...ipamPlugins,
  'loopback',
];

/** For names that are near. */
export const wellKnown: readonly string[] = [
  ...referencePlugins,
  'flannel',
  'calico',
  'calico-ipam',
  'cilium-cni',
  'multus',
  'whereabouts',
];
