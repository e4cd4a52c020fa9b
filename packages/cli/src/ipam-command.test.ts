/** Reservations on the disk, namespaces of the kernel: what the tool tells of both, and what it gives back. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Host, test } from '@cni-ts/testing/namespaces';
import { describe, expect } from 'vitest';
import * as z from 'zod/mini';
import { hourAgo, TestNode } from '../test/test-node.ts';
import { ipamCheckSchema, ipamReleaseSchema, ipamShowSchema, ipamWhySchema } from './report-schemas.ts';

/** Before any boot of this machine. */
const longAgo = 1e9;

class Node extends TestNode {
  constructor({ dir }: Host) {
    super(dir);
  }

  network(name: string, ipam: object = { subnet: '10.213.77.0/29' }): void {
    const { dataDir } = this;
    const plugins = [{ type: 'bridge', ipam: { type: 'host-local', dataDir, ...ipam } }];
    this.configure({ cniVersion: '1.0.0', name, plugins });
  }

  remember(network: string, containerId: string, netns: string, capabilityArgs = {}): void {
    this.enter(network, containerId, netns, { capabilityArgs });
  }
}

describe('cnitool ipam show', () => {
  test('tells of a full range who lives, who does not, and what helps', async ({ host, container }) => {
    const node = new Node(host);
    node.network('web');
    node.remember('web', 'living', container.path);
    node.remember('web', 'gone', '/run/netns/that-never-was');
    node.reserve('web', '10.213.77.2', 'living');
    node.reserve('web', '10.213.77.3', 'gone');
    node.reserve('web', '10.213.77.4', 'older', longAgo);
    node.reserve('web', '10.213.77.5', 'old', longAgo);
    node.reserve('web', '10.213.77.6', 'lost');
    const { status, stdout, stderr } = await node.run('ipam', 'show', 'web');
    const [first, ...rest] = stdout.trimEnd().split('\n');
    expect(first).toBe(
      'web 10.213.77.0/29 5 usable 5 used 1 live 2 from before boot 1 namespace gone 1 nobody remembers',
    );
    expect(rest.at(-1)).toBe(
      'the range is full: 4 addresses are held by attachments that are gone; cure: cnitool gc web --stale --yes',
    );
    expect(stdout).toContain(`  10.213.77.2 container living, interface eth0 since `);
    expect(stdout).toContain(`its namespace ${container.path} lives`);
    expect(stdout).toMatch(/✗ 10\.213\.77\.3 .*: its namespace \/run\/netns\/that-never-was is gone\n/);
    expect(stdout).toMatch(/✗ 10\.213\.77\.5 .* since 2001-09-09T01:46:40Z: it is from before this boot\n/);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  });

  test('of a network in good order is one line and status 0', async ({ host, container }) => {
    const node = new Node(host);
    node.network('web', { subnet: '10.213.77.0/24', rangeStart: '10.213.77.10', rangeEnd: '10.213.77.20' });
    node.remember('web', 'living', container.path);
    node.reserve('web', '10.213.77.10', 'living');
    expect(await node.run('ipam', 'show')).toEqual({
      status: 0,
      stdout: 'web 10.213.77.10-10.213.77.20 11 usable 1 used 1 live\n',
      stderr: '',
    });
  });

  test('takes an ADD that is going on, a link of the attachment, and the address on a link for signs of life', async ({
    host,
    container,
  }) => {
    const node = new Node(host);
    node.network('web');
    node.reserve('web', '10.213.77.2', 'new', Date.now() / 1000);
    node.reserve('web', '10.213.77.3', 'linked');
    node.reserve('web', '10.213.77.4', 'addressed');
    container.sh('ip link add eth0 type veth peer name other && ip address add 10.213.77.4/29 dev eth0');
    node.reserve('web', '10.213.77.5', 'lost');
    host.sh('ip link add veth1 type veth peer name veth2');
    host.sh('ip link set veth1 alias "cni:1 net=web id=linked if=eth0 plugin=bridge"');
    const { stdout, stderr } = await node.run('ipam', 'show', 'web');
    expect(stdout).toContain('4 used 4 live\n');
    expect(stdout).toMatch(
      /10\.213\.77\.4 .*: a link in the namespace \S+ has the address, though the cache has no/,
    );
    expect(stdout).toContain('the cache has no attachment at all, so nobody can tell whether it lives');
    expect(stdout).toContain('it is younger than ten minutes: an ADD may be going on');
    expect(stdout).toContain('its link veth1 is there, though the cache has no entry of it');
    expect(stderr).toContain('no attachment is remembered in');
    expect(stderr).toContain('set CNI_CACHE_DIR');
  });

  test('knows networks that no configuration speaks of, leases of dhcp, and prints JSON', async ({
    host,
  }) => {
    const node = new Node(host);
    node.network('lan', { type: 'dhcp' });
    mkdirSync(join(node.dir, 'cache/networks/removed'), { recursive: true });
    writeFileSync(join(node.dir, 'cache/networks/removed/10.213.78.2'), 'c9\r\neth0');
    mkdirSync(join(node.dir, 'cache/dhcp'));
    const lease = {
      network: 'lan',
      containerId: 'c1',
      ifname: 'eth0',
      netns: '/n',
      client4: { lease: { address: '192.0.2.7' } },
    };
    writeFileSync(join(node.dir, 'cache/dhcp/1.lease'), JSON.stringify(lease));
    const { stdout } = await node.run('ipam', 'show');
    expect(stdout).toContain('lan dhcp 1 leases\n');
    expect(stdout).toContain('its ranges are not known: no configuration speaks of it');
    const json: unknown = JSON.parse((await node.run('ipam', 'show', '--json')).stdout);
    expect(z.parse(ipamShowSchema(), json)).toMatchObject({
      networks: [
        { network: 'lan', leases: [{ address: '192.0.2.7', containerId: 'c1' }] },
        { network: 'removed', stores: [{ holders: [{ address: '10.213.78.2', containerId: 'c9' }] }] },
      ],
    });
  });

  test('knows ranges that come by a capability from what attachments were made with', async ({
    host,
    container,
  }) => {
    const node = new Node(host);
    node.network('pods', {});
    const unknown = await node.run('ipam', 'show');
    expect(unknown.stdout).toContain('its ranges are not known: no IP ranges specified\n');
    node.remember('pods', 'living', container.path, { ipRanges: [[{ subnet: '10.213.80.0/26' }]] });
    node.reserve('pods', '10.213.80.2', 'living');
    expect(await node.run('ipam', 'show')).toEqual({
      status: 0,
      stdout: 'pods 10.213.80.0/26 61 usable 1 used 1 live\n',
      stderr: '',
    });
  });

  test('says that it cannot look where nobody knows the network, and how it is called', async ({ host }) => {
    const node = new Node(host);
    expect(await node.run('ipam', 'show', 'nix')).toMatchObject({
      status: 3,
      stderr: 'Error: no network "nix" is configured or remembered here\n',
    });
    expect(await node.run('ipam', 'shwo')).toMatchObject({ status: 2 });
    expect(await node.run('ipam', 'why', 'nowhere')).toMatchObject({ status: 2 });
  });
});

describe('cnitool ipam why', () => {
  test('tells who has an address, the cure where he is gone, and why nobody has it', async ({ host }) => {
    const node = new Node(host);
    node.network('web');
    node.remember('web', 'gone', '/run/netns/that-never-was');
    const path = node.reserve('web', '10.213.77.3', 'gone');
    const held = await node.run('ipam', 'why', '10.213.77.3');
    expect(held.status).toBe(1);
    expect(held.stdout).toMatch(
      /^10\.213\.77\.3 web: held by container gone, interface eth0 since \S+, in range 10\.213\.77\.0\/29: /,
    );
    expect(held.stdout).toContain(`its namespace /run/netns/that-never-was is gone (${path})`);
    expect(held.stdout).toContain('cure: cnitool gc web --stale --yes\n');
    expect((await node.run('ipam', 'why', '10.213.77.1')).stdout).toContain('the gateway of 10.213.77.0/29');
    expect(await node.run('ipam', 'why', '10.213.77.4')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('free, in range 10.213.77.0/29'),
    });
    expect(await node.run('ipam', 'why', '10.99.0.4')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('in no range'),
    });
    const { stdout } = await node.run('ipam', 'why', '10.213.77.3', '--json');
    expect(z.parse(ipamWhySchema(), JSON.parse(stdout)).reasons).toHaveLength(1);
  });
});

describe('cnitool ipam check and release', () => {
  test('finds each kind of disorder by its code', async ({ host, container }) => {
    const node = new Node(host);
    node.network('web');
    node.network('db');
    node.remember('web', 'living', container.path);
    node.remember('web', 'gone', '/run/netns/that-never-was');
    container.sh('ip link add eth0 type veth peer name other && ip address add 10.213.77.5/29 dev eth0');
    container.sh('ip address add 10.213.77.4/29 dev eth0');
    node.reserve('web', '10.213.77.3', 'gone');
    node.reserve('web', '10.213.77.4', 'new', Date.now() / 1000);
    node.reserve('web', '10.213.79.9', 'living');
    node.reserve('web', '10.213.77.6', '');
    node.reserve('db', '10.213.77.4', 'new', Date.now() / 1000);
    const { status, stdout } = await node.run('ipam', 'check');
    const codes = [...stdout.matchAll(/^(\w+) (CNI\d+) (\S+) (\S+):/gm)].map(([, ...of]) => of.join(' '));
    expect(codes.sort()).toEqual([
      'error CNI2020 web 10.213.77.3',
      'error CNI2021 db 10.213.77.4',
      'error CNI2023 web 10.213.77.5',
      'error CNI2024 web 10.213.77.4',
      'note CNI2025 web 10.213.77.6',
      'warning CNI2022 web 10.213.79.9',
    ]);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('4 errors, 1 warning, 1 note');
    expect(status).toBe(1);
    z.parse(ipamCheckSchema(), JSON.parse((await node.run('ipam', 'check', 'web', '--json')).stdout));
  });

  test('release gives back what the report calls leaked, and nothing that is another than it was', async ({
    host,
    container,
  }) => {
    const node = new Node(host);
    node.network('web');
    node.remember('web', 'living', container.path);
    for (const [address, id] of [
      ['10.213.77.2', 'living'],
      ['10.213.77.3', 'a'],
      ['10.213.77.4', 'b'],
      ['10.213.77.5', 'c'],
      ['10.213.77.6', 'd'],
    ] as const) {
      node.reserve('web', address, id, address === '10.213.77.2' ? hourAgo : longAgo);
    }
    const report = join(node.dir, 'report.json');
    const checked = await node.run('ipam', 'check', '-o', report);
    expect(checked.stdout).toContain(
      'error CNI2026 web: 10.213.77.0/29 is full: 5 of 5 addresses are used, 1 of them by who lives\n',
    );
    expect(checked.stdout).toContain(`cure: cnitool ipam release --from-report ${report}\n`);
    node.reserve('web', '10.213.77.4', 'somebody-else', longAgo); // another's by now
    node.reserve('web', '10.213.77.5', 'c'); // the same, anew
    node.remember('web', 'd', container.path); // it lives after all
    const released = await node.run('ipam', 'release', '--from-report', report);
    expect(released).toEqual({
      status: 0,
      stdout: [
        'released web 10.213.77.3: it was of container a, interface eth0',
        'left web 10.213.77.4: it is reserved for container somebody-else, interface eth0 by now',
        'left web 10.213.77.5: it was reserved anew since',
        `left web 10.213.77.6: its namespace ${container.path} lives`,
        '1 released, 3 left as they are',
        '',
      ].join('\n'),
      stderr: '',
    });
    expect(node.reserved('web').filter((name) => name !== 'lock')).toEqual([
      '10.213.77.2',
      '10.213.77.4',
      '10.213.77.5',
      '10.213.77.6',
    ]);
    const again = await node.run('ipam', 'release', '--from-report', report, '--json');
    expect(z.parse(ipamReleaseSchema(), JSON.parse(again.stdout)).released[0]).toMatchObject({
      left: 'it was released meanwhile',
    });
  });

  test('release touches no file that is not in a store of this node, and takes no other report', async ({
    host,
  }) => {
    const node = new Node(host);
    node.network('web');
    const foreign = join(node.dir, '10.213.77.3');
    writeFileSync(foreign, 'x\r\neth0');
    const finding = {
      code: 'CNI2020',
      network: 'web',
      address: '10.213.77.3',
      containerId: 'x',
      ifname: 'eth0',
      path: foreign,
      since: '1',
      message: '',
      level: 'error',
    };
    const report = join(node.dir, 'report.json');
    writeFileSync(report, JSON.stringify({ version: 1, findings: [finding] }));
    expect((await node.run('ipam', 'release', '--from-report', report)).stdout).toContain(
      `left web 10.213.77.3: network web keeps no reservations at ${foreign}\n`,
    );
    expect(existsSync(foreign)).toBe(true);
    writeFileSync(report, '[]');
    expect((await node.run('ipam', 'release', '--from-report', report)).status).toBe(3);
    expect((await node.run('ipam', 'release', '--from-report', join(node.dir, 'none'))).status).toBe(3);
    expect((await node.run('ipam', 'release')).status).toBe(2);
  });
});
