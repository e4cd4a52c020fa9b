import { call, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, test } from '@cni-ts/testing/namespaces';
import { expect } from 'vitest';
import { __plugin__ } from './__name__.ts';

/** The container's interface as a plugin before this one makes it, and that plugin's result. */
function makeLink(container: Container) {
  container.sh('ip link add eth0 type bridge; ip address add 10.9.0.2/24 dev eth0; ip link set eth0 up');
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', sandbox: container.path }],
    ips: [{ address: '10.9.0.2/24', interface: 0 }],
  };
}

conformance(__plugin__, [
  {
    title: '__name__',
    before: (_, container) => makeLink(container),
    config: () => ({ port: 25 }),
    // Each must be found by CHECK and healed by REPAIR.
    tamperings: {
      'the rules are gone': { by: (host) => host.sh('nft flush ruleset'), says: /10\.9\.0\.2 .*is missing/ },
    },
  },
]);

const config = { cniVersion: '1.1.0', name: 'net1', type: '__name__', port: 25 };

test('there is a rule for each address of the container (__name__ 3)', async ({ host, container }) => {
  await succeed(__plugin__, 'ADD', { config, container, prevResult: makeLink(container) });
  expect(host.sh('nft list ruleset')).toMatch(/ip daddr 10\.9\.0\.2 tcp dport 25 accept/);
});

test('without a plugin before it there is nothing to change (__name__ 4)', async ({ container }) => {
  const { error } = await call(__plugin__, 'ADD', { config, container });
  expect(error?.msg).toMatch(/must be called as chained plugin/);
});
