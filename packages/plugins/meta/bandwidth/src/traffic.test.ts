/** What the limits do to real packets. */
import { setTimeout as pause } from 'node:timers/promises';
import { Netns } from '@cni-ts/libc/netns';
import { succeed } from '@cni-ts/testing/call';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { flood, receivedRates, stream } from '@cni-ts/testing/traffic';
import { afterEach, expect } from 'vitest';
import { bandwidth } from './bandwidth.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
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
function expectRate(rates: number[], wanted: number): void {
  const off = rates.filter((rate) => Math.abs(rate - wanted) > wanted / 10);
  expect(off, `of ${rates.map(Math.round)}, wanted ${wanted}`).toEqual([]);
}

test.for([
  { rate: 1_000_000, burst: 120_000 },
  { rate: 100_000_000, burst: 5_000_000 },
])(
  'at $rate bit/s each second carries that, both ways at once',
  async ({ rate, burst }, { host, container }) => {
    const { outside, inside } = await wire(host, container, {
      ingressRate: rate,
      ingressBurst: burst,
      egressRate: rate,
      egressBurst: burst,
    });
    stops.push(flood(outside, '10.0.0.2', rate * 1.4), flood(inside, '10.0.0.1', rate * 1.4));
    await pause(500); // the burst goes first
    const [received, sent] = await Promise.all([receivedRates(inside, 3), receivedRates(outside, 3)]);
    expectRate(received, rate);
    expectRate(sent, rate);
  },
);

test('a burst smaller than the segments that TCP hands over lets them through in pieces', async ({
  host,
  container,
}) => {
  const rate = 50_000_000;
  const { outside, inside } = await wire(host, container, { ingressRate: rate, ingressBurst: 160_000 });
  const { stop } = await stream(outside, inside, '10.0.0.2');
  stops.push(stop);
  await pause(700);
  expectRate(await receivedRates(inside, 2), rate);
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
