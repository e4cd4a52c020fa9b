import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { longestFirst } from './tools/workspace/src/longest-first.ts';
import { kernel } from './vitest.config.ts';

/** The longest, and those that mostly wait: for leases to end, for answers that do not come. */
const first = [
  'main/bridge/src/bridge',
  'ipam/dhcp/src/renewal',
  'ipam/dhcp/src/servers',
  'ipam/dhcp/src/survival',
  'ipam/dhcp/src/ipv6',
  'meta/firewall/src/traffic',
  'main/ptp/src/ptp',
  'main/host-device/src/host-device',
  'main/macvlan/src/macvlan',
  'meta/bandwidth/src/bandwidth',
  'meta/firewall/src/firewall',
  'ipam/dhcp/src/many',
  'main/tap/src/tap',
  'ipam/dhcp/src/probe',
  'meta/portmap/src/portmap',
  'meta/bandwidth/src/traffic',
];

/** The tests of the plugins once more, calling the executables of dist/bin instead of the sources. */
export default defineConfig({
  test: {
    ...kernel,
    // Two thirds of each file's time are waiting, and by then little else runs.
    maxWorkers: 6,
    sequence: {
      sequencer: longestFirst(
        import.meta.dirname,
        first.map((file) => `packages/plugins/${file}.test.ts`),
      ),
    },
    include: ['packages/plugins/**/*.test.ts'],
    env: { CNI_TS_EXECUTABLES: join(import.meta.dirname, 'dist/bin') },
    // These listen to what is written to the kernel, or let it fail, or give the plugin another allowlist.
    exclude: [...kernel.exclude, '**/iptables-native.test.ts', '**/busy-host.test.ts'],
    testNamePattern:
      /^(?!.*(?:and a failure later puts it back|a failed second ADD leaves|an undo of what never happened|\(tuning (?:25|37)\))).*$/,
  },
});
