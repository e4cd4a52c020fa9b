import { hostLocal } from '@cni-ts/host-local/host-local';
import type { Case } from '@cni-ts/testing/case';
import { conformance } from '@cni-ts/testing/conformance';
import type { Host } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { hostDevice } from './host-device.ts';

/** One device for all containers that come one after the other, and one for each of those that are there together. */
const deviceFor = (containerId: string) => (/^(c\d+|warmup)$/.test(containerId) ? 'd0' : `d-${containerId}`);

function mac(name: string): string {
  const hash = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 0xffff, 7);
  return `02:00:00:00:${[hash >> 8, hash & 0xff].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}

/** A veth plays the device: it is up, and its other end stays. */
function makeDevice(host: Host, name: string): void {
  if (host.succeeds(`ip link show ${name}`)) return;
  // The other end of one that is going with its namespace.
  host.succeeds(`ip link del p${name}`);
  host.sh(`ip link add ${name} address ${mac(name)} mtu 1400 type veth peer name p${name} address ${mac(`p${name}`)}
    ip link set ${name} txqueuelen 500 alias 'of ${name}'; ip link set p${name} up; ip link set ${name} up`);
}

const device: Case['device'] = {
  make: (host, containerId) => makeDevice(host, deviceFor(containerId)),
  lose: (host, containerId) => void host.succeeds(`ip link del ${deviceFor(containerId)}`),
};

const common = {
  device,
  runtime: (containerId: string) => ({ device: deviceFor(containerId) }),
} as const;

const withIpam: Case = {
  title: 'host-device with addresses of both families',
  ...common,
  plugins: [hostLocal],
  config: (host) => ({
    device: 'd0',
    dataDir: `${host.dir}/devices`,
    ipam: {
      type: 'host-local',
      dataDir: `${host.dir}/networks`,
      ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:1::/64' }]],
      routes: [{ dst: '10.8.0.0/16' }],
    },
  }),
  tamperings: {
    'link down': { by: (_, c) => void c.sh('ip link set eth0 down'), says: /^Interface eth0 is down/ },
    'address gone': {
      by: (_, c) => void c.sh('ip address del 10.1.2.2/24 dev eth0'),
      says: /Failed to match addr 10\.1\.2\.2\/24/,
    },
    'MAC changed': {
      by: (_, c) => void c.sh('ip link set eth0 address 02:00:00:00:00:99'),
      says: /^Interface eth0 Mac .* doesn't match container Mac: 02:00:00:00:00:99/,
    },
    'alias lost': { by: (_, c) => void c.sh("ip link set eth0 alias ''"), says: /^the alias of eth0 is ""/ },
    'link deleted': {
      by: (_, c) => void c.sh('ip link del eth0'),
      says: /^Container Interface name in prevResult: eth0 not found/,
      notHealed: 'a virtual device that was deleted is gone',
    },
  },
};

conformance(hostDevice, [
  withIpam,
  {
    title: 'host-device without IPAM',
    ...common,
    withoutAddress: true,
    config: (host) => ({ device: 'd0', dataDir: `${host.dir}/devices` }),
  },
]);

ownLinks(hostDevice, withIpam, { hostLinks: true });
