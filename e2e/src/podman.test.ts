/**
 * podman on our plugins: the chains it writes itself, its own way of calling them (ADD on start, DEL on stop and from
 * its cleanup process, both again on restart and reload), and traffic. Afterwards nothing may be left.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EngineRoom, whyNot } from './engine-room.ts';

const reason = await whyNot();
let room: EngineRoom;

/** Where a question is asked. */
const host = (command: string) => command;
const outside = (command: string) => `ip netns exec outside ${command}`;
const within = (name: string) => (command: string) => `${room.podman} exec ${name} ${command}`;

/** Asks a server until it answers, for `seconds` at most; '' when it never does. */
function ask(from: typeof host, protocol: 'tcp' | 'udp', address: string, port: number, seconds = 5): string {
  const once = `exec 3<>/dev/${protocol}/${address}/${port} && echo hello >&3 && timeout 1 head -n1 <&3`;
  const repeated = `while [ $SECONDS -lt ${seconds} ]; do a=$( (${once}) 2>/dev/null) && [ -n "$a" ] && break; sleep 0.05; done; echo $a`;
  return room.try(from(`bash -c '${repeated}'`)).stdout.trim();
}

/** What an attachment must not leave: veths, reservations, cached results, and rules that name it. */
function left(): object {
  return {
    links: room.sh("ip -o link show type veth | grep -v ' up0@' || true"),
    reservations: files("/var/lib/cni/networks ! -name lock ! -name 'last_reserved*'"),
    results: files('/var/lib/cni/results /var/lib/cni/cache'),
    rules: ownRules(),
  };
}

const nothing = { links: '', reservations: '', results: '', rules: [] };

const files = (where: string) => room.sh(`find ${where} -type f 2>/dev/null || true`);

/** Tables of iptables are asked for by its own words: nft has two spellings for some of its rules, by who wrote them. */
const listing = `iptables-save; ip6tables-save
  nft list tables | sed 's/^table //' | grep -vE '^ip6? (nat|filter|mangle|raw)$' | while read -r table; do
    nft list table $table
  done`;

/** All rules without counters, in an order of their own. */
function rules(): string[] {
  return room
    .sh(listing)
    .split('\n')
    .map((line) => line.replace(/packets \d+ bytes \d+|\[\d+:\d+\]|^#.*/g, '').trim())
    .sort();
}

/** The rules that name a container, its port, or an address of its networks. */
function ownRules(): string[] {
  return rules().filter((line) => /\b10\.(77|78|88|89)\.|\bfd00:|\b180\d\d\b|[0-9a-f]{64}/.test(line));
}

describe.skipIf(reason)(
  `podman on our plugins${reason ? `, which does not run here: ${reason}` : ''}`,
  () => {
    beforeAll(async () => {
      room = new EngineRoom();
      await room.open();
      room.sh(`${room.podman} network create --subnet 10.77.0.0/24 -o mtu=1400 web
      ${room.podman} network create --ipv6 --subnet 10.89.0.0/24 --subnet fd00:89::/64 dual`);
    });
    afterAll(() => room?.close());

    afterEach(() => {
      room.sh(`${room.podman} rm -f -a -t 0`);
      expect(left()).toEqual(nothing);
    });

    test('a container of the default network has the address podman tells of, and a way out', () => {
      room.container('a', '');
      const attached = room.inspect('a').NetworkSettings.Networks.podman;
      expect(attached).toMatchObject({ IPPrefixLen: 16, Gateway: '10.88.0.1' });
      expect(attached?.IPAddress).toMatch(/^10\.88\.0\.\d+$/);
      const address = room.sh(within('a')('ip -o -4 address show eth0'));
      expect(address).toContain(` ${attached?.IPAddress}/16 brd 10.88.255.255 scope global eth0`);
      expect(room.sh(within('a')('ip link show eth0'))).toContain(attached?.MacAddress);
      expect(room.sh(within('a')('ip route show default')).trim()).toBe('default via 10.88.0.1 dev eth0');
      expect(room.sh('cat /var/lib/cni/networks/podman/10.88.0.*')).toMatch(/^[0-9a-f]{64}\r\neth0$/);
    });

    test('published ports answer by TCP and UDP: to the host itself, at its addresses, and to others', () => {
      room.container('a', '--network web -p 18080:80 -p 18053:53/udp');
      for (const address of ['127.0.0.1', '192.0.2.1', '10.77.0.1']) {
        expect(ask(host, 'tcp', address, 18080), address).toMatch(/^tcp a /);
        expect(ask(host, 'udp', address, 18053), address).toMatch(/^udp a /);
      }
      // Who comes from elsewhere is seen under the own address.
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      expect(ask(outside, 'udp', '192.0.2.1', 18053)).toBe('udp a 192.0.2.2');
      expect(ask(within('a'), 'tcp', '10.77.0.1', 18080), 'through the host to itself').toMatch(/^tcp a /);
      expect(room.sh(within('a')('cat /sys/class/net/eth0/mtu')).trim()).toBe('1400');
      room.sh(`${room.podman} stop -t 0 a`);
      expect(ask(outside, 'tcp', '192.0.2.1', 18080, 1)).toBe('');
      expect(left()).toEqual(nothing);
    });

    test('a port of one address of the host answers at no other', () => {
      room.container('a', '--network web -p 192.0.2.1:18080:80');
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      expect(ask(host, 'tcp', '10.77.0.1', 18080, 1)).toBe('');
    });

    test('containers reach each other as they are, and others under the address of the host', () => {
      room.container('a', '--network web --ip 10.77.0.50');
      room.container('b', '--network web --ip 10.77.0.51');
      expect(ask(within('b'), 'tcp', '10.77.0.50', 80)).toBe('tcp a 10.77.0.51');
      const listening = `ip netns exec outside ${process.execPath} ${room.dir}/root/server.mjs`;
      room.sh(`${listening} </dev/null >/dev/null 2>&1 & echo $! >/run/server.pid`);
      expect(ask(within('a'), 'tcp', '192.0.2.2', 80)).toMatch(/^tcp \S+ 192\.0\.2\.1$/);
      room.sh('kill $(cat /run/server.pid)');
    });

    test('both families: addresses, gateways, published ports', () => {
      room.container('a', '--network dual -p 18080:80 -p 18053:53/udp');
      const attached = room.inspect('a').NetworkSettings.Networks.dual;
      expect(attached).toMatchObject({ Gateway: '10.89.0.1', IPv6Gateway: 'fd00:89::1' });
      expect(attached?.GlobalIPv6Address).toMatch(/^fd00:89::[0-9a-f]+$/);
      expect(room.sh(within('a')('ip -6 route show default'))).toMatch(/^default via fd00:89::1 dev eth0/);
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      expect(ask(outside, 'tcp', '2001:db8::1', 18080)).toBe('tcp a 2001:db8::2');
      expect(ask(outside, 'udp', '2001:db8::1', 18053)).toBe('udp a 2001:db8::2');
      room.container('b', '--network dual');
      expect(ask(within('b'), 'tcp', attached?.GlobalIPv6Address ?? '', 80)).toMatch(/^tcp a fd00:89::/);
    });

    test('a container of two networks has a link in each, and may leave and join while it runs', () => {
      room.container('a', '--network web --network dual -p 18080:80');
      const addresses = () => room.sh(within('a')('ip -o address show scope global'));
      expect(addresses()).toMatch(/10\.77\.0\./);
      expect(addresses()).toMatch(/10\.89\.0\..*fd00:89::/s);
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      room.sh(`${room.podman} network disconnect dual a`);
      expect(addresses()).not.toMatch(/10\.89\.0\.|fd00:89::/);
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      room.sh(`${room.podman} network connect podman a`);
      expect(addresses()).toMatch(/10\.88\.0\./);
    });

    test('names and servers of the network are in resolv.conf', () => {
      const dns = {
        nameservers: ['10.78.0.53'],
        domain: 'example.net',
        search: ['example.org'],
        options: ['ndots:3'],
      };
      const ipam = {
        type: 'host-local',
        ranges: [[{ subnet: '10.78.0.0/24' }]],
        routes: [{ dst: '0.0.0.0/0' }],
      };
      const bridge = { type: 'bridge', bridge: 'named0', isGateway: true, ipMasq: true, dns, ipam };
      const list = {
        cniVersion: '1.0.0',
        name: 'named',
        plugins: [bridge, { type: 'firewall' }, { type: 'tuning' }],
      };
      writeFileSync(join(room.networks, 'named.conflist'), JSON.stringify(list));
      const resolv = room.sh(room.run('--rm --network named', '/usr/bin/cat /etc/resolv.conf'));
      expect(resolv).toMatch(/^search example\.org$/m);
      expect(resolv).toMatch(/^nameserver 10\.78\.0\.53$/m);
    });

    test('an address and a MAC are given as asked for, and a taken one is refused by its holder’s name', () => {
      const id = room.container('a', '--network web --ip 10.77.0.60 --mac-address 02:00:00:00:00:60');
      expect(room.inspect('a').NetworkSettings.Networks.web).toMatchObject({
        IPAddress: '10.77.0.60',
        MacAddress: '02:00:00:00:00:60',
      });
      const refused = room.try(room.run('--rm --network web --ip 10.77.0.60', '/usr/bin/true'));
      expect(refused.status).not.toBe(0);
      expect(refused.stderr).toContain('10.77.0.60');
      expect(refused.stderr).toContain(id.slice(0, 12));
    });

    test('an internal network has neighbours and no way out', () => {
      room.sh(`${room.podman} network create --internal --subnet 10.89.7.0/24 inner`);
      room.container('a', '--network inner --ip 10.89.7.50');
      room.container('b', '--network inner');
      expect(ask(within('b'), 'tcp', '10.89.7.50', 80)).toMatch(/^tcp a 10\.89\.7\./);
      expect(room.sh(within('b')('ip route show default'))).toBe('');
    });

    test('a macvlan network is on the wire of its parent', () => {
      room.sh(`${room.podman} network create -d macvlan -o parent=up0 --subnet 192.0.2.0/24 wire`);
      room.container('a', '--network wire --ip 192.0.2.70');
      expect(ask(outside, 'tcp', '192.0.2.70', 80)).toBe('tcp a 192.0.2.2');
    });

    test('restarted, it answers as before, and no rule is there twice', () => {
      room.container('a', '--network web --ip 10.77.0.50 -p 18080:80 -p 18053:53/udp');
      expect(ask(outside, 'udp', '192.0.2.1', 18053)).toBe('udp a 192.0.2.2');
      const before = rules();
      for (let round = 0; round < 2; round++) {
        room.sh(`${room.podman} restart -t 0 a`);
        expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
        expect(ask(outside, 'udp', '192.0.2.1', 18053)).toBe('udp a 192.0.2.2');
      }
      expect(rules()).toEqual(before);
    });

    test('rules that somebody flushed are back after a reload', () => {
      room.container('a', '--network web -p 18080:80');
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      const before = ownRules();
      room.sh('nft flush ruleset; iptables-legacy -t nat -F; iptables-legacy -F');
      expect(ask(outside, 'tcp', '192.0.2.1', 18080, 1)).toBe('');
      room.sh(`${room.podman} network reload a`);
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      expect(ownRules()).toEqual(before);
    });

    test('a network of nftables serves the same, and leaves iptables alone', () => {
      const ipam = {
        type: 'host-local',
        ranges: [[{ subnet: '10.78.7.0/24' }]],
        routes: [{ dst: '0.0.0.0/0' }],
      };
      const plugins = [
        { type: 'bridge', bridge: 'nft0', isGateway: true, ipMasq: true, ipMasqBackend: 'nftables', ipam },
        { type: 'portmap', backend: 'nftables', capabilities: { portMappings: true } },
        { type: 'firewall', backend: 'nftables' },
        { type: 'tuning' },
      ];
      const list = JSON.stringify({ cniVersion: '1.0.0', name: 'nft', plugins });
      writeFileSync(join(room.networks, 'nft.conflist'), list);
      const before = room.sh('iptables-save; ip6tables-save').replace(/\[\d+:\d+\]|^#.*/gm, '');
      room.container('a', '--network nft -p 18080:80 -p 18053:53/udp');
      for (const address of ['127.0.0.1', '192.0.2.1']) {
        expect(ask(host, 'tcp', address, 18080), address).toMatch(/^tcp a /);
        expect(ask(host, 'udp', address, 18053), address).toMatch(/^udp a /);
      }
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toBe('tcp a 192.0.2.2');
      expect(room.sh('iptables-save; ip6tables-save').replace(/\[\d+:\d+\]|^#.*/gm, '')).toBe(before);
      room.sh(`${room.podman} restart -t 0 a`);
      expect(ask(outside, 'udp', '192.0.2.1', 18053)).toBe('udp a 192.0.2.2');
    });

    test('who never stops sending is heard by the next container of the port', () => {
      room.container('a', '--network web -p 18053:53/udp');
      expect(ask(outside, 'udp', '192.0.2.1', 18053)).toBe('udp a 192.0.2.2');
      // One socket, hence one entry of connection tracking, which every packet keeps alive.
      const lines =
        'while sleep 0.05; do echo hello >&3 || true; done & while sleep 0.05; do cat <&3 || true; done';
      const sender = `exec 3<>/dev/udp/192.0.2.1/18053; ${lines}`;
      room.sh(
        `ip netns exec outside timeout 15 bash -c '${sender}' >/run/heard 2>/dev/null & echo $! >/run/sender.pid`,
      );
      const heard = (name: string) =>
        room.try(`timeout 6 grep -q -m1 "udp ${name} " <(tail -f -n +1 /run/heard)`).status;
      expect(heard('a')).toBe(0);
      room.sh(`${room.podman} rm -f -t 0 a`);
      room.container('b', '--network web -p 18053:53/udp');
      expect(heard('b')).toBe(0);
      room.sh('kill $(cat /run/sender.pid)');
    });

    test('a container that is killed is cleaned up after, and its port is free for the next', async () => {
      room.container('a', '--network web -p 18080:80');
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toMatch(/^tcp a /);
      room.sh(`${room.podman} kill a`);
      await expect.poll(left, { timeout: 10_000 }).toEqual(nothing);
      room.container('b', '--network web -p 18080:80');
      expect(ask(outside, 'tcp', '192.0.2.1', 18080)).toMatch(/^tcp b /);
    });

    test('networks that podman removes take their bridges along', () => {
      room.sh(`${room.podman} network create gone`);
      room.sh(room.run('--rm --network gone', '/usr/bin/true'));
      const bridges = room.sh('ip -o link show type bridge');
      room.sh(`${room.podman} network rm gone`);
      expect(room.sh('ip -o link show type bridge').split('\n').length).toBe(bridges.split('\n').length - 1);
      expect(existsSync(join(room.networks, 'gone.conflist'))).toBe(false);
      expect(readdirSync(room.networks)).toContain('web.conflist');
    });
  },
);
