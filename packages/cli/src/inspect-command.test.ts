/** `cnitool inspect` on a real kernel, in namespaces of its own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { writeCacheEntry } from '@cni-ts/testing/cache-entry';
import { test } from '@cni-ts/testing/namespaces';
import { expect } from 'vitest';
import * as z from 'zod/mini';
import { runCnitool } from '../test/run-cnitool.ts';
import { inspectSchema } from './inspect/picture-schema.ts';

/** What a runtime leaves in its cache. */
function remember(dir: string, id: string, netns: string, result: object, more: object = {}): void {
  const plugins = [
    { type: 'bridge', ipMasq: true },
    { type: 'portmap', capabilities: { portMappings: true } },
  ];
  const config = JSON.stringify({ cniVersion: '1.0.0', name: 'web', plugins });
  const entry = { network: 'web', containerId: id, netns, config };
  writeCacheEntry(join(dir, 'cache'), entry, { result, ...more });
}

async function inspect(dir: string, ...options: string[]) {
  return runCnitool(['inspect', ...options], {
    env: { CNI_CACHE_DIR: join(dir, 'cache'), COLUMNS: '90' },
  });
}

const result = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'cni0' }, { name: 'vethone' }, { name: 'eth0', sandbox: '/x' }],
  ips: [{ address: '10.22.0.5/16', interface: 2 }],
};

test('a bridge, its uplink, a container with address, port and limit are shown as the kernel has them', async ({
  host,
  container,
}) => {
  host.sh('ip link add up0 type veth peer name beyond; ip link set up0 up; ip addr add 192.0.2.9/24 dev up0');
  host.sh('ip link set beyond up; ip route add default via 192.0.2.1');
  host.sh('ip link add cni0 type bridge; ip addr add 10.22.0.1/16 dev cni0; ip link set cni0 up');
  host.sh(
    `ip link add vethone type veth peer name eth0 netns ${container.path}; ip link set vethone master cni0 up`,
  );
  host.sh(
    `ip link set vethone alias '${linkOwner({ network: 'web', containerId: 'c1', ifname: 'eth0' }, 'bridge')}'`,
  );
  host.sh('tc qdisc add dev vethone root tbf rate 8mbit burst 64kb latency 25ms');
  container.sh('ip link set eth0 up; ip addr add 10.22.0.5/16 dev eth0');
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
  remember(host.dir, 'c1', container.path, result, {
    capabilityArgs: { portMappings },
    cniArgs: [
      ['K8S_POD_NAMESPACE', 'shop'],
      ['K8S_POD_NAME', 'cart'],
    ],
  });
  const { status, stdout, stderr } = await inspect(host.dir, '--json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const picture = z.parse(inspectSchema(), JSON.parse(stdout));
  expect(picture.uplinks).toMatchObject([
    { name: 'up0', addresses: ['192.0.2.9/24'], gateways: ['192.0.2.1'] },
  ]);
  expect(picture.groups[0]).toMatchObject({
    title: 'bridge cni0',
    masquerade: true,
    link: { addresses: ['10.22.0.1/16'], up: true },
    cards: [
      {
        title: 'shop/cart',
        containerId: 'c1',
        state: 'lives',
        interfaces: [
          {
            name: 'eth0',
            network: 'web',
            addresses: ['10.22.0.5/16'],
            remembered: false,
            hostLink: 'vethone',
          },
        ],
        ports: ['8080/tcp → 80'],
        limits: { toContainer: 8e6 },
        problems: [],
      },
    ],
  });
  expect(picture.others.map(({ name }) => name)).toContain('beyond');
  const tree = (await inspect(host.dir)).stdout;
  expect(tree).toContain('├─ bridge cni0 10.22.0.1/16 mtu 1500 masqueraded 1 attached\n');
  expect(tree).toContain('eth0 web 10.22.0.5/16 ⇄ vethone\n');
  expect((await inspect(host.dir, '--svg')).stdout).toMatch(/^<\?xml .*\n<svg /);
  expect((await inspect(host.dir, '--html')).stdout).toMatch(/^<!doctype html>/);
});

test('ports that no plugin of the network takes are not shown', async ({ host, container }) => {
  const list = { cniVersion: '1.0.0', name: 'web', plugins: [{ type: 'macvlan' }] };
  remember(host.dir, 'c1', container.path, result, {
    config: Buffer.from(JSON.stringify(list)).toString('base64'),
    capabilityArgs: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
  });
  const { stdout } = await inspect(host.dir);
  expect(stdout).toContain('c1');
  expect(stdout).not.toContain('8080');
});

test('what is broken is shown, with exit status 1: a lost address, an interface that is gone, a namespace that is gone', async ({
  host,
  container,
}) => {
  host.sh(`ip link add vethone type veth peer name eth0 netns ${container.path}; ip link set vethone up`);
  container.sh('ip link set eth0 up');
  remember(host.dir, 'c1', container.path, result);
  const lost = await inspect(host.dir);
  expect(lost).toMatchObject({ status: 1 });
  expect(lost.stdout).toContain('✗ eth0 has lost 10.22.0.5/16');
  container.sh('ip link del eth0');
  expect((await inspect(host.dir)).stdout).toContain('✗ eth0 is not there');
  container.remove();
  const gone = await inspect(host.dir);
  expect(gone.stdout).toContain('✗ its namespace is gone');
  expect(gone.stdout).toContain('10.22.0.5/16 (remembered)');
});

test('an entry that cannot be read, and a node without anything, are no reason to fail', async ({ host }) => {
  remember(host.dir, 'c1', '/nowhere', result);
  writeFileSync(join(host.dir, 'cache/results/web-c2-eth0'), '{');
  expect((await inspect(host.dir)).status).toBe(1);
  expect((await inspect(join(host.dir, 'nothing'), '--html')).stdout).toContain('0 containers');
});
