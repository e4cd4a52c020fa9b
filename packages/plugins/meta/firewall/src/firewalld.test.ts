import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, type Call, type Command, call, succeed } from '@cni-ts/testing/call';
import { test as base, type Host } from '@cni-ts/testing/namespaces';
import { programOf } from '@cni-ts/testing/plugin-process';
import { snapshot } from '@cni-ts/testing/snapshot';
import { hasBus, hasFirewalld, startBus, startFirewalld } from '@cni-ts/testing/system-bus';
import dbus from 'dbus-native';
import { describe, expect } from 'vitest';
import { firewall } from './firewall.ts';

const name = 'org.fedoraproject.FirewallD1';
const given = (host: Host, more: object = {}): Call => ({
  config: {
    cniVersion: '1.0.0',
    name: 'net',
    type: 'firewall',
    backend: 'firewalld',
    dataDir: join(host.dir, 'firewall'),
    ...more,
  },
  netns: '/run/netns/none',
  prevResult: {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'bridge0' }],
    ips: [{ address: '10.0.0.2/24' }, { address: '2001:db8:1:2::1/64' }],
  },
});
const [v4, v6] = ['10.0.0.2/32', '2001:db8:1:2::1/128'];
const noChains = (host: Host) =>
  expect(host.sh('iptables -S; ip6tables -S; nft list ruleset')).not.toMatch(/CNI-|cni_plugins/);
const remembered = (host: Host) =>
  existsSync(join(host.dir, 'firewall')) ? readdirSync(join(host.dir, 'firewall')) : [];

/** Every test has a bus; nobody is on it yet. */
const test = base.extend<{ bus: string }>({
  bus: [
    async ({ host }, use) => {
      const { address, stop } = await startBus(host.dir.replace(/files$/, 'bin'));
      process.env.DBUS_SYSTEM_BUS_ADDRESS = address;
      await use(address);
      await stop();
    },
    { auto: true },
  ],
});

/** What firewalld was asked, `addSource trusted 10.0.0.2/32`; answers are what `reply` says: a value, or an error. */
interface Fake {
  readonly calls: string[];
  reply: (member: string, address: string) => unknown;
  stop(): Promise<void>;
}

async function fakeFirewalld(address: string): Promise<Fake> {
  const bus = dbus.createClient({ busAddress: address, fdTransport: false });
  const fake: Fake = {
    calls: [],
    reply: (member, one) => (member === 'querySource' ? true : one),
    stop: async () => {
      const closed = new Promise((resolve) => bus.connection.once('end', resolve));
      bus.connection.end();
      await closed;
    },
  };
  const member = (what: string) => (zone: string, one: string) => {
    fake.calls.push(`${what} ${zone} ${one}`);
    const answer = fake.reply(what, one);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const zone = { addSource: ['ss', 's'], removeSource: ['ss', 's'], querySource: ['ss', 'b'] } as const;
  const implementation = Object.fromEntries(Object.keys(zone).map((what) => [what, member(what)]));
  bus.exportInterface(implementation, '/org/fedoraproject/FirewallD1', {
    name: `${name}.zone`,
    methods: Object.fromEntries(
      Object.entries(zone).map(([what, [takes, gives]]) => [what, [takes, gives, [], []]]),
    ),
  });
  await bus.requestName(name, 0);
  return fake;
}

/** Calls the plugin as a process: it waits for answers, and the fake that gives them lives in ours. */
async function callProcess(
  command: Command,
  { config, prevResult, containerId = 'c1', netns }: Call,
): Promise<Pick<Answer, 'stderr' | 'error'>> {
  const env = {
    PATH: process.env.PATH,
    DBUS_SYSTEM_BUS_ADDRESS: process.env.DBUS_SYSTEM_BUS_ADDRESS,
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/nonexistent',
  };
  const [program, ...args] = programOf(firewall);
  const [failure, stdout, stderr] = await new Promise<[unknown, string, string]>((resolve) => {
    const child = execFile(program, args, { env }, (...how) => resolve(how));
    child.stdin?.end(JSON.stringify({ ...config, prevResult }));
  });
  if (failure && stdout === '') throw new Error(`the plugin's process ended without an answer: ${stderr}`);
  return { stderr, error: failure ? JSON.parse(stdout) : undefined };
}

async function succeedProcess(...given: Parameters<typeof callProcess>): ReturnType<typeof callProcess> {
  const answer = await callProcess(...given);
  expect(answer.error).toBeUndefined();
  return answer;
}

describe.skipIf(!hasBus())('a firewalld that notes what it is asked', () => {
  test('ADD binds each address to the zone, DEL takes them out, and iptables is left alone (firewall 15)', async ({
    host,
    bus,
  }) => {
    const fake = await fakeFirewalld(bus);
    await succeedProcess('ADD', given(host));
    expect(fake.calls).toEqual([`addSource trusted ${v4}`, `addSource trusted ${v6}`]);
    fake.calls.length = 0;
    await succeedProcess('CHECK', given(host));
    expect(fake.calls).toEqual([`querySource trusted ${v4}`, `querySource trusted ${v6}`]);
    fake.calls.length = 0;
    await succeedProcess('DEL', given(host));
    expect(fake.calls).toEqual([`removeSource trusted ${v4}`, `removeSource trusted ${v6}`]);
    noChains(host);
    expect(remembered(host)).toEqual([]);
    await fake.stop();
  });

  test('it is chosen where it is on the bus, and iptables where its name is not (firewall 16)', async ({
    host,
    bus,
  }) => {
    const auto = given(host, { backend: undefined });
    await succeedProcess('ADD', auto);
    expect(host.sh('iptables -S CNI-FORWARD')).toContain(v4);
    const fake = await fakeFirewalld(bus);
    // It came between ADD and DEL: what iptables has goes all the same.
    await succeedProcess('DEL', auto);
    expect(host.sh('iptables -S CNI-FORWARD')).not.toContain(v4);
    fake.calls.length = 0;
    await succeedProcess('ADD', auto);
    expect(fake.calls).toEqual([`addSource trusted ${v4}`, `addSource trusted ${v6}`]);
    expect(host.sh('iptables -S CNI-FORWARD')).not.toContain(v4);
    await succeedProcess('CHECK', auto);
    await fake.stop();
    // It went before DEL, which does not wait for it. Whoever meets it next takes the addresses out.
    const gone = await succeedProcess('DEL', auto);
    expect(gone.stderr).toContain('firewalld could not be told to forget the addresses in');
    await succeedProcess('DEL', auto);
    const back = await fakeFirewalld(bus);
    const prevResult = { cniVersion: '1.0.0', ips: [{ address: '10.0.0.9/24' }] };
    await succeedProcess('ADD', { ...auto, containerId: 'next', prevResult });
    expect(back.calls).toEqual([
      'addSource trusted 10.0.0.9/32',
      `removeSource trusted ${v4}`,
      `removeSource trusted ${v6}`,
    ]);
    expect(remembered(host)).toHaveLength(1);
    await back.stop();
  });

  test('an address that is in the zone already is fine; what else it says is told, and nothing stays (firewall 17)', async ({
    host,
    bus,
  }) => {
    const fake = await fakeFirewalld(bus);
    const isFirst = (what: string, one: string) => what === 'addSource' && one === v4;
    fake.reply = (what, one) => (isFirst(what, one) ? new Error(`ZONE_ALREADY_SET: ${one}`) : one);
    await succeedProcess('ADD', given(host));
    await succeedProcess('DEL', given(host));
    fake.calls.length = 0;
    fake.reply = (what, one) => (what === 'addSource' && one === v6 ? new Error('INVALID_ADDR: no') : one);
    const refused = await callProcess('ADD', given(host));
    expect(refused.error?.msg).toMatch(
      new RegExp(`^failed to add the address ${v6} to trusted zone: .*INVALID_ADDR: no`),
    );
    expect(fake.calls).toContain(`removeSource trusted ${v4}`);
    expect(remembered(host)).toEqual([]);
    await fake.stop();
  });

  test('the zone of the configuration is used in every call (firewall 18)', async ({ host, bus }) => {
    const fake = await fakeFirewalld(bus);
    for (const command of ['ADD', 'CHECK', 'DEL'] as const) {
      await succeedProcess(command, given(host, { firewalldZone: 'dmz' }));
    }
    expect(fake.calls).toHaveLength(6);
    for (const one of fake.calls) expect(one).toMatch(/ dmz /);
    await fake.stop();
  });

  test('CHECK tells an address that is not in the zone, and a call that fails (firewall 19)', async ({
    host,
    bus,
  }) => {
    const fake = await fakeFirewalld(bus);
    await succeedProcess('ADD', given(host));
    fake.reply = (_, one) => one !== v4;
    const denied = await callProcess('CHECK', given(host));
    expect(denied.error?.msg).toBe(`failed to find the address ${v4} in trusted zone`);
    fake.reply = () => new Error('INVALID_ZONE: trusted');
    const failed = await callProcess('CHECK', given(host));
    expect(failed.error?.msg).toMatch(new RegExp(`^failed to find the address ${v4} in trusted zone`));
    await fake.stop();
  });

  test('a policy’s chains are made beside it (firewall 26)', async ({ host, bus }) => {
    const fake = await fakeFirewalld(bus);
    const isolated = given(host, { ingressPolicy: 'same-bridge' });
    await succeedProcess('ADD', isolated);
    await succeedProcess('CHECK', isolated);
    for (const tool of ['iptables', 'ip6tables']) {
      const rules = host.sh(`${tool} -S`);
      expect(rules).toContain('-A CNI-ISOLATION-STAGE-2 -o bridge0 ');
      expect(rules).not.toContain('CNI-FORWARD ');
    }
    await fake.stop();
  });

  test('where another firewall drops what is forwarded, the rules are made as well', async ({
    host,
    bus,
  }) => {
    const fake = await fakeFirewalld(bus);
    host.sh('iptables -P FORWARD DROP; ip6tables -P FORWARD DROP');
    await succeedProcess('ADD', given(host));
    await succeedProcess('CHECK', given(host));
    expect(host.sh('iptables -S CNI-FORWARD')).toContain(v4);
    await succeedProcess('DEL', given(host));
    expect(host.sh('iptables -S CNI-FORWARD')).not.toContain(v4);
    await fake.stop();
  });

  test('GC takes out what lost attachments of the network have, and DEL needs no prevResult', async ({
    host,
    bus,
  }) => {
    const fake = await fakeFirewalld(bus);
    await succeedProcess('ADD', { ...given(host), containerId: 'lost' });
    const other = { name: 'other' };
    const prevResult = { cniVersion: '1.0.0', ips: [{ address: '10.0.0.9/24' }] };
    await succeedProcess('ADD', { ...given(host, other), containerId: 'lost', prevResult });
    fake.calls.length = 0;
    const { config } = given(host, { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
    await succeedProcess('GC', { config });
    expect(fake.calls).toEqual([`removeSource trusted ${v4}`, `removeSource trusted ${v6}`]);
    fake.calls.length = 0;
    await succeedProcess('DEL', { ...given(host, other), containerId: 'lost', prevResult: undefined });
    expect(fake.calls).toEqual(['removeSource trusted 10.0.0.9/32']);
    expect(remembered(host)).toEqual([]);
    await fake.stop();
  });
});

base(
  'without a bus ADD and CHECK tell which socket is missing; DEL has nothing to remove (firewall 20)',
  async ({ host }) => {
    process.env.DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent/bus';
    const before = snapshot(undefined, host.dir);
    for (const command of ['ADD', 'CHECK'] as const) {
      const { error } = await call(firewall, command, given(host));
      expect(error?.msg).toBe('dial unix /nonexistent/bus: connect: no such file or directory');
    }
    await succeed(firewall, 'DEL', given(host));
    expect(snapshot(undefined, host.dir)).toEqual(before);
    const status = await call(firewall, 'STATUS', { config: { ...given(host).config, cniVersion: '1.1.0' } });
    expect(status.error).toMatchObject({ code: 50, msg: expect.stringContaining('not on the system bus') });
  },
);

describe.skipIf(!hasFirewalld())('a real firewalld', () => {
  const sources = (host: Host, more = '') =>
    host.sh(`firewall-cmd ${more} --zone=trusted --list-sources`).trim().split(' ').filter(Boolean).sort();

  test('lets the container alone through, also after a reload, and nothing is left after DEL', async ({
    host,
  }) => {
    const { stop } = await startFirewalld(join(host.bin, 'firewalld'));
    const outside = host.container('outside');
    const inside = host.container('inside');
    // While a link-local address waits for duplicate detection, the kernel asks nobody's IPv6 neighbours.
    const atOnce = 'cd /proc/sys/net/ipv6/conf/default; echo 0 >accept_dad; echo 0 >dad_transmits';
    for (const place of [host, outside, inside]) place.sh(atOnce);
    const connect = (one: typeof inside, link: string, subnet: string, subnet6: string) => {
      host.sh(`ip link add ${link} type veth peer name x${link}; ip link set x${link} netns ${one.path} name eth0
        ip addr add ${subnet}.1/24 dev ${link}; ip addr add ${subnet6}::1/64 dev ${link} nodad; ip link set ${link} up`);
      one.sh(`ip link set lo up; ip addr add ${subnet}.2/24 dev eth0; ip addr add ${subnet6}::2/64 dev eth0 nodad
        ip link set eth0 up; ip route add default via ${subnet}.1; ip route add default via ${subnet6}::1`);
    };
    host.sh('echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding');
    connect(outside, 'out0', '192.0.2', 'fd00:ff');
    connect(inside, 'in0', '10.0.0', '2001:db8:1:2');
    const reaches = (from: typeof inside, ...ips: string[]) =>
      ips.map((ip) => from.succeeds(`ping -c 3 -i 0.2 -W 0.3 -q ${ip}`));
    const auto = given(host, { backend: undefined });
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'bridge0' }],
      ips: [{ address: '10.0.0.2/24' }, { address: '2001:db8:1:2::2/64' }],
    };
    const there = ['192.0.2.2', 'fd00:ff::2'];
    expect(reaches(inside, ...there)).toEqual([false, false]);
    await succeed(firewall, 'ADD', { ...auto, prevResult });
    expect(reaches(inside, ...there)).toEqual([true, true]);
    expect(reaches(outside, '10.0.0.2', '2001:db8:1:2::2')).toEqual([false, false]);
    await succeed(firewall, 'ADD', { ...auto, prevResult });
    await succeed(firewall, 'CHECK', { ...auto, prevResult });
    // firewalld itself lets connections through whose destination was translated.
    host.sh(`nft add table ip pub; nft add chain ip pub pre '{ type nat hook prerouting priority -100; }'
      nft add rule ip pub pre ip daddr 198.51.100.1 dnat to 10.0.0.2`);
    outside.sh('ip route add 198.51.100.0/24 via 192.0.2.1');
    expect(reaches(outside, '198.51.100.1')).toEqual([true]);

    host.sh('firewall-cmd --reload');
    await succeed(firewall, 'CHECK', { ...auto, prevResult });
    expect(reaches(inside, ...there)).toEqual([true, true]);
    expect(sources(host)).toEqual(['10.0.0.2/32', '2001:db8:1:2::2/128']);

    await succeed(firewall, 'DEL', { ...auto, prevResult });
    await succeed(firewall, 'DEL', { ...auto, prevResult });
    expect(reaches(inside, ...there)).toEqual([false, false]);
    expect([sources(host), sources(host, '--permanent')]).toEqual([[], []]);
    const zone = join(host.bin, 'firewalld/zones/trusted.xml');
    if (existsSync(zone)) expect(readFileSync(zone, 'utf8')).not.toContain('source');
    const gone = await call(firewall, 'CHECK', { ...auto, prevResult });
    expect(gone.error?.msg).toMatch(/^failed to find the address 10\.0\.0\.2\/32 in trusted zone/);
    noChains(host);
    await stop();
  });

  test('a failed second ADD leaves what it had been told, and an earlier holder’s memory of the address', async ({
    host,
  }) => {
    const { stop } = await startFirewalld(join(host.bin, 'firewalld'));
    const interrupted = { interrupted: () => 'SIGTERM' };
    await succeed(firewall, 'ADD', given(host));
    const before = [sources(host), sources(host, '--permanent'), remembered(host)];
    expect(before[0]).toHaveLength(2);
    for (const containerId of ['c1', 'c2']) {
      const failed = await call(firewall, 'ADD', { ...given(host), containerId, ...interrupted });
      expect(failed.error?.code).toBe(11);
      expect([sources(host), sources(host, '--permanent'), remembered(host)]).toEqual(before);
    }
    await succeed(firewall, 'DEL', { ...given(host), prevResult: undefined });
    expect([sources(host), sources(host, '--permanent'), remembered(host)]).toEqual([[], [], []]);
    await stop();
  });

  test('tells a zone that it does not have', async ({ host }) => {
    const { stop } = await startFirewalld(join(host.bin, 'firewalld'));
    const refused = await call(firewall, 'ADD', given(host, { firewalldZone: 'nowhere' }));
    expect(refused.error?.msg).toMatch(
      /^failed to add the address 10\.0\.0\.2\/32 to nowhere zone: .*INVALID_ZONE/,
    );
    await succeed(firewall, 'DEL', given(host, { firewalldZone: 'nowhere' }));
    expect(remembered(host)).toEqual([]);
    await stop();
  });
});
