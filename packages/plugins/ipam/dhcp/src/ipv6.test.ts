/** DHCPv6, with router advertisements where there are any, by the servers that people run. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Container } from '@cni-ts/testing/namespaces';
import { expect, test } from 'vitest';
import { type Call, count, isThere, Lab, type Running, until } from '../test/dhcp-lab.ts';

const flags = ['-timeout', '500ms', '-resendtimeout', '12s'];
const both = { ipv6: true, use: ['dns'] };

function serverPlace(lab: Lab): Container {
  const place = lab.serverPlace();
  place.sh('sysctl -qw net.ipv6.conf.srv0.accept_dad=0; ip addr add fd00:7::1/64 dev srv0 nodad');
  return place;
}

/** Of a lease of seconds, without router advertisements. */
async function kea(lab: Lab, place: Container, lifetime: number): Promise<Running> {
  const config = join(lab.folder, 'kea6.json');
  // It listens on the link-local address, and does not try again.
  await until(
    () => place.sh('ip -6 addr show dev srv0 tentative') === '',
    'the end of the duplicate address detection',
  );
  const dns = { name: 'dns-servers', data: 'fd00:7::53' };
  const content = {
    Dhcp6: {
      'data-directory': lab.folder,
      'interfaces-config': { interfaces: ['srv0'] },
      'lease-database': { type: 'memfile', persist: false },
      'preferred-lifetime': lifetime,
      'valid-lifetime': lifetime,
      subnet6: [
        {
          id: 1,
          subnet: 'fd00:7::/64',
          interface: 'srv0',
          pools: [{ pool: 'fd00:7::10-fd00:7::10' }],
          'option-data': [dns],
        },
      ],
      loggers: [
        { name: 'kea-dhcp6', severity: 'DEBUG', debuglevel: 50, output_options: [{ output: 'stdout' }] },
      ],
    },
  };
  writeFileSync(config, JSON.stringify(content));
  const env = { KEA_PIDFILE_DIR: lab.folder, KEA_LOCKFILE_DIR: 'none', KEA_DHCP_DATA_DIR: lab.folder };
  const running = lab.start('kea-dhcp6', ['-c', config], place, env);
  await until(() => running.log().includes('DHCP6_STARTED'), 'Kea', running.log);
  return running;
}

test.skipIf(!isThere('dnsmasq'))(
  'both families: IPv4 and IPv6 address, the prefix and the gateway by the router’s advertisement, DNS, and two releases',
  async () => {
    await using lab = new Lab();
    const server = await lab.dnsmasq(
      serverPlace(lab),
      '192.168.7.10,192.168.7.250,2m',
      '--enable-ra',
      '--dhcp-range=fd00:7::10,fd00:7::ff,64,2m',
      '--dhcp-option=option6:dns-server,[fd00:7::53]',
    );
    const daemon = await lab.daemon(flags);
    const container = lab.container();
    const { json } = await lab.succeed('ADD', container, { ipam: both });
    expect(json.ips).toEqual([
      { address: expect.stringMatching(/^192\.168\.7\.\d+\/24$/), gateway: '192.168.7.1' },
      {
        address: expect.stringMatching(/^fd00:7::[0-9a-f]+\/64$/),
        gateway: expect.stringMatching(/^fe80::/),
      },
    ]);
    expect(json.routes).toEqual([
      { dst: '0.0.0.0/0', gw: '192.168.7.1' },
      { dst: '::/0', gw: json.ips[1]?.gateway },
    ]);
    expect(json.dns).toMatchObject({ nameservers: expect.arrayContaining(['fd00:7::53']) });
    const given = { ipam: both, config: { prevResult: { cniVersion: '1.0.0', ips: json.ips } } };
    await lab.succeed('CHECK', container, given);
    // A daemon that is started again goes on with both.
    daemon.process.kill('SIGKILL');
    await daemon.ended;
    const second = await lab.daemon(flags);
    await until(() => count(second.log(), 'going on with the lease of') === 2, 'both leases', second.log);
    expect((await lab.succeed('ADD', container, { ipam: both })).json.ips).toEqual(json.ips);
    await lab.succeed('DEL', container, given);
    // Of the DHCPv6 client the DUID is told, which begins with its type.
    await until(() => server.log().includes('DHCPRELEASE(srv0) 00:04:'), 'a release', server.log);
    expect(server.log()).toContain('DHCPRELEASE(srv0) 192.168.7.');
  },
);

test.skipIf(!isThere('kea-dhcp6'))(
  'IPv6 alone, without a router: an address of /128 that is renewed, and free for another as soon as it was released',
  async () => {
    await using lab = new Lab();
    const server = await kea(lab, serverPlace(lab), 4);
    const daemon = await lab.daemon(flags);
    const [first, second] = [lab.container(), lab.container()];
    const ipam = { ipv4: false, ipv6: true, use: ['dns'] };
    const { json } = await lab.succeed('ADD', first, { ipam });
    expect(json.ips).toEqual([{ address: 'fd00:7::10/128' }]);
    expect(json.dns).toEqual({ nameservers: ['fd00:7::53'] });
    await until(
      () => count(daemon.log(), 'lease renewed') >= 2,
      'renewals',
      () => daemon.log() + server.log(),
    );
    await lab.succeed('DEL', first, { ipam });
    const again = await lab.succeed('ADD', second, { ipam });
    expect(again.json.ips).toEqual([{ address: 'fd00:7::10/128' }]);
  },
);

test.skipIf(!isThere('dnsmasq'))(
  'a Release that is lost is sent again by the host’s link, and that of a container that died is sent there, too',
  async () => {
    await using lab = new Lab();
    const place = serverPlace(lab);
    const server = await lab.dnsmasq(
      place,
      '192.168.7.10,192.168.7.250,2m',
      '--enable-ra',
      '--dhcp-range=fd00:7::10,fd00:7::ff,64,2m',
    );
    const daemon = await lab.daemon(flags);
    const given: Call = { ipam: { ipv4: false, ipv6: true }, config: { bridge: 'br0' } };
    const [first, second] = [lab.container(), lab.container()];
    await lab.add(first, given);
    await lab.add(second, given);
    place.sh(`nft 'add table ip6 t; add chain ip6 t in { type filter hook input priority 0; }
      add rule ip6 t in udp dport 547 counter drop'`);
    await lab.succeed('DEL', first, given);
    await until(() => /packets [1-9]/.test(place.sh('nft list table ip6 t')), 'a Release', daemon.log);
    first.remove();
    expect(server.log()).not.toContain('DHCPRELEASE');
    place.sh('nft delete table ip6 t');
    await until(() => server.log().includes('DHCPRELEASE(srv0) 00:04:'), 'a release', server.log);
    // One that nobody could give back.
    daemon.process.kill('SIGKILL');
    await daemon.ended;
    second.remove();
    await lab.daemon(flags);
    await until(() => count(server.log(), 'DHCPRELEASE(srv0) 00:04:') === 2, 'the other', server.log);
    expect(lab.kept).toEqual([]);
  },
);

test('no DHCPv6 server: ADD fails after its time, and the IPv4 lease is given back', async () => {
  await using lab = new Lab();
  const server = await lab.dnsmasq(serverPlace(lab));
  await lab.daemon(['-timeout', '300ms', '-resendtimeout', '3s']);
  const { json } = await lab.call('ADD', lab.container(), { ipam: both });
  expect(json.msg).toMatch(/^error calling DHCP\.Allocate: no more tries/);
  await until(() => server.log().includes('DHCPRELEASE'), 'a release', server.log);
  await until(() => lab.kept.length === 0, 'nothing kept');
  const neither = await lab.call('ADD', lab.container(), { ipam: { ipv4: false } });
  expect(neither.json).toMatchObject({ code: 7, msg: expect.stringContaining('ipam.ipv4') });
});
