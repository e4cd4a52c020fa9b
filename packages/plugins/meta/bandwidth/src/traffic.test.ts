/** What the limits do to real packets. */
import { setTimeout as pause } from 'node:timers/promises';
import { Netns } from '@cni-ts/libc/netns';
import { succeed } from '@cni-ts/testing/call';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { flood, observeLimit, stream } from '@cni-ts/testing/traffic';
import { afterEach, expect } from 'vitest';
import { bandwidth } from './bandwidth.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const limitsOf = (rate: number) => ({
  ingressRate: rate,
  ingressBurst: rate / 20,
  egressRate: rate,
  egressBurst: rate / 20,
});

/** A container at 10.0.0.2 on a wire to the host at 10.0.0.1, limited if `limits` say so. */
async function wire(host: Host, container: Container, limits: object, mtu = 1500) {
  host.sh(`ip link add hv mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${container.path}`);
  host.sh('ip addr add 10.0.0.1/24 dev hv && ip link set hv up && ip link set lo up');
  container.sh('ip addr add 10.0.0.2/24 dev eth0 && ip link set eth0 up');
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'hv' }, { name: 'eth0', sandbox: container.path }],
    ips: [],
  };
  const config = { cniVersion: '1.0.0', name: 'net', type: 'bandwidth', ...limits };
  await succeed(bandwidth, 'ADD', { config, container, prevResult });
  const outside = Netns.current();
  stops.push(() => outside.close());
  return { outside, inside: container.netns };
}

/** Every second's rate is within a tenth of the wanted. */
async function expectRate(netns: Netns, rate: number, seconds: number): Promise<void> {
  const seen = await observeLimit(netns, rate, seconds);
  expect(seen, `of ${rate}`).toMatchObject({ above: [], steady: true });
}

/** A container without limits at 10.0.0.3 on the same bridge as the limited one. */
function neighbour(host: Host): Netns {
  const { path, netns, sh } = host.container('neighbour');
  host.sh(
    `ip link add hn type veth peer name eth0 netns ${path}; ip link add br0 type bridge; ip link set br0 up`,
  );
  host.sh('ip addr flush dev hv; for l in hv hn; do ip link set $l master br0 up; done');
  sh('ip addr add 10.0.0.3/24 dev eth0 && ip link set eth0 up');
  return netns;
}

// The burst of 50 ms is a twentieth of the first second.
test('1 Mbit/s: each second carries that, from the first on, both ways between host and container', async ({
  host,
  container,
}) => {
  const rate = 1_000_000;
  const { outside, inside } = await wire(host, container, limitsOf(rate));
  const counted = [outside, inside].map((netns) => expectRate(netns, rate, 3));
  stops.push(flood(outside, '10.0.0.2', rate * 1.4), flood(inside, '10.0.0.1', rate * 1.4));
  await Promise.all(counted);
});

// By TCP, which hands over segments of up to 64 KB: more than the bursts of 5 Mbit/s, less than those of 100.
test.for([5_000_000, 100_000_000])(
  '%i bit/s: each second carries that, from the first on, both ways between containers on a bridge',
  async (rate, { host, container }) => {
    const { inside } = await wire(host, container, limitsOf(rate));
    const other = neighbour(host);
    const counted = [other, inside].map((netns) => expectRate(netns, rate, 2));
    for (const [from, to, address] of [
      [other, inside, '10.0.0.2'],
      [inside, other, '10.0.0.3'],
    ] as const) {
      const { stop } = await stream(from, to, address);
      stops.push(stop);
    }
    await Promise.all(counted);
  },
);

// The limit of what may wait wraps to 31248 bytes then, less than TCP hands over at once.
test("CRI-O's burst, the largest there is, lets 40 MB pass at once", async ({ host, container }) => {
  const limit = {
    ingressRate: 10_000_000,
    ingressBurst: 34_359_738_359,
    egressRate: 10_000_000,
    egressBurst: 34_359_738_359,
  };
  const { outside, inside } = await wire(host, container, limit);
  for (const [from, to, address] of [
    [outside, inside, '10.0.0.2'],
    [inside, outside, '10.0.0.1'],
  ] as const) {
    const { done, stop } = await stream(from, to, address, 40_000_000);
    stops.push(stop);
    // At the rate it were 32 seconds.
    expect(await done).toBeLessThan(8000);
    stop();
  }
  const dropped = host.sh('tc -s qdisc show dev hv root').match(/dropped (\d+)/)?.[1];
  expect(dropped).toBe('0');
});

test('25000 bytes at 8000 bit/s take over a second longer than without limit (bandwidth 34)', async ({
  host,
  container,
}) => {
  const limit = { ingressRate: 8000, ingressBurst: 16_000, egressRate: 8000, egressBurst: 16_000 };
  const { outside, inside } = await wire(host, container, limit, 1024);
  // A second container on the same host, without limits.
  const free = host.container('free');
  host.sh(`ip link add hf type veth peer name eth0 netns ${free.path}; ip addr add 10.0.1.1/24 dev hf`);
  host.sh('ip link set hf up');
  free.sh('ip addr add 10.0.1.2/24 dev eth0 && ip link set eth0 up');
  for (const [from, to, address] of [
    [outside, free.netns, '10.0.1.2'],
    [free.netns, outside, '10.0.1.1'],
  ] as const) {
    const { done, stop } = await stream(from, to, address, 25_000);
    expect(await done).toBeLessThan(1000);
    stop();
  }
  const limited = await Promise.all([
    stream(outside, inside, '10.0.0.2', 25_000),
    stream(inside, outside, '10.0.0.1', 25_000),
  ]);
  for (const { stop } of limited) stops.push(stop);
  const late = pause(2200, 'too slow');
  expect(await Promise.all(limited.map(({ done }) => Promise.race([done, late])))).toEqual([
    'too slow',
    'too slow',
  ]);
});
