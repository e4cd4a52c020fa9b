/** `cnitool collect`: what is in the archive, what is not, and what it never touches. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { writeCacheEntry } from '@cni-ts/testing/cache-entry';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { runCnitool } from '../test/run-cnitool.ts';
import { Bag } from './collect/bag.ts';
import { Masker } from './collect/mask.ts';

/** None of them may be anywhere in an archive. */
const planted = {
  inConfig: 'S3CRET-in-config-1',
  inCache: 'S3CRET-in-cached-config-2',
  inArguments: 'S3CRET-in-arguments-3',
  inAddress: 'S3CRET-in-address-4',
  inBroken: 'S3CRET-in-broken-5',
  inAlias: 'S3CRET-in-config-1',
  outside: 'S3CRET-outside-6',
  misspelt: 'S3CRET-misspelt-7',
};

function plant(host: Host, container: Container): Record<string, string> {
  const net = join(host.dir, 'net.d');
  const data = join(host.dir, 'networks');
  for (const one of [net, join(data, 'web'), join(net, 'multus.d')]) mkdirSync(one, { recursive: true });
  const put = (file: string, json: unknown) =>
    writeFileSync(file, typeof json === 'string' ? json : JSON.stringify(json));
  const ipam = { type: 'host-local', subnet: '10.9.0.0/24', dataDir: data };
  const plugin = {
    type: 'bridge',
    bridge: 'br9',
    ipam,
    apiToken: planted.inConfig,
    endpoint: `https://root:${planted.inAddress}@etcd:2379`,
  };
  put(join(net, '10-web.conflist'), { cniVersion: '1.0.0', name: 'web', plugins: [plugin] });
  put(
    join(net, '20-broken.conflist'),
    `{ "name": "broken",\n  "password": "${planted.inBroken}"\n  "mtu": 1500,`,
  );
  put(join(net, '30-known.conf'), {
    cniVersion: '1.0.0',
    name: 'known',
    type: 'bridge',
    password: planted.misspelt,
  });
  put(
    join(net, '40-copied.conf'),
    `{"cniVersion":"1.0.0","name":"copied","type":"bridge","bridgee":"${planted.misspelt}"}`,
  );
  put(join(net, 'calico-kubeconfig'), `token: ${planted.outside}`);
  put(join(net, 'multus.d/multus.kubeconfig'), `token: ${planted.outside}`);
  put(join(host.dir, 'outside'), planted.outside);
  symlinkSync(join(host.dir, 'outside'), join(net, '50-link.conf'));
  symlinkSync('10-web.conflist', join(net, '60-inner.conflist'));
  execFileSync('mkfifo', [join(net, '70-pipe.conf')]);
  const config = JSON.stringify({
    cniVersion: '1.0.0',
    name: 'web',
    plugins: [{ type: 'bridge', token: planted.inCache }],
  });
  writeCacheEntry(
    join(host.dir, 'cache'),
    { network: 'web', containerId: 'c1', netns: container.path, config },
    {
      cniArgs: [
        ['K8S_POD_NAME', 'cart'],
        ['LICENCE', planted.inArguments],
      ],
      result: { cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] },
    },
  );
  put(join(data, 'web', '10.9.0.2'), 'c1\r\neth0');
  put(join(data, 'web', 'last_reserved_ip.0'), '10.9.0.2');
  symlinkSync(join(host.dir, 'outside'), join(data, 'web', '10.9.0.3'));
  host.sh(
    `ip link add br9 type bridge; ip link set br9 alias '${planted.inAlias}'; ip addr add 10.9.0.1/24 dev br9; ip link set br9 up`,
  );
  host.sh(
    `ip link add veth9 type veth peer name eth0 netns ${container.path}; ip link set veth9 master br9 up`,
  );
  container.sh('ip link set eth0 up; ip addr add 10.9.0.2/24 dev eth0; ip route add default via 10.9.0.1');
  host.sh(
    'tc qdisc add dev veth9 root tbf rate 8mbit burst 64kb latency 25ms; ip rule add from 10.9.0.2 table 77',
  );
  return {
    PATH: process.env.PATH ?? '',
    NETCONFPATH: net,
    CNI_CACHE_DIR: join(host.dir, 'cache'),
    CNI_PATH: host.bin,
  };
}

async function collect(env: Record<string, string>, file: string) {
  return runCnitool(['collect', '-o', file], {
    env,
  });
}

/** Unpacked by tar(1); every file by its name below the archive's one folder. */
function unpack(file: string, into: string): Map<string, string> {
  mkdirSync(into);
  execFileSync('tar', ['-xf', file, '-C', into]);
  const [root = ''] = readdirSync(into);
  const names = readdirSync(join(into, root), { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => statSync(join(into, root, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(join(into, root, name), 'utf8')]));
}

test('the archive has configurations, attachments, reservations, the kernel of host and container, and reports', async ({
  host,
  container,
}) => {
  const env = plant(host, container);
  const file = join(host.dir, 'report.tar');
  expect(await collect(env, file)).toMatchObject({ status: 0, stdout: `${file}\n` });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const files = unpack(file, join(host.dir, 'unpacked'));
  const json = (name: string) => JSON.parse(files.get(name) ?? 'null');
  expect([...files.keys()].sort()).toEqual(
    expect.arrayContaining([
      'cache/web-c1-eth0',
      'config/10-web.conflist',
      'config/20-broken.conflist',
      'config/60-inner.conflist',
      'host/network.json',
      'host/nft.txt',
      'host/system.json',
      'manifest.json',
      'namespaces/0.json',
      'plugins.json',
      'reports/list.json',
      'reports/validate.json',
      'reservations/web.json',
    ]),
  );
  expect(json('config/10-web.conflist').plugins[0]).toMatchObject({
    type: 'bridge',
    bridge: 'br9',
    apiToken: '(masked)',
  });
  expect(json('cache/web-c1-eth0')).toMatchObject({
    containerId: 'c1',
    config: { plugins: [{ type: 'bridge', token: '(masked)' }] },
    cniArgs: [
      ['K8S_POD_NAME', 'cart'],
      ['LICENCE', '(masked)'],
    ],
  });
  expect(json('reservations/web.json').held).toMatchObject({
    '10.9.0.2': { bytes: 8, lines: ['c1', 'eth0'] },
  });
  const { links, addresses, rules, qdiscs } = json('host/network.json');
  expect(links).toEqual(expect.arrayContaining([expect.objectContaining({ name: 'br9', kind: 'bridge' })]));
  expect(addresses).toEqual(
    expect.arrayContaining([expect.objectContaining({ link: 'br9', address: '10.9.0.1/24' })]),
  );
  expect(rules).toEqual(
    expect.arrayContaining([expect.objectContaining({ from: '10.9.0.2/32', table: 77 })]),
  );
  expect(qdiscs).toEqual(expect.arrayContaining([expect.objectContaining({ link: 'veth9', kind: 'tbf' })]));
  expect(json('namespaces/0.json')).toMatchObject({ path: container.path });
  expect(json('namespaces/0.json').routes).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ destination: '0.0.0.0/0', hops: [{ link: 'eth0', gateway: '10.9.0.1' }] }),
    ]),
  );
  expect(json('host/system.json').sysctls['kernel/ostype']).toBe('Linux');
});

test('no secret that was planted is in it, in any file, nor what lies outside its folders', async ({
  host,
  container,
}) => {
  const env = plant(host, container);
  const file = join(host.dir, 'report.tar');
  await collect(env, file);
  const whole = readFileSync(file, 'latin1');
  for (const [where, secret] of Object.entries(planted))
    expect([where, whole.includes(secret)]).toEqual([where, false]);
  for (const secret of Object.values(planted))
    expect(whole).not.toContain(Buffer.from(secret).toString('base64').slice(0, -4));
  const files = unpack(file, join(host.dir, 'unpacked'));
  const { masked, leftOut } = JSON.parse(files.get('manifest.json') ?? '{}');
  expect(masked).toEqual(
    expect.arrayContaining([
      { file: 'config/10-web.conflist', what: '/plugins/0/apiToken' },
      { file: 'config/10-web.conflist', what: '/plugins/0/endpoint: credentials in an address' },
      { file: 'config/20-broken.conflist', what: 'line 2: password' },
      { file: 'cache/web-c1-eth0', what: '/config/plugins/0/token' },
      { file: 'cache/web-c1-eth0', what: '/cniArgs/1 LICENCE' },
      { file: 'host/network.json', what: 'what is secret in another place' },
    ]),
  );
  const net = env.NETCONFPATH;
  expect(leftOut).toEqual(
    expect.arrayContaining([
      `${net}/50-link.conf: a link that leads out of the folder`,
      expect.stringMatching(/70-pipe\.conf: .*not a regular file/),
      `${net}/calico-kubeconfig: not of a kind that is read here`,
      expect.stringMatching(/networks\/web\/10\.9\.0\.3: a link that leads out/),
    ]),
  );
});

test('it changes nothing, and does not write over what is there', async ({ host, container }) => {
  const env = plant(host, container);
  const look = () => [snapshot(), host.sh(`cd ${host.dir}; ls -lR cache net.d networks`)];
  const before = look();
  const file = join(host.dir, 'report.tar');
  await collect(env, file);
  expect(look()).toEqual(before);
  expect(await collect(env, file)).toMatchObject({
    status: 2,
    stdout: '',
    stderr: `Error: ${file} is there already: name another file\n`,
  });
  const victim = join(host.dir, 'victim');
  symlinkSync(victim, join(host.dir, 'dangling.tar'));
  expect((await collect(env, join(host.dir, 'dangling.tar'))).status).toBe(3);
  expect(existsSync(victim)).toBe(false);
});

test('a name that ends with .gz is compressed', async ({ host, container }) => {
  const file = join(host.dir, 'report.tar.gz');
  expect((await collect(plant(host, container), file)).status).toBe(0);
  expect([...readFileSync(file).subarray(0, 2)]).toEqual([0x1f, 0x8b]);
  expect(unpack(file, join(host.dir, 'unpacked')).has('manifest.json')).toBe(true);
  expect(readdirSync(host.dir).filter((name) => name.includes('.part'))).toEqual([]);
});

test('a plugin that does not answer is told, and does not hold it up', { timeout: 60_000 }, async ({
  host,
  container,
}) => {
  const env = plant(host, container);
  writeFileSync(join(host.bin, 'bridge'), '#!/bin/sh\nexec sleep 600\n');
  chmodSync(join(host.bin, 'bridge'), 0o755);
  const file = join(host.dir, 'report.tar');
  expect((await collect(env, file)).status).toBe(0);
  const { leftOut } = JSON.parse(unpack(file, join(host.dir, 'unpacked')).get('manifest.json') ?? '{}');
  expect(leftOut).toContain('report list: bridge did not answer VERSION, and it would wait');
});

test('a node without anything has an archive too', async ({ host }) => {
  const file = join(host.dir, 'report.tar');
  const nowhere = join(host.dir, 'nowhere');
  expect(
    (await collect({ NETCONFPATH: nowhere, CNI_CACHE_DIR: nowhere, CNI_PATH: nowhere }, file)).status,
  ).toBe(0);
  const files = unpack(file, join(host.dir, 'unpacked'));
  expect(files.has('host/network.json')).toBe(true);
  rmSync(file);
});

describe('its bounds', () => {
  const bag = (limits: object) =>
    new Bag(new Masker(), { file: 100, whole: 1000, files: 3, time: 1000, ...limits });

  test('a file too long is cut between two lines, which the manifest tells', () => {
    const one = bag({});
    one.text('a', 'line of twenty chars\n'.repeat(20));
    const [manifest, file] = one.members({}, 'f');
    expect(file?.text).toMatch(/^(line of twenty chars\n){4}.*\(cut\)\n$/s);
    expect(manifest?.text).toContain('a: what comes after 100 of 420 letters');
  });

  test('no more files, and no more in all, than that', () => {
    const many = bag({});
    for (let at = 0; at < 5; at++) many.text(`f${at}`, 'x');
    expect(many.members({}, 'f').map(({ name }) => name)).toEqual([
      'f/manifest.json',
      'f/f0',
      'f/f1',
      'f/f2',
    ]);
    const big = bag({ files: 100, whole: 150 });
    for (let at = 0; at < 5; at++) big.text(`f${at}`, 'x'.repeat(90));
    expect(big.members({}, 'f')).toHaveLength(3);
  });

  test('no part is begun after the time, and one that fails does not end it', async () => {
    const late = bag({ time: -1 });
    await late.part('late', () => late.text('late', ''));
    expect(
      late
        .members({}, 'f')
        .map(({ text }) => text)
        .join(''),
    ).toContain('late: the time was over');
    const failing = bag({});
    await failing.part('bad', () => {
      throw new Error('no such thing');
    });
    expect(failing.members({}, 'f')[0]?.text).toContain('bad: no such thing');
  });

  test('names from elsewhere lead nowhere: no part begins with a dot, none is too long, none stands for two', () => {
    const odd = bag({ files: 10 });
    for (const name of ['cache/../../etc/passwd', `cache/${'x'.repeat(300)}`, 'a b', 'a_b'])
      odd.text(name, '');
    const names = odd.members({}, 'f').map(({ name }) => name);
    expect(names.filter((name) => /(^|\/)\.|[^\w./:@+-]/.test(name) || name.length > 100)).toEqual([]);
    expect(new Set(names).size).toBe(5);
  });
});
