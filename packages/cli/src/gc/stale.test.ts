/** What is stale, of recorded plugins and reservations on disk, with namespaces of the kernel and a crictl of our own. */
import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type Host, makeHost, test } from '@cni-ts/testing/namespaces';
import { RecordingPlugins } from '@cni-ts/testing/recording-plugins';
import { writeProgram } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import * as z from 'zod/mini';
import { hourAgo, TestNode } from '../../test/test-node.ts';
import { gcSchema } from '../report-schemas.ts';

let plugins: RecordingPlugins;
beforeEach(() => {
  plugins = new RecordingPlugins('p1');
});
afterEach(() => plugins.remove());

class Node extends TestNode {
  readonly #bin: string;

  constructor({ dir, bin }: Host) {
    super(dir, { PATH: `${bin}:${process.env.PATH}`, CNI_PATH: plugins.path.join(':') });
    this.#bin = bin;
  }

  network(name: string, more: object = {}): void {
    const ipam = { type: 'host-local', dataDir: this.dataDir, subnet: '10.213.77.0/24' };
    this.configure({ cniVersion: '1.1.0', name, plugins: [{ type: 'p1', ipam }], ...more });
  }

  /** An attachment of an hour ago. `pod`: by a runtime of Kubernetes. */
  remember(network: string, containerId: string, netns: string, pod = false): void {
    const cniArgs = pod ? [['K8S_POD_INFRA_CONTAINER_ID', containerId]] : [];
    utimesSync(this.enter(network, containerId, netns, { cniArgs }), hourAgo, hourAgo);
  }

  cached(): string[] {
    return readdirSync(join(this.dir, 'cache/results'));
  }

  crictl(script: string): void {
    writeProgram(join(this.#bin, 'crictl'), `#!/bin/sh\n${script}\n`);
  }
}

const nowhere = '/run/netns/that-never-was';

describe('cnitool gc --stale', () => {
  test('tells of all networks what nobody lives for, and touches nothing', async ({ host, container }) => {
    const node = new Node(host);
    for (const name of ['web', 'db', 'fine']) node.network(name);
    node.remember('web', 'gone', nowhere);
    node.remember('web', 'living', container.path);
    node.reserve('web', '10.213.77.2', 'gone');
    node.reserve('web', '10.213.77.3', 'living');
    node.reserve('db', '10.213.77.9', 'lost');
    expect(await node.run('gc', '--stale')).toEqual({
      status: 1,
      stdout: [
        'would remove CNI2020 db reservation of 10.213.77.9 for container lost, interface eth0: the cache has no attachment of it, and no link of this node has the address',
        `would remove CNI4020 web gone/eth0 (10.213.77.2): its namespace ${nowhere} is gone`,
        '1 attachment and 1 leaked reservation would be removed, nothing was touched; cure: cnitool gc --stale --yes',
        '',
      ].join('\n'),
      stderr: '',
    });
    expect(plugins.taken()).toEqual([]);
    expect([node.reserved('web'), node.cached()]).toEqual([
      ['10.213.77.2', '10.213.77.3'],
      ['web-gone-eth0', 'web-living-eth0'],
    ]);
  });

  test('with --yes calls DEL for what is gone, tells plugins who lives, and releases what is leaked', async ({
    host,
    container,
  }) => {
    const node = new Node(host);
    node.network('web');
    node.network('fine');
    node.remember('web', 'gone', nowhere);
    node.remember('web', 'living', container.path);
    node.reserve('web', '10.213.77.3', 'living');
    node.reserve('web', '10.213.77.4', 'lost');
    host.sh('ip link add veth1 type veth peer name veth2');
    host.sh('ip link set veth1 alias "cni:1 net=web id=linked if=net1 plugin=bridge"');
    const { status, stdout } = await node.run('gc', '--stale', '--yes');
    expect(stdout).toContain(
      'kept web linked/net1: its link veth1 is there, though the cache has no entry of it; ' +
        'unless an ADD is going on, cnitool gc web removes it\n',
    );
    expect(stdout.split('\n').at(-2)).toBe('1 attachment and 1 leaked reservation removed');
    expect(status).toBe(0);
    const calls = plugins.calls();
    expect(calls.map(({ command, env }) => `${command} ${env.CNI_CONTAINERID ?? ''}`)).toEqual([
      'DEL gone',
      'GC ',
    ]);
    expect(calls[1]?.request['cni.dev/valid-attachments']).toEqual([
      { containerID: 'living', ifname: 'eth0' },
      { containerID: 'linked', ifname: 'net1' },
    ]);
    expect([node.reserved('web'), node.cached()]).toEqual([['10.213.77.3'], ['web-living-eth0']]);
    const again = await node.run('gc', '--stale');
    expect(again).toEqual({ status: 0, stdout: expect.stringMatching(/\nnothing is stale\n$/), stderr: '' });
  });

  test('releases reservations also where plugins have no GC, and leaves a network that says disableGC', async ({
    host,
    container,
  }) => {
    const node = new Node(host);
    node.network('old', { cniVersion: '0.4.0' });
    node.network('kept', { disableGC: true });
    node.remember('kept', 'living', container.path);
    for (const network of ['old', 'kept']) node.reserve(network, '10.213.77.4', 'lost');
    const { status, stderr } = await node.run('gc', '--stale', '--yes');
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: 'cnitool: network kept says disableGC, and is left as it is\n',
    });
    expect([node.reserved('old'), node.reserved('kept')]).toEqual([[], ['10.213.77.4']]);
  });

  test('does so of a network that is not configured any more, by what its attachments were made with', async ({
    host,
  }) => {
    const node = new Node(host);
    node.network('web');
    node.remember('web', 'gone', nowhere);
    node.reserve('web', '10.213.77.2', 'gone');
    host.sh(`rm ${join(node.dir, 'net.d', '10-web.conflist')}`);
    const { stdout } = await node.run('gc', 'web', '--stale', '--json');
    expect(z.parse(gcSchema(), JSON.parse(stdout))).toMatchObject({
      removed: false,
      networks: [
        {
          network: 'web',
          attachments: [{ containerId: 'gone', addresses: ['10.213.77.2'], cause: 'namespace' }],
        },
      ],
    });
    expect((await node.run('gc', 'web', '--stale', '--yes')).status).toBe(0);
    expect(plugins.taken()).toEqual(['p1 DEL', 'p1 GC']);
    expect(node.cached()).toEqual([]);
  });

  test('goes on with other networks where a plugin fails, and says all that failed', async ({ host }) => {
    const node = new Node(host);
    for (const name of ['a', 'b']) {
      node.network(name);
      node.remember(name, 'gone', nowhere);
    }
    plugins.answer('p1', 'DEL', { stdout: { code: 11, msg: 'not today' }, status: 1 });
    const { status, stderr } = await node.run('gc', '--stale', '--yes');
    expect(status).toBe(1);
    expect(stderr).toMatch(/network a: .*not today/);
    expect(stderr).toMatch(/network b: .*not today/);
  });

  test('wants to be called as it says', async ({ host }) => {
    const node = new Node(host);
    node.network('web');
    expect((await node.run('gc', '--stale', '--all')).status).toBe(2);
    expect((await node.run('gc', 'web', '--yes')).status).toBe(2);
    expect((await node.run('gc', '--stale', 'nix')).status).toBe(3);
    expect((await node.run('gc')).stderr).toContain('requires at least 1 arg(s), only received 0');
  });
});

describe('cnitool gc --runtime', () => {
  const pods = (...all: [id: string, state: string][]) =>
    `echo "$@" > "$(dirname "$0")/asked"; cat <<'JSON'\n${JSON.stringify({ items: all.map(([id, state]) => ({ id, state, metadata: { name: id } })) })}\nJSON`;

  test('removes pods that the runtime does not know though their namespace lives, and no container of others', async ({
    host,
    container,
  }) => {
    const node = new Node(host);
    node.network('web');
    for (const id of ['ready', 'ended', 'unknown']) node.remember('web', id, container.path, true);
    node.remember('web', 'nerdctl', container.path);
    node.crictl(pods(['ready', 'SANDBOX_READY'], ['ended', 'SANDBOX_NOTREADY']));
    const dry = await node.run('gc', '--runtime', 'containerd');
    expect(dry.stdout).toBe(
      'would remove CNI4021 web unknown/eth0: containerd knows no such pod\n' +
        '1 attachment and 0 leaked reservations would be removed, nothing was touched; cure: cnitool gc --runtime containerd --yes\n',
    );
    expect(readFileSync(join(host.bin, 'asked'), 'utf8')).toBe(
      '--runtime-endpoint unix:///run/containerd/containerd.sock --timeout 10s pods -o json\n',
    );
    await node.run('gc', 'web', '--runtime=containerd', '--yes');
    expect(node.cached()).toEqual(['web-ended-eth0', 'web-nerdctl-eth0', 'web-ready-eth0']);
  });

  test('leaves a pod that is being made, which no runtime lists yet', async ({ host, container }) => {
    const node = new Node(host);
    node.network('web');
    node.remember('web', 'young', container.path, true);
    const now = Date.now() / 1000;
    utimesSync(join(node.dir, 'cache/results/web-young-eth0'), now, now);
    node.crictl(pods());
    expect(await node.run('gc', '--runtime', 'crio')).toEqual({
      status: 0,
      stdout: 'nothing is stale\n',
      stderr: '',
    });
  });

  test.each([
    ['is not there', undefined, 'there is no crictl in PATH'],
    ['fails', 'echo "connection refused" >&2; exit 1', 'connection refused'],
    ['prints no list', 'echo "{}"', 'crictl printed no list of pods'],
    ['prints a pod without a state', `echo '{"items":[{"id":"a"}]}'`, 'crictl printed no list of pods'],
  ])('removes nothing where crictl %s, and ends with 3', async (_what, script, why) => {
    const { host, end } = makeHost();
    try {
      const node = new Node(host);
      node.network('web');
      node.remember('web', 'gone', nowhere, true);
      if (script !== undefined) node.crictl(script);
      const { status, stdout, stderr } = await node.run('gc', '--runtime', 'containerd', '--yes');
      expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
      expect(stderr).toContain('containerd could not be asked which pods it has, nothing was removed: ');
      expect(stderr).toContain(why);
      expect(node.cached()).toEqual(['web-gone-eth0']);
    } finally {
      end();
    }
    expect(plugins.taken()).toEqual([]);
  });

  test('knows two runtimes', async ({ host }) => {
    expect((await new Node(host).run('gc', '--runtime', 'docker')).status).toBe(2);
  });
});
