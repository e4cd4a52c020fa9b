/** `cnitool trace`: a fault is planted, and the hop is named where it is. Real kernel, in namespaces of the test's own. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeCacheEntry } from '@cni-ts/testing/cache-entry';
import { type Container, type Host, test as kernelTest } from '@cni-ts/testing/namespaces';
import { describe, expect } from 'vitest';
import * as z from 'zod/mini';
import { runCnitool } from '../../test/run-cnitool.ts';
import { traceSchema } from '../report-schemas.ts';

const result = {
  cniVersion: '1.0.0',
  ips: [{ address: '10.22.0.5/16', gateway: '10.22.0.1' }],
};

interface World {
  readonly host: Host;
  readonly container: Container;
  readonly outside: Container;
  trace(...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
  /** What the runtime remembers of one more container. */
  remember(id: string, netns: string, address: string): void;
}

/** A bridge with one container, an uplink, and beyond it a machine that knows only the host. */
const test = kernelTest.extend<{ world: World }>({
  async world({ host }, use) {
    const [container, outside] = [host.container('c1'), host.container('outside')];
    host.sh(`ip link set lo up
      ip link add cni0 type bridge; ip address add 10.22.0.1/16 dev cni0; ip link set cni0 up
      ip link add veth1 type veth peer name eth0 netns ${container.path}
      ip link set veth1 master cni0 up
      ip link add uplink type veth peer name eth0 netns ${outside.path}
      ip address add 192.0.2.1/24 dev uplink; ip link set uplink up
      echo 1 >/proc/sys/net/ipv4/ip_forward
      nft 'table ip nat { chain POSTROUTING { type nat hook postrouting priority 100; ip saddr 10.22.0.0/16 oifname != "cni0" masquerade; }; }'`);
    container.sh(
      'ip address add 10.22.0.5/16 dev eth0; ip link set eth0 up; ip route add default via 10.22.0.1',
    );
    outside.sh('ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link set lo up');
    const cache = join(host.dir, 'cache');
    const env = { ...process.env, CNI_CACHE_DIR: cache, CNI_PATH: host.bin };
    const world: World = {
      host,
      container,
      outside,
      async trace(...argv) {
        return runCnitool(['trace', ...argv], {
          env,
        });
      },
      remember(id, netns, address) {
        const config = { cniVersion: '1.0.0', name: 'web', plugins: [{ type: 'bridge', ipMasq: true }] };
        const entry = { network: 'web', containerId: id, netns, config: JSON.stringify(config) };
        writeCacheEntry(cache, entry, { result: { ...result, ips: [{ address }] } });
      },
    };
    world.remember('c1', container.path, '10.22.0.5/16');
    await use(world);
  },
});

const to = ['--to', '192.0.2.2:80'];

/** The last line that is about a hop. */
function fault(stdout: string): string | undefined {
  return stdout.split('\n').find((line) => line.startsWith('✗'));
}

describe('trace', () => {
  test('of a good way has a tick at each hop, and a packet that is sent agrees', async ({ world }) => {
    const { status, stdout, stderr } = await world.trace('c1', ...to, '--probe');
    expect(stderr).toBe('');
    expect(stdout.split('\n').filter((line) => /^[✗!]/.test(line))).toEqual([]);
    expect(status).toBe(0);
    expect(stdout).toContain('the packet gets through');
    for (const text of [
      'eth0 is up, 10.22.0.5/16, its other end is veth1',
      'veth1 is up, a port of cni0',
      'route to 192.0.2.2 via 10.22.0.1',
      'the host forwards IPv4',
      'route to 192.0.2.2 dev uplink',
      'FORWARD lets it through',
      '10.22.0.5 is masqueraded, by rule 1 of ip nat POSTROUTING',
      'the answer may come back',
      'it was reached, and nobody listens at that port',
    ]) {
      expect(stdout).toContain(text);
    }
    expect((await world.trace('c1', '--to', '192.0.2.2', '--probe')).stdout).toContain('the echo came back');
    expect((await world.trace('c1', '--to', '192.0.2.2:53/udp', '--probe')).status).toBe(0);
  });

  const faults: Record<string, { readonly plant: (world: World) => void; readonly says: RegExp }> = {
    'FORWARD policy DROP, as Docker sets it': {
      plant: ({ host }) => host.sh('iptables-nft -P FORWARD DROP'),
      says: /^✗ host +CNI3021 FORWARD policy DROP, nothing accepts 10\.22\.0\.0\/16$/,
    },
    "a firewall's own chain with policy drop": {
      plant: ({ host }) =>
        host.sh(`nft 'table inet fw { chain forw { type filter hook forward priority 0; policy drop;
          iifname "docker0" accept; }; }'`),
      says: /^✗ host +CNI3021 inet fw forw policy DROP, nothing accepts 10\.22\.0\.0\/16$/,
    },
    'FORWARD that lets packets out and no answer in': {
      plant: ({ host }) =>
        host.sh('iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -s 10.22.0.0/16 -j ACCEPT'),
      says: /^✗ back +CNI3021 FORWARD policy DROP, nothing accepts the answer to 10\.22\.0\.0\/16$/,
    },
    'a rule that drops': {
      plant: ({ host }) =>
        host.sh(`iptables-nft -A FORWARD -i other+ -j ACCEPT
          iptables-nft -A FORWARD -p tcp --dport 80 -m comment --comment policy-7 -j DROP`),
      says: /^✗ host +CNI3022 rule 2 of ip filter FORWARD \("policy-7"\) drops it$/,
    },
    'a host that does not forward': {
      plant: ({ host }) => host.sh('echo 0 >/proc/sys/net/ipv4/ip_forward'),
      says: /^✗ host +CNI3028 the host does not forward: net\.ipv4\.ip_forward is 0$/,
    },
    'a container without a route': {
      plant: ({ container }) => container.sh('ip route del default'),
      says: /^✗ container +CNI3023 the container has no route to 192\.0\.2\.2$/,
    },
    'a container whose link is down': {
      plant: ({ container }) => container.sh('ip link set eth0 down'),
      says: /^✗ container +CNI3024 link eth0 is down in the container$/,
    },
    "a host's end that is down": {
      plant: ({ host }) => host.sh('ip link set veth1 down'),
      says: /^✗ host +CNI3024 link veth1 is down, and it is the other end of eth0$/,
    },
    'a bridge that is down': {
      plant: ({ host }) => host.sh('ip link set cni0 down'),
      says: /^✗ host +CNI3024 link cni0 is down, and veth1 is a port of it$/,
    },
    "a bridge without the gateway's address": {
      plant: ({ host }) =>
        host.sh('ip address add 10.22.0.2/16 dev cni0; ip address del 10.22.0.1/16 dev cni0'),
      says: /^✗ host +CNI3026 nobody has the gateway's address 10\.22\.0\.1 on cni0$/,
    },
    'a host without a route': {
      plant: ({ host }) => host.sh('ip route del 192.0.2.0/24'),
      says: /^✗ host +CNI3027 the host has no route to 192\.0\.2\.2$/,
    },
    'rp_filter that does not believe': {
      plant: ({ host }) =>
        host.sh(`ip link add other type veth peer name other2; ip link set other up; ip link set other2 up
          ip route add 10.22.0.5/32 dev other; echo 1 >/proc/sys/net/ipv4/conf/cni0/rp_filter`),
      says: /^✗ host +CNI3029 rp_filter of cni0 is 1: the route back to 10\.22\.0\.5 goes by other$/,
    },
    'no masquerading any more': {
      plant: ({ host }) => host.sh('nft flush ruleset'),
      says: /^✗ host +CNI3030 nothing masquerades 10\.22\.0\.5, and its network says ipMasq/,
    },
  };

  for (const [name, { plant, says }] of Object.entries(faults)) {
    test(`names the hop: ${name}`, async ({ world }) => {
      plant(world);
      const { status, stdout } = await world.trace('c1', ...to);
      expect(fault(stdout)).toMatch(says);
      expect(status).toBe(1);
      expect(stdout).toContain('cure: ');
      // What it says is so.
      expect((await world.trace('c1', ...to, '--probe')).stdout).toMatch(/^✗ probe +CNI3034 /m);
    });
  }

  test('what accepts the container, or its set, is found before the policy', async ({ world }) => {
    world.host.sh(`nft 'table inet fw {
      set ours { type ipv4_addr; flags interval; elements = { 10.22.0.0-10.22.255.255, 10.30.0.0/24 }; }
      map to { type ifname : verdict; elements = { "cni0" : goto fromours }; }
      chain fromours { ip saddr @ours tcp dport { 22, 80 } counter accept; }
      chain forw { type filter hook forward priority 0; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop };
        meta mark & 0xf0 == 0x10 drop; iifname vmap @to; }; }'`);
    expect(await world.trace('c1', ...to, '--probe')).toMatchObject({ status: 0 });
    const other = await world.trace('c1', '--to', '192.0.2.2:81', '--probe');
    expect(fault(other.stdout)).toContain('CNI3021 inet fw forw policy DROP');
    expect(other.stdout).toContain('CNI3034');
  });

  test('tables of iptables-legacy count beside the others', async ({ world }) => {
    const { host } = world;
    if (!host.succeeds('iptables-legacy -t filter -S && iptables-legacy -t nat -S')) return;
    host.sh('iptables-legacy -P FORWARD DROP');
    const dropped = await world.trace('c1', ...to, '--probe');
    expect(fault(dropped.stdout)).toMatch(
      /CNI3021 legacy ip filter FORWARD policy DROP, nothing accepts 10\.22\.0\.0\/16$/,
    );
    expect(dropped.stdout).toContain('iptables-legacy -I FORWARD -s 10.22.0.0/16 -j ACCEPT');
    expect(dropped.stdout).toContain('CNI3034');
    host.sh(`iptables-legacy -N ours; iptables-legacy -A ours -s 10.22.0.0/16 ! -o cni0 -j ACCEPT
      iptables-legacy -A ours -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment 'the answers' -j ACCEPT
      iptables-legacy -A FORWARD -p tcp -m multiport --dports 22,80:90 -j ours
      iptables-legacy -A FORWARD -p tcp -m tcp --sport 80 -j ours`);
    expect(await world.trace('c1', ...to, '--probe')).toMatchObject({ status: 0 });
    const udp = await world.trace('c1', '--to', '192.0.2.2:80/udp');
    expect(fault(udp.stdout)).toContain('CNI3021');
    host.sh(
      'iptables-legacy -P FORWARD ACCEPT; iptables-legacy -I FORWARD -i cni0 -m comment --comment mine -j DROP',
    );
    expect(fault((await world.trace('c1', ...to)).stdout)).toContain(
      'CNI3022 rule 1 of legacy ip filter FORWARD ("mine") drops it',
    );
    host.sh(`iptables-legacy -F; iptables-legacy -t nat -A PREROUTING -p tcp -m tcp --dport 8080 -m addrtype \
      --dst-type LOCAL -j DNAT --to-destination 10.22.0.5:80`);
    expect((await world.trace('c1', '--from', '192.0.2.2', '--to', '192.0.2.1:8080')).stdout).toContain(
      '192.0.2.1:8080 leads to 10.22.0.5:80, by rule 1 of legacy ip nat PREROUTING',
    );
  });

  test('a rule that asks what no table tells is said, and not taken for a yes', async ({ world }) => {
    world.host.sh(`iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -m limit --limit 5/s -j ACCEPT`);
    const { stdout } = await world.trace('c1', ...to);
    expect(stdout).toContain('rule 1 of ip filter FORWARD may decide otherwise');
  });

  test('an MTU that shrinks is told where it does', async ({ world }) => {
    world.host.sh('ip link set uplink mtu 1400');
    const { status, stdout } = await world.trace('c1', ...to);
    expect(stdout).toMatch(/^! host +CNI3033 MTU 1500 of eth0 in the container shrinks to 1400 at uplink$/m);
    expect(stdout).toContain('cure: give the network "mtu": 1400');
    expect(status).toBe(1);
  });

  test('a published port leads to the container; a stale rule ahead of it is named with its owner', async ({
    world,
  }) => {
    const { host } = world;
    const from = ['--from', '192.0.2.2', '--to', '192.0.2.1:8080'];
    const none = await world.trace('c1', ...from);
    expect(fault(none.stdout)).toContain('CNI3032 nothing leads 192.0.2.1:8080 to c1');
    host.sh('iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.22.0.5:80');
    const good = await world.trace('c1', ...from);
    expect(good.stdout).toContain(
      '192.0.2.1:8080 leads to 10.22.0.5:80, by rule 1 of ip nat PREROUTING; that is c1',
    );
    expect(good.status).toBe(0);
    world.remember('old', '/run/netns/gone-long-ago', '10.22.0.9/16');
    host.sh(`iptables-nft -t nat -I PREROUTING -p tcp --dport 8080 -m comment --comment 'id: "old"' \
      -j DNAT --to-destination 10.22.0.9:80`);
    const stale = await world.trace('c1', ...from);
    expect(fault(stale.stdout)).toMatch(
      /CNI3031 the port leads to 10\.22\.0\.9:80, of old, whose namespace \/run\/netns\/gone-long-ago is gone; rule 1 of ip nat PREROUTING/,
    );
    expect(stale.stdout).toContain('cnitool gc --stale');
    expect(stale.status).toBe(1);
  });

  test('a port of another container that lives is not called a leftover', async ({ world }) => {
    const { host, outside } = world;
    world.remember('other', outside.path, '10.22.0.9/16');
    host.sh('iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.22.0.9:80');
    const told = await world.trace('c1', '--from', '192.0.2.2', '--to', '192.0.2.1:8080');
    expect(fault(told.stdout)).toContain('CNI3031 the port leads to 10.22.0.9:80, of other');
    expect(told.stdout).toContain('cure: it lives and has published that port: give one of both another');
    expect(told.stdout).not.toContain('gc --stale');
  });

  test('of a container that nothing is remembered of is asked by its namespace', async ({ world }) => {
    rmSync(join(world.host.dir, 'cache'), { recursive: true });
    const { status, stdout } = await world.trace(world.container.path, ...to);
    expect([status, stdout]).toEqual([0, expect.stringContaining('the packet gets through')]);
    world.host.sh('nft flush ruleset');
    expect((await world.trace(world.container.path, ...to)).stdout).toContain(
      '10.22.0.5 is not masqueraded, it is not known whether it should be',
    );
  });

  test('--json prints what its schema says', async ({ world }) => {
    world.host.sh('iptables-nft -P FORWARD DROP');
    const { status, stdout } = await world.trace('c1', ...to, '--json');
    expect(status).toBe(1);
    const report = z.parse(traceSchema(), JSON.parse(stdout));
    expect(report).toMatchObject({ container: 'c1', ifname: 'eth0', to: '192.0.2.2:80', arrives: false });
    expect(report.hops.at(-1)).toMatchObject({ at: 'host', state: 'fault', code: 'CNI3021' });
  });

  test('ends with 2 where it is called wrongly, and with 3 where it cannot look', async ({ world }) => {
    for (const argv of [
      ['c1'],
      ['c1', '--to', 'example.org:80'],
      ['c1', '--to', '192.0.2.2:0'],
      ['c1', ...to, '--from', 'x'],
    ]) {
      expect(await world.trace(...argv), argv.join(' ')).toMatchObject({ status: 2, stdout: '' });
    }
    expect(await world.trace('nobody', ...to)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('nobody is no container that was attached here'),
    });
  });

  test('changes nothing', async ({ world }) => {
    const look = () => world.host.sh('nft -s list ruleset; ip -o address | cut -d" " -f1-8; ip route');
    // Links of the world that were just made come up, and get addresses, in their own time.
    let before = '';
    const isSettled = () => {
      const last = before;
      before = look();
      return before === last;
    };
    await expect.poll(isSettled, { interval: 500, timeout: 10_000 }).toBe(true);
    await world.trace('c1', ...to);
    expect(look()).toBe(before);
  });
});
