/** With the servers that people run: a lease of seconds is renewed, and each DEL is heard as a RELEASE. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Container } from '@cni-ts/testing/namespaces';
import { expect, test } from 'vitest';
import { count, isThere, Lab, type Running, until } from '../test/dhcp-lab.ts';

const servers = {
  /** Its shortest lease is two minutes. */
  dnsmasq: {
    program: 'dnsmasq',
    renews: false,
    start: (lab: Lab, place: Container): Promise<Running> =>
      lab.dnsmasq(place, '192.168.7.10,192.168.7.10,2m'),
  },
  kea: {
    program: 'kea-dhcp4',
    renews: true,
    async start(lab: Lab, place: Container): Promise<Running> {
      const config = join(lab.folder, 'kea4.json');
      const pool = '192.168.7.10-192.168.7.10';
      const router = { name: 'routers', data: '192.168.7.1' };
      const output = { output: 'stdout' };
      const content = {
        Dhcp4: {
          'interfaces-config': { interfaces: ['srv0'] },
          'lease-database': { type: 'memfile', persist: false },
          'valid-lifetime': 4,
          subnet4: [{ id: 1, subnet: '192.168.7.0/24', pools: [{ pool }], 'option-data': [router] }],
          loggers: [{ name: 'kea-dhcp4', severity: 'DEBUG', debuglevel: 50, output_options: [output] }],
        },
      };
      writeFileSync(config, JSON.stringify(content));
      const env = { KEA_PIDFILE_DIR: lab.folder, KEA_LOCKFILE_DIR: 'none' };
      const running = lab.start('kea-dhcp4', ['-c', config], place, env);
      await until(() => running.log().includes('DHCP4_STARTED'), 'Kea', running.log);
      return running;
    },
  },
  udhcpd: {
    program: 'busybox',
    renews: true,
    async start(lab: Lab, place: Container): Promise<Running> {
      const [config, leases] = [join(lab.folder, 'udhcpd.conf'), join(lab.folder, 'udhcpd.leases')];
      writeFileSync(leases, '');
      writeFileSync(
        config,
        `start 192.168.7.10\nend 192.168.7.10\ninterface srv0\nmin_lease 1\nlease_file ${leases}\npidfile ${lab.folder}/udhcpd.pid\noption subnet 255.255.255.0\noption router 192.168.7.1\noption lease 4\n`,
      );
      // It asks by ARP before it offers, for two seconds unless told.
      const running = lab.start('busybox', ['udhcpd', '-f', '-a', '300', config], place);
      await until(() => running.log().includes('started'), 'udhcpd', running.log);
      return running;
    },
  },
};

for (const [name, server] of Object.entries(servers)) {
  test.skipIf(!isThere(server.program))(
    `${name}: its one address is given, kept by renewal, and free for another as soon as it was released`,
    async () => {
      await using lab = new Lab();
      const running = await server.start(lab, lab.serverPlace());
      const daemon = await lab.daemon(['-timeout', '500ms', '-resendtimeout', '4s']);
      const [first, second] = [lab.container(), lab.container()];
      const address = '192.168.7.10/24';
      expect(await lab.add(first)).toBe(address);
      first.sh(`ip addr add ${address} dev eth0`);
      if (server.renews) {
        await until(
          () => count(daemon.log(), 'lease renewed') >= 2,
          'renewals',
          () => daemon.log() + running.log(),
        );
        await pause(500);
      }
      const taken = await lab.call('ADD', second);
      expect(taken.status, taken.stdout).toBe(1);
      await lab.succeed('DEL', first);
      first.sh(`ip addr del ${address} dev eth0`);
      expect(await lab.add(second)).toBe(address);
      await lab.succeed('DEL', second);
    },
  );
}
