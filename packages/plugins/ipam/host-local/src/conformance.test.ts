import { ipamConformance } from '@cni-ts/testing/ipam-conformance';
import type { Host } from '@cni-ts/testing/namespaces';
import { hostLocal, hostLocalWith } from './host-local.ts';

const ranges = ({ dir }: Host, ...subnets: string[]) => ({
  ipam: { type: 'host-local', dataDir: `${dir}/networks`, ranges: subnets.map((subnet) => [{ subnet }]) },
});
const reservation = ({ dir }: Host, ip: string) => `${dir}/networks/conformance/${ip}`;

ipamConformance(hostLocal, [
  {
    title: 'host-local: dual stack',
    config: (host) => ranges(host, '10.1.2.0/24', '2001:db8::/64'),
    other: (host) => ranges(host, '10.9.0.0/24'),
    tamperings: {
      'every reservation is gone': {
        by: (host) => host.sh(`rm ${host.dir}/networks/conformance/[0-9]*`),
        says: /^host-local: Failed to find address added by container c1$/,
      },
      'one of two reservations is gone': {
        by: (host) => host.sh(`rm ${reservation(host, '2001:db8::2')}`),
        says: /2001:db8::2 is reserved for nobody/,
      },
      'a reservation went to another container': {
        by: (host) => host.sh(`printf 'c9\\r\\neth0' >${reservation(host, '10.1.2.2')}`),
        says: /10\.1\.2\.2 is held by container c9, interface eth0/,
        notHealed: 'the other container may live and use it',
      },
    },
  },
]);

ipamConformance(hostLocalWith(undefined), [
  {
    title: 'host-local without an index',
    config: (host) => ranges(host, '10.1.2.0/24'),
    other: (host) => ({ ipam: { type: 'host-local', dataDir: `${host.dir}/networks` } }),
  },
]);
