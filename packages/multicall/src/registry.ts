// Generated from the folders in packages/plugins by `npm run build`. Do not edit.
import { bandwidth } from '@cni-ts/bandwidth/bandwidth';
import { bridge } from '@cni-ts/bridge/bridge';
import { clusterPool } from '@cni-ts/cluster-pool/cluster-pool';
import { dhcp } from '@cni-ts/dhcp/dhcp';
import { dummy } from '@cni-ts/dummy/dummy';
import { firewall } from '@cni-ts/firewall/firewall';
import { hostDevice } from '@cni-ts/host-device/host-device';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { ipvlan } from '@cni-ts/ipvlan/ipvlan';
import { loopback } from '@cni-ts/loopback/loopback';
import { macvlan } from '@cni-ts/macvlan/macvlan';
import { portmap } from '@cni-ts/portmap/portmap';
import { ptp } from '@cni-ts/ptp/ptp';
import { sbr } from '@cni-ts/sbr/sbr';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { staticPlugin } from '@cni-ts/static/static';
import { tap } from '@cni-ts/tap/tap';
import { tuning } from '@cni-ts/tuning/tuning';
import { vlan } from '@cni-ts/vlan/vlan';
import { vrf } from '@cni-ts/vrf/vrf';

/** Every plugin by its name. */
export const registry: Readonly<Record<string, Plugin>> = {
  bandwidth,
  bridge,
  'cluster-pool': clusterPool,
  dhcp,
  dummy,
  firewall,
  'host-device': hostDevice,
  'host-local': hostLocal,
  ipvlan,
  loopback,
  macvlan,
  portmap,
  ptp,
  sbr,
  static: staticPlugin,
  tap,
  tuning,
  vlan,
  vrf,
};

/** Names of other plugins, whose configuration one of ours reads. Nothing is installed under them unless it is asked for. */
export const otherNames: Readonly<Record<string, Plugin>> = {
  whereabouts: clusterPool,
};
