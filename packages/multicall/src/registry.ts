// Generated from the folders in packages/plugins by `npm run build`. Do not edit.
import { createRequire } from 'node:module';
import type { Plugin } from '@cni-ts/skeleton/plugin';

const require = createRequire(import.meta.url);

/** Every plugin by its name, loaded when called for: a program started as `bridge` evaluates bridge alone. */
export const registry: Readonly<Record<string, () => Plugin>> = {
  bandwidth: () => require('@cni-ts/bandwidth/bandwidth').bandwidth,
  bridge: () => require('@cni-ts/bridge/bridge').bridge,
  firewall: () => require('@cni-ts/firewall/firewall').firewall,
  'host-local': () => require('@cni-ts/host-local/host-local').hostLocal,
  loopback: () => require('@cni-ts/loopback/loopback').loopback,
  macvlan: () => require('@cni-ts/macvlan/macvlan').macvlan,
  portmap: () => require('@cni-ts/portmap/portmap').portmap,
  ptp: () => require('@cni-ts/ptp/ptp').ptp,
  static: () => require('@cni-ts/static/static').staticPlugin,
  tuning: () => require('@cni-ts/tuning/tuning').tuning,
};
