/** cluster-pool as every IPAM plugin: with an agent of the test that has a block of each family for the node. */
import { FakeClusterAgent } from '@cni-ts/testing/fake-cluster-agent';
import { ipamConformance } from '@cni-ts/testing/ipam-conformance';
import type { Host } from '@cni-ts/testing/namespaces';
import { afterAll } from 'vitest';
import { clusterPool } from './cluster-pool.ts';

/** One process for all: it keeps nothing but its files, and every host finds them as they are at first. */
const agent = new FakeClusterAgent();
let started: Promise<unknown> | undefined;
afterAll(() => agent.end());

const ipam = (host: Host, more: object) => ({
  ipam: {
    type: 'cluster-pool',
    dataDir: `${host.dir}/networks`,
    stateDir: agent.stateDir,
    agentSocket: agent.socket,
    ...more,
  },
});
const reservation = ({ dir }: Host, ip: string) => `${dir}/networks/conformance/${ip}`;

ipamConformance(clusterPool, [
  {
    title: 'cluster-pool: dual stack in a block of each family',
    whereStateIs: ['dataDir', 'stateDir', 'agentSocket'],
    async prepare() {
      started ??= agent.start();
      await started;
      agent.forget();
      agent.give('conformance', ['10.1.2.64/26', '2001:db8::40/122']);
    },
    config: (host) =>
      ipam(host, { range: '10.1.2.0/24', gateway: '10.1.2.1', ipRanges: [{ range: '2001:db8::/64' }] }),
    other: (host) => ipam(host, { range: '10.9.0.0/24' }),
    tamperings: {
      'every reservation is gone': {
        by: (host) => host.sh(`rm ${host.dir}/networks/conformance/[0-9]*`),
        says: /^cluster-pool: Failed to find address added by container c1$/,
      },
      'one of two reservations is gone': {
        by: (host) => host.sh(`rm ${reservation(host, '2001:db8::40')}`),
        says: /2001:db8::40 is reserved for nobody/,
      },
      'a reservation went to another container': {
        by: (host) => host.sh(`printf 'c9\\r\\neth0' >${reservation(host, '10.1.2.64')}`),
        says: /10\.1\.2\.64 is held by container c9, interface eth0/,
        notHealed: 'the other container may live and use it',
      },
      'the block was lost': {
        by: () => agent.give('conformance', [{ block: '10.1.2.64/26', state: 'lost' }, '2001:db8::40/122']),
        says: /10\.1\.2\.64 lies in 10\.1\.2\.64\/26, which is this node's no more/,
        notHealed: 'another node may have it',
      },
      'the block is another node’s': {
        by: () => agent.give('conformance', ['10.1.2.64/26']),
        says: /2001:db8::40 lies in no block of this node/,
        notHealed: 'another node may have it',
      },
    },
  },
]);
