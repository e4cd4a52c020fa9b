import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Container, Host } from '@cni-ts/testing/namespaces';
import { test } from '@cni-ts/testing/namespaces';
import {
  backends,
  callsOf,
  connect,
  hostAddresses,
  makeWorld,
  mappings,
  Peer,
  type Short,
  worldAddresses,
} from '@cni-ts/testing/published-ports';
import fc from 'fast-check';
import { afterEach, describe, expect, onTestFinished } from 'vitest';
import { portmap } from './portmap.ts';

const peers: Peer[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.stop();
});

async function start(name: string, place: Host | Container, ...ports: number[]): Promise<Peer> {
  const peer = await Peer.start(name, place, ports);
  peers.push(peer);
  return peer;
}

const host4 = hostAddresses[4][0]!;
const host6 = hostAddresses[6][0]!;

describe.for(backends)('by %s', (backend) => {
  const own = (...all: Short[]) => ({ backend, ...mappings(...all) });

  test('a published port is reached from everywhere, and nothing else is (portmap 32)', async ({
    host,
    container,
  }) => {
    const prevResult = connect(host, container);
    const [world, here, inside] = await Promise.all([
      start('world', makeWorld(host), 8080, 8082),
      start('host', host, 8080, 8081, 8082),
      start('c1', container, 80, 81, 8080),
    ]);
    const { ok } = callsOf(portmap, container, prevResult);
    await ok(
      'ADD',
      own([8080, 80], [8080, 80, 'udp'], [8081, 81, 'tcp', host4], [8082, 81, 'tcp', worldAddresses[4]]),
    );
    for (const protocol of ['tcp', 'udp'] as const) {
      const at = (address: string, port = 8080) => ({ protocol, address, port });
      const [far4, far6] = await world.ask(at(host4), at(host6));
      expect(far4).toEqual({ name: 'c1:80', client: worldAddresses[4] });
      expect(far6).toEqual({ name: 'c1:80', client: worldAddresses[6] });
      const names = async (peer: Peer, ...all: string[]) =>
        (await peer.ask(...all.map((address) => at(address)))).map((one) => one?.name);
      expect(await names(here, '127.0.0.1', host4, host6)).toEqual(['c1:80', 'c1:80', 'c1:80']);
      expect(await names(inside, '10.254.0.1', host4, host6)).toEqual(['c1:80', 'c1:80', 'c1:80']);
      // The container's and the world's own ports of that number, and localhost of IPv6, which stays the host's.
      expect(await names(here, '10.254.0.2', worldAddresses[4], '::1')).toEqual([
        'c1:8080',
        'world:8080',
        'host:8080',
      ]);
      expect(await names(inside, worldAddresses[4], worldAddresses[6])).toEqual(['world:8080', 'world:8080']);
    }
    const tcp = (address: string, port: number) => ({ protocol: 'tcp' as const, address, port });
    expect(await world.who(tcp(host4, 8081))).toBe('c1:81');
    expect(await world.who(tcp(hostAddresses[4][1]!, 8081))).toBe('host:8081');
    expect(await inside.who(tcp(worldAddresses[4], 8082))).toBe('world:8082');
    expect(await world.who(tcp(host4, 8082))).toBe('host:8082');
    await ok('DEL', own());
    await ok('DEL', { backend });
    expect(await world.who({ protocol: 'tcp', address: host4, port: 8080 })).toBe('host:8080');
  });

  test('masqAll hides who asks', async ({ host, container }) => {
    const prevResult = connect(host, container);
    const [world] = await Promise.all([start('world', makeWorld(host)), start('c1', container, 80)]);
    await callsOf(portmap, container, prevResult).ok('ADD', { ...own([8080, 80]), masqAll: true });
    const answers = await world.ask(
      { protocol: 'tcp', address: host4, port: 8080 },
      { protocol: 'udp', address: host4, port: 8080 },
      { protocol: 'tcp', address: host6, port: 8080 },
    );
    expect(answers).toEqual([
      { name: 'c1:80', client: '10.254.0.1' },
      null,
      { name: 'c1:80', client: '2001:db8::1' },
    ]);
  });

  test('exactly the connections to a port are forgotten when it changes hands (portmap 28)', async ({
    host,
    container,
  }) => {
    const prevResult = connect(host, container);
    makeWorld(host);
    const flow = (protocol: string, to: string, port: number, reply = to, from = 4000) => {
      const world = to.includes(':') ? worldAddresses[6] : worldAddresses[4];
      const state = protocol === 'tcp' ? '--state ESTABLISHED' : '';
      host.sh(`conntrack -I -p ${protocol} ${state} -t 300 -s ${world} -d ${to} --sport ${from} --dport ${port} \\
        --reply-src ${reply} --reply-dst ${world} --reply-port-src ${port} --reply-port-dst ${from}`);
    };
    const flows = () =>
      ['ipv4', 'ipv6'].flatMap((family) =>
        host
          .sh(`conntrack -L -f ${family} 2>/dev/null`)
          .split('\n')
          .flatMap((line) => {
            const [, protocol, to, port] = /^(\w+) .*? dst=(\S+) sport=\d+ dport=(\d+)/.exec(line) ?? [];
            return protocol ? [`${protocol} ${to} ${port}`] : [];
          }),
      );
    for (const [to, foreign] of [
      [host4, '10.9.9.9'],
      [host6, '2001:db8:9::9'],
    ] as const) {
      flow('udp', to, 8080);
      flow('tcp', to, 8080);
      flow('udp', to, 8081);
      flow('udp', foreign, 8080);
    }
    const { ok } = callsOf(portmap, container, prevResult);
    await ok('ADD', own([8080, 80, 'udp']));
    const rest = [`tcp ${host4} 8080`, `udp ${host4} 8081`, 'udp 10.9.9.9 8080'];
    const rest6 = [`tcp ${host6} 8080`, `udp ${host6} 8081`, 'udp 2001:db8:9::9 8080'];
    expect(flows().sort()).toEqual([...rest, ...rest6].sort());
    // DEL: those that led to the container, not those of the host's own program.
    flow('udp', host4, 8080, '10.254.0.2', 4001);
    flow('udp', host6, 8080, '2001:db8::2', 4001);
    flow('udp', hostAddresses[4][1]!, 8080);
    await ok('DEL', { backend });
    expect(flows().sort()).toEqual([...rest, ...rest6, `udp ${hostAddresses[4][1]} 8080`].sort());
  });

  test("a connection to the host's own program goes on when its port is published, and when it is not any more", async ({
    host,
    container,
  }) => {
    const prevResult = connect(host, container);
    const world = await start('world', makeWorld(host));
    await start('c1', container, 80);
    const echo = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((done) => echo.listen(8080, '0.0.0.0', done));
    onTestFinished(() => void echo.close());
    const { ok } = callsOf(portmap, container, prevResult);
    // Where nobody asks for the state of connections the kernel keeps none, and there is nothing to break.
    host.sh(`nft -f - <<'END'
table inet tracked {
  chain c {
    type filter hook input priority 0
    ct state new counter
  }
}
END`);
    expect(await world.hold({ protocol: 'tcp', address: host4, port: 8080 })).toBe(true);
    expect(await world.echo('before')).toBe('before');
    await ok('ADD', own([8080, 80]));
    expect(await world.echo('while it is published')).toBe('while it is published');
    expect(await world.who({ protocol: 'tcp', address: host4, port: 8080 })).toBe('c1:80');
    await ok('ADD', own([8080, 80]));
    expect(await world.echo('after a second ADD')).toBe('after a second ADD');
    await ok('DEL', { backend });
    expect(await world.echo('afterwards')).toBe('afterwards');
  });

  test('a sender that never pauses reaches the next container, and the host after that, within a second', async ({
    host,
  }) => {
    const [first, second] = [host.container('first'), host.container('second')];
    const results = [connect(host, first, 'hv1', 2), connect(host, second, 'hv2', 3)];
    const [world, host5353] = await Promise.all([
      start('world', makeWorld(host)),
      start('host', host, 5353),
      start('first', first, 53),
      start('second', second, 53),
    ]);
    const settles = async (name: string) => {
      await world.heard();
      let heard: string[] = [];
      for (const end = Date.now() + 1000; Date.now() < end; ) {
        await pause(100);
        heard = await world.heard();
        if (heard.length === 1 && heard[0] === name) return;
      }
      expect(heard).toEqual([name]);
    };
    const calls = [callsOf(portmap, first, results[0]), callsOf(portmap, second, results[1])];
    const publish = own([5353, 53, 'udp']);
    /** What the host's own program got before ADD it must have answered within 30 ms. Where the machine had no time for it,
     *  as it knows itself, ADD has shown nothing: once more. What waits in a queue of the kernel it does not know, so a
     *  sender may be left behind twice; one that ADD forgets is so each time. */
    const publishes = async (which: 0 | 1, to: string, more: { containerId?: string } = {}) => {
      for (let [again, behind] = [10, 0]; again > 0; again--) {
        await host5353.longestPause();
        await calls[which]!.ok('ADD', publish, more);
        if ((await host5353.longestPause()) < 25) {
          try {
            return await settles(to);
          } catch (error) {
            if (++behind === 3) throw error;
          }
        }
        await calls[which]!.ok('DEL', publish, more);
        await settles('host:5353');
      }
      throw new Error('the machine had no time for the program that answers, ten times');
    };
    await world.stream({ protocol: 'udp', address: host4, port: 5353, from: 4000 });
    await world.stream({ protocol: 'udp', address: host6, port: 5353, from: 4001 });
    await settles('host:5353');
    await publishes(0, 'first:53');
    await calls[0]!.ok('DEL', publish);
    await publishes(1, 'second:53', { containerId: 'c2' });
    await calls[1]!.ok('DEL', publish, { containerId: 'c2', prevResult: undefined });
    await settles('host:5353');
  });
});

/** Containers and networks of the property; the third stands on a network of its own. */
const attachments = [
  { id: 'c1', network: 'a', ifname: 'eth0', n: 2, net: 254 },
  { id: 'c2', network: 'a', ifname: 'eth0', n: 3, net: 254 },
  { id: 'c3', network: 'b', ifname: 'eth1', n: 4, net: 253 },
] as const;

interface Mapped {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
  readonly hostIP: string | undefined;
}

const local = [...hostAddresses[4], ...hostAddresses[6], '10.254.0.1'];
const hostPorts = [8080, 8081];

const mapped = fc.record({
  hostPort: fc.constantFrom(...hostPorts),
  containerPort: fc.constantFrom(80, 81),
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
  hostIP: fc.option(
    fc.constantFrom('0.0.0.0', '::', '127.0.0.1', ...local, worldAddresses[4], worldAddresses[6]),
    {
      nil: undefined,
    },
  ),
});
const plans = fc.array(
  fc.record({
    who: fc.integer({ min: 0, max: attachments.length - 1 }),
    mappings: fc.array(mapped, { minLength: 1, maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 4 },
);

const any = (address: string | undefined) =>
  address === undefined || address === '0.0.0.0' || address === '::';
const families = (address: string | undefined) =>
  address === undefined ? [4, 6] : address.includes(':') ? [6] : [4];
const overlap = (a: Mapped, b: Mapped) =>
  a.hostPort === b.hostPort &&
  a.protocol === b.protocol &&
  families(a.hostIP).some((one) => families(b.hostIP).includes(one)) &&
  (any(a.hostIP) || any(b.hostIP) || a.hostIP === b.hostIP);
const repeats = (first: Mapped, second: Mapped) =>
  first.containerPort === second.containerPort &&
  (any(first.hostIP) || !any(second.hostIP)) &&
  families(second.hostIP).every((one) => families(first.hostIP).includes(one));

/** Whether one attachment may ask for these together. */
function consistent(all: readonly Mapped[]): boolean {
  const kept: Mapped[] = [];
  for (const one of all) {
    const same = kept.find((other) => overlap(other, one));
    if (!same) kept.push(one);
    else if (!repeats(same, one)) return false;
  }
  return true;
}

describe.for(backends)('whatever is published by %s', (backend) => {
  test('a connection arrives where the mappings say, and nowhere else', { timeout: 120_000 }, async ({
    host,
  }) => {
    host.sh('sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0');
    const world = makeWorld(host);
    const containers = attachments.map(({ id, n, net }) => {
      const container = host.container(id);
      return { container, prevResult: connect(host, container, `hv-${id}`, n, net) };
    });
    const [outside, here, ...insides] = await Promise.all([
      start('world', world, ...hostPorts),
      start('host', host, ...hostPorts),
      ...attachments.map(({ id }, i) => start(id, containers[i]!.container, 80, 81, ...hostPorts)),
    ]);
    const places: [Peer, string[]][] = [
      [outside!, hostAddresses[4].concat(hostAddresses[6])],
      [here!, [...local, '127.0.0.1', worldAddresses[4], '10.254.0.3']],
      [insides[0]!, [...local, worldAddresses[4], worldAddresses[6]]],
    ];
    const foreign: Record<string, string> = {
      [worldAddresses[4]]: 'world',
      [worldAddresses[6]]: 'world',
      '10.254.0.3': 'c2',
    };
    const call = (command: 'ADD' | 'CHECK' | 'DEL', who: number, all: readonly Mapped[]) => {
      const { id, network, ifname } = attachments[who]!;
      const { container, prevResult } = containers[who]!;
      const config = {
        cniVersion: '1.1.0',
        name: network,
        type: 'portmap',
        backend,
        runtimeConfig: { portMappings: all },
      };
      return callsOf(portmap, container, prevResult).call(command, {}, { config, containerId: id, ifname });
    };

    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const published = new Map<number, readonly Mapped[]>();
        for (const { who, mappings: all } of plan) {
          const others = [...published].filter(([other]) => other !== who).flatMap(([, theirs]) => theirs);
          const refused = !consistent(all) || all.some((one) => others.some((other) => overlap(one, other)));
          const { status, stdout } = await call('ADD', who, all);
          expect(status, stdout).toBe(refused ? 1 : 0);
          if (!refused) published.set(who, all);
        }
        for (const [who, all] of published) expect((await call('CHECK', who, all)).stdout).toBe('');

        const expected = (address: string, port: number, protocol: string): string => {
          if (foreign[address]) return `${foreign[address]}:${port}`;
          for (const [who, all] of published) {
            const one = all.find(
              (each) =>
                each.hostPort === port &&
                each.protocol === protocol &&
                families(each.hostIP).includes(address.includes(':') ? 6 : 4) &&
                (any(each.hostIP) || each.hostIP === address),
            );
            if (one) return `${attachments[who]!.id}:${one.containerPort}`;
          }
          return `host:${port}`;
        };
        const wrong: string[] = [];
        await Promise.all(
          places.map(async ([peer, addresses]) => {
            const probes = addresses.flatMap((address) =>
              hostPorts.flatMap((port) =>
                (['tcp', 'udp'] as const).map((protocol) => ({ protocol, address, port })),
              ),
            );
            const answers = await peer.ask(...probes);
            for (const [i, { protocol, address, port }] of probes.entries()) {
              const wanted = expected(address, port, protocol);
              const got = answers[i]?.name;
              if (got !== wanted)
                wrong.push(`${peer.name} to ${protocol} ${address} ${port}: ${got}, not ${wanted}`);
            }
          }),
        );
        for (const who of attachments.keys())
          await call('DEL', who, published.get(who) ?? [{ ...plan[0]!.mappings[0]! }]);
        expect(wrong).toEqual([]);
        const { hostPort: port, protocol } = plan[0]!.mappings[0]!;
        expect(await outside!.who({ protocol, address: host4, port })).toBe(`host:${port}`);
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });
});
