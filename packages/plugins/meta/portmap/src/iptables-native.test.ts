/** Rules of iptables-nft that no program writes: those of every attachment, once the host's built-in chains are there. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import type { Container, Host } from '@cni-ts/testing/namespaces';
import { test } from '@cni-ts/testing/namespaces';
import { goPlugins } from '@cni-ts/testing/needs';
import {
  callsOf,
  connect,
  hostAddresses,
  makeWorld,
  mappings,
  Peer,
  resultOf,
  worldAddresses,
} from '@cni-ts/testing/published-ports';
import { afterEach, expect } from 'vitest';
import { portmap } from './portmap.ts';

afterEach(() => onKernelWrite(undefined));

const web = { backend: 'iptables', ...mappings([8080, 80]) };
const rules = (host: Host) =>
  host
    .sh('iptables-save -t nat; ip6tables-save -t nat')
    .split('\n')
    .filter((line) => line.startsWith('-A'));

/** Another attachment, so that the built-in chains are there, and while it stays what all share. */
async function first(container: Container, { stays = true } = {}): Promise<void> {
  const other = { backend: 'iptables', ...mappings([9999, 99]) };
  const { ok } = callsOf(portmap, container);
  await ok('ADD', other, { containerId: 'c0' });
  if (!stays) await ok('DEL', other, { containerId: 'c0' });
}

/** What is written to the kernel meanwhile. `refusing`: the kernel refuses every transaction that makes a chain. */
async function written(work: () => Promise<unknown>, { refusing = false } = {}): Promise<string[]> {
  const writes: string[] = [];
  onKernelWrite((what) => {
    writes.push(what);
    if (refusing && what.includes('create chain')) throw new SyscallError(what, 'EOPNOTSUPP', 'refused');
  });
  await work();
  onKernelWrite(undefined);
  return writes;
}
const programs = (writes: readonly string[]) => writes.filter((what) => /^ip6?tables/.test(what));

test.for([
  ['tcp and udp', ['10.254.0.2/24', '2001:db8::2/64'], {}],
  ['odd prefixes', ['10.254.1.2/20', '2001:db8::2/61'], {}],
  ['small subnets', ['10.254.0.130/25', '2001:db8::2/127'], {}],
  ['masqAll', ['10.254.0.2/24', '2001:db8::2/64'], { masqAll: true }],
  ['no snat', ['10.254.0.2/24', '2001:db8::2/64'], { snat: false }],
  ['IPv4 alone', ['10.1.0.2/8'], {}],
  ['nobody else', ['10.254.0.2/24', '2001:db8::2/64'], { markMasqBit: 31 }],
] as const)(
  '%s: the rules are those that iptables-restore makes',
  async ([what, addresses, options], { host, container }) => {
    const ports = mappings(
      ...Array.from({ length: 17 }, (_, i) => [9000 + i, 80 + i] as const),
      [8080, 80],
      [8080, 80, 'udp'],
      [8080, 80, 'sctp'],
      [8083, 83, 'tcp', '192.168.0.2'],
      [8085, 85, 'udp', '2001:db8:a::1'],
    );
    await first(container, { stays: what !== 'nobody else' });
    const { ok } = callsOf(portmap, container, resultOf(container, [...addresses]));
    const own = { backend: 'iptables', ...ports, ...options };
    const before = rules(host);
    expect(programs(await written(() => ok('ADD', own)))).toEqual([]);
    const ours = rules(host);
    host.sh('iptables -t nat -S >/dev/null; ip6tables -t nat -S >/dev/null');
    await ok('CHECK', own);
    expect(programs(await written(() => ok('DEL', own)))).toEqual([]);
    expect(rules(host)).toEqual(before);
    const byProgram = programs(await written(() => ok('ADD', own), { refusing: true }));
    expect(byProgram).toEqual(['iptables-restore', 'ip6tables-restore'].slice(0, addresses.length));
    expect(ours).toEqual(rules(host));
    await ok('CHECK', own);
  },
);

test('both families are one transaction; conditions are left to the program, of their family', async ({
  host,
  container,
}) => {
  await first(container);
  const { ok } = callsOf(portmap, container);
  const writes = await written(() => ok('ADD', web));
  expect(writes.filter((what) => what.includes('create chain'))).toEqual([
    expect.stringMatching(/create chain ip nat CNI-DN-.*create chain ip6 nat CNI-DN-/),
  ]);
  await ok('DEL', web);
  const own = { ...web, conditionsV4: ['-i', 'eth+'], conditionsV6: ['!', '-s', '2001:db8:9::/48'] };
  expect(programs(await written(() => ok('ADD', own)))).toEqual(['iptables-restore']);
  expect(rules(host).join('\n')).toContain('-A CNI-HOSTPORT-DNAT ! -s 2001:db8:9::/48 -p tcp -m comment');
  await ok('CHECK', own);
});

test('a shared rule that somebody removed comes back', async ({ host, container }) => {
  await first(container);
  host.sh('iptables -t nat -F PREROUTING');
  const { ok } = callsOf(portmap, container);
  expect(programs(await written(() => ok('ADD', web)))).toEqual([]);
  await ok('CHECK', web);
  await ok('CHECK', { backend: 'iptables', ...mappings([9999, 99]) }, { containerId: 'c0' });
});

// The Go plugin's CHECK looks for the rules of either family in both, so the other's program is kept from it.
test.skipIf(!goPlugins()).for([
  ['10.254.17.2/20', '192.168.0.2', 'iptables'],
  ['2001:db8::2/61', '2001:db8:a::1', 'ip6tables'],
] as const)(
  'the Go plugin’s CHECK accepts the rules for %s, its DEL removes them',
  async ([address, hostIp, program], { host, container }) => {
    const prevResult = resultOf(container, [address]);
    const ports = mappings([8080, 80], [8081, 81, 'udp'], [8082, 82, 'tcp', hostIp]);
    const theirs = (command: string, path = process.env.PATH) =>
      spawnSync(join(goPlugins()!, 'portmap'), {
        encoding: 'utf8',
        input: JSON.stringify({
          cniVersion: '1.0.0',
          name: 'test',
          type: 'portmap',
          ...ports,
          prevResult: { ...prevResult, cniVersion: '1.0.0' },
        }),
        env: {
          PATH: path,
          CNI_COMMAND: command,
          CNI_CONTAINERID: 'c1',
          CNI_NETNS: join(host.dir, 'ns'),
          CNI_IFNAME: 'eth0',
          CNI_PATH: '/',
        },
      });
    await first(container);
    const before = rules(host);
    const { ok } = callsOf(portmap, container, prevResult);
    const add = () => ok('ADD', { backend: 'iptables', ...ports });
    expect(programs(await written(add))).toEqual([]);
    const bin = join(host.dir, 'bin');
    host.sh(`mkdir ${bin}; ln -s $(which ${program}) ${bin}/`);
    expect(theirs('CHECK', bin)).toMatchObject({ status: 0, stdout: '' });
    expect(theirs('DEL')).toMatchObject({ status: 0 });
    expect(rules(host)).toEqual(before);
  },
);

test('a port published without a process is reached from everywhere', async ({ host, container }) => {
  const prevResult = connect(host, container);
  const world = makeWorld(host);
  await first(container);
  const peers = await Promise.all([
    Peer.start('world', world, []),
    Peer.start('host', host, [8080]),
    Peer.start('c1', container, [80]),
  ]);
  try {
    const { ok } = callsOf(portmap, container, prevResult);
    const own = { backend: 'iptables', ...mappings([8080, 80], [8080, 80, 'udp']) };
    expect(programs(await written(() => ok('ADD', own)))).toEqual([]);
    const [far, here, inside] = peers;
    const [host4, host6] = [hostAddresses[4][0]!, hostAddresses[6][0]!];
    for (const protocol of ['tcp', 'udp'] as const) {
      const at = (address: string) => ({ protocol, address, port: 8080 });
      expect(await far.ask(at(host4), at(host6))).toEqual([
        { name: 'c1:80', client: worldAddresses[4] },
        { name: 'c1:80', client: worldAddresses[6] },
      ]);
      for (const [peer, addresses] of [
        [here, ['127.0.0.1', host4, host6]],
        [inside, [host4, host6]],
      ] as const) {
        const answers = await peer.ask(...addresses.map(at));
        expect(answers.map((one) => one?.name)).toEqual(addresses.map(() => 'c1:80'));
      }
    }
  } finally {
    for (const peer of peers) peer.stop();
  }
});
