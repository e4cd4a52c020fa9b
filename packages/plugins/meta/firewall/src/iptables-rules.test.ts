import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Call, call, succeed } from '@cni-ts/testing/call';
import { type Host, test } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { writeProgram } from '@cni-ts/testing/shell';
import { snapshot } from '@cni-ts/testing/snapshot';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import { firewall } from './firewall.ts';

type Tool = 'iptables' | 'ip6tables';
const both: Tool[] = ['iptables', 'ip6tables'];

const interfaces = [{ name: 'bridge0' }, { name: 'veth0' }, { name: 'eth0', sandbox: '/run/netns/c1' }];
const [v4, v6] = [
  { address: '10.0.0.2/24', interface: 2 },
  { address: '2001:db8:1:2::1/64', interface: 2 },
];
const result = (ips: object[] = [v4, v6], more: object = {}) => ({
  cniVersion: '1.0.0',
  interfaces,
  ips,
  ...more,
});
const config = (more: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'net',
  type: 'firewall',
  backend: 'iptables',
  ...more,
});
/** A call for a container with both addresses. */
const given = (more: object = {}, prevResult: object = result()): Call => ({
  config: config(more),
  netns: '/run/netns/c1',
  prevResult,
});

/** The rules as iptables lists them, without the chain that only says whose they are. */
function rules(host: Host, tool: Tool, chain = ''): string[] {
  const all = host.sh(`${tool} -S ${chain}`).trim().split('\n');
  return all.filter((line) => /^-A/.test(line) && !line.includes('CNI-FORWARD-OWNERS'));
}

const addressRules = (address: string) => [
  `-A CNI-FORWARD -d ${address} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  `-A CNI-FORWARD -s ${address} -j ACCEPT`,
];
const forwardJump = '-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD';
const adminJump = (to = 'CNI-ADMIN') =>
  `-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j ${to}`;
const address = { iptables: '10.0.0.2/32', ip6tables: '2001:db8:1:2::1/128' };

/** A PATH in which these names lead to one variant of the programs, and nothing else but what the tests type. */
function programs(host: Host, variant: 'nft' | 'legacy', names: readonly string[] = both): string {
  const folder = join(host.bin, 'tools');
  mkdirSync(folder);
  for (const name of names) {
    for (const action of ['', '-save', '-restore']) {
      symlinkSync(`/usr/sbin/xtables-${variant}-multi`, join(folder, name + action));
    }
  }
  return folder;
}

const path = process.env.PATH;
beforeEach(() => {
  process.env.DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent/bus';
});
afterEach(() => {
  process.env.PATH = path;
});

describe.each(['nft', 'legacy'] as const)('iptables (%s)', (variant) => {
  const it = test.skipIf(variant === 'legacy' && !has('legacy iptables'));
  beforeEach<{ host: Host }>(({ host }) => {
    process.env.PATH = `${programs(host, variant)}:${path}`;
  });

  it('ADD lets an attachment’s addresses through in both families and repeats prevResult (firewall 1)', async ({
    host,
  }) => {
    const added = await succeed(firewall, 'ADD', given());
    expect(added.result).toMatchObject(result());
    for (const tool of both) {
      expect(rules(host, tool)).toEqual([forwardJump, adminJump(), ...addressRules(address[tool])]);
    }
  });

  it('a family without addresses is left alone (firewall 2)', async ({ host }) => {
    await succeed(firewall, 'ADD', given({}, result([v4])));
    expect(rules(host, 'iptables')).toHaveLength(4);
    expect(host.sh('ip6tables -S')).not.toContain('CNI-');
  });

  it('without addresses nothing is made, whatever the policy (firewall 3)', async ({ host }) => {
    const before = snapshot();
    await succeed(firewall, 'ADD', given({ ingressPolicy: 'isolated' }, result([])));
    expect(snapshot()).toEqual(before);
    expect(host.sh('iptables -S; ip6tables -S')).not.toContain('CNI-');
  });

  it('a second ADD adds no second rule (firewall 4)', async ({ host }) => {
    const policy = { ingressPolicy: 'isolated' };
    await succeed(firewall, 'ADD', given(policy));
    const once = both.map((tool) => host.sh(`${tool} -S`));
    await succeed(firewall, 'ADD', given(policy));
    expect(both.map((tool) => host.sh(`${tool} -S`))).toEqual(once);
  });

  it('the jump stands before the rules that FORWARD has already, and these stay (firewall 5)', async ({
    host,
  }) => {
    const foreign = '-A FORWARD -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -m mark --mark 0x7 -j DROP';
    host.sh(`iptables ${foreign}`);
    await succeed(firewall, 'ADD', given());
    expect(rules(host, 'iptables', 'FORWARD')).toEqual([forwardJump, foreign]);
    await succeed(firewall, 'DEL', given());
    expect(rules(host, 'iptables', 'FORWARD')).toEqual([forwardJump, foreign]);
  });

  it('the administrator’s chain may have another name, which must be one (firewall 6)', async ({ host }) => {
    await succeed(firewall, 'ADD', given({ iptablesAdminChainName: 'MYADMIN' }));
    expect(host.sh('iptables -S')).toContain('-N MYADMIN');
    expect(rules(host, 'iptables', 'CNI-FORWARD')[0]).toBe(adminJump('MYADMIN'));
    const longest = { iptablesAdminChainName: 'A'.repeat(28) };
    await succeed(firewall, 'ADD', given(longest));
    const before = snapshot();
    for (const name of ['A'.repeat(37), 'CNI-FORWARD', 'DROP', 'with space', '-j']) {
      const refused = await call(firewall, 'ADD', given({ iptablesAdminChainName: name }));
      expect(refused.error, name).toMatchObject({
        code: 7,
        msg: expect.stringMatching(/^iptablesAdminChainName: /),
      });
      if (name.length === 37) expect(refused.error?.msg).toContain('too long');
    }
    expect(snapshot()).toEqual(before);
  });

  it('what the administrator put into the chain survives ADD and DEL (firewall 7)', async ({ host }) => {
    host.sh('iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -s 10.0.0.2/32 -d 192.0.2.1/32 -j DROP');
    const [rule] = rules(host, 'iptables', 'CNI-ADMIN');
    await succeed(firewall, 'ADD', given());
    expect(rules(host, 'iptables', 'CNI-ADMIN')).toEqual([rule]);
    await succeed(firewall, 'DEL', given());
    expect(rules(host, 'iptables', 'CNI-ADMIN')).toEqual([rule]);
  });

  it('DEL takes the attachment’s rules; chains, jumps and other containers’ rules stay (firewall 8)', async ({
    host,
  }) => {
    const other = result([{ address: '10.0.0.3/24' }, { address: '2001:db8:1:2::3/64' }]);
    await succeed(firewall, 'ADD', { ...given({}, other), containerId: 'other' });
    const before = both.map((tool) => host.sh(`${tool} -S`));
    await succeed(firewall, 'ADD', given());
    await succeed(firewall, 'DEL', given());
    expect(both.map((tool) => host.sh(`${tool} -S`))).toEqual(before);
    await succeed(firewall, 'DEL', { ...given({}, other), containerId: 'other' });
    for (const tool of both) {
      expect(rules(host, tool)).toEqual([forwardJump, adminJump()]);
      expect(host.sh(`${tool} -S`)).toContain('-N CNI-ADMIN');
    }
  });

  it('DEL succeeds twice, without prevResult (and still finds the rules), and without a namespace (firewall 9)', async ({
    host,
  }) => {
    for (const changed of [{}, { prevResult: undefined }, { netns: '' }]) {
      await succeed(firewall, 'ADD', given());
      await succeed(firewall, 'DEL', { ...given(), ...changed });
      expect(rules(host, 'iptables'), JSON.stringify(changed)).toEqual([forwardJump, adminJump()]);
      expect(rules(host, 'ip6tables'), JSON.stringify(changed)).toEqual([forwardJump, adminJump()]);
      await succeed(firewall, 'DEL', { ...given(), ...changed });
    }
  });

  it('DEL goes by what is an address in a prevResult that is broken or of another version', async ({
    host,
  }) => {
    const ips = [null, { address: 'none' }, v4, { Address: v6.address }];
    for (const prevResult of [
      { cniVersion: '0.2.0', ip4: { ip: v4.address }, ip6: { ip: v6.address } },
      { cniVersion: '1.0.0', interfaces: 'none', ips },
    ]) {
      await succeed(firewall, 'ADD', given());
      // Without an owner written down, as the reference makes them.
      for (const tool of both) host.sh(`${tool} -F CNI-FORWARD-OWNERS`);
      await succeed(firewall, 'DEL', given({}, prevResult));
      for (const tool of both) expect(rules(host, tool)).toEqual([forwardJump, adminJump()]);
    }
  });

  it('CHECK names what is missing (firewall 10)', async ({ host }) => {
    await succeed(firewall, 'ADD', given());
    expect((await succeed(firewall, 'CHECK', given())).stdout).toBe('');
    const wrong = async (more: object = {}) => (await call(firewall, 'CHECK', given(more))).error;
    expect(await wrong({ iptablesAdminChainName: 'OTHER' })).toMatchObject({
      code: 999,
      msg: expect.stringMatching(
        /^expected CNI-FORWARD rule \[-m comment --comment CNI firewall plugin admin overrides -j OTHER\] not found/,
      ),
    });
    host.sh('iptables -D CNI-FORWARD -s 10.0.0.2/32 -j ACCEPT');
    expect((await wrong())?.msg).toBe('expected rule [-s 10.0.0.2/32 -j ACCEPT] not found');
    await succeed(firewall, 'ADD', given());
    host.sh('iptables -D FORWARD 1');
    expect((await wrong())?.msg).toBe(
      'expected FORWARD rule [-m comment --comment CNI firewall plugin rules -j CNI-FORWARD] not found',
    );
  });

  it('CHECK on a clean host tells that nothing is there, and makes nothing (firewall 11)', async ({
    host,
  }) => {
    const before = snapshot();
    const checked = await call(firewall, 'CHECK', given());
    expect(checked.error?.msg).toMatch(
      /^expected FORWARD rule \[-m comment --comment CNI firewall plugin rules -j CNI-FORWARD\] not found/,
    );
    expect(snapshot()).toEqual(before);
    expect(host.sh('iptables -S; ip6tables -S')).not.toContain('CNI-');
  });

  it('same-bridge makes the two stages, asked before the containers’ rules (firewall 21)', async ({
    host,
  }) => {
    await succeed(firewall, 'ADD', given({ ingressPolicy: 'same-bridge' }));
    for (const tool of both) {
      expect(rules(host, tool, 'FORWARD')).toEqual([stageJump, forwardJump]);
      expect(rules(host, tool, 'CNI-ISOLATION-STAGE-1')).toEqual([leaving('bridge0'), back(1)]);
      expect(rules(host, tool, 'CNI-ISOLATION-STAGE-2')).toEqual([...entering('bridge0'), back(2)]);
    }
    await succeed(firewall, 'CHECK', given({ ingressPolicy: 'same-bridge' }));
    host.sh('ip6tables -D CNI-ISOLATION-STAGE-2 2');
    const checked = await call(firewall, 'CHECK', given({ ingressPolicy: 'same-bridge' }));
    expect(checked.error?.msg).toContain('-o bridge0');
  });

  it('isolated also drops from the bridge to itself; same-bridge for the same bridge comes on top (firewall 22)', async ({
    host,
  }) => {
    await succeed(firewall, 'ADD', given({ ingressPolicy: 'isolated' }));
    const stage1 = [...within, leaving('bridge0', 'isolated'), back(1)];
    expect(rules(host, 'iptables', 'CNI-ISOLATION-STAGE-1')).toEqual(stage1);
    await succeed(firewall, 'ADD', { ...given({ ingressPolicy: 'same-bridge' }), containerId: 'c2' });
    expect(rules(host, 'iptables', 'CNI-ISOLATION-STAGE-1')).toEqual([leaving('bridge0'), ...stage1]);
  });

  it('two bridges have a rule each per stage, before the one RETURN (firewall 23)', async ({ host }) => {
    const second = result([{ address: '10.0.1.2/24' }, { address: '2001:db8:2::2/64' }], {
      interfaces: [{ name: 'bridge1' }],
    });
    await succeed(firewall, 'ADD', given({ ingressPolicy: 'same-bridge' }));
    await succeed(firewall, 'ADD', {
      ...given({ ingressPolicy: 'same-bridge' }, second),
      containerId: 'c2',
    });
    for (const tool of both) {
      expect(rules(host, tool, 'CNI-ISOLATION-STAGE-1')).toEqual([
        leaving('bridge1'),
        leaving('bridge0'),
        back(1),
      ]);
      expect(rules(host, tool, 'CNI-ISOLATION-STAGE-2')).toEqual([
        ...entering('bridge1'),
        ...entering('bridge0'),
        back(2),
      ]);
    }
  });

  it('DEL leaves a bridge’s isolation to the others behind it (firewall 27)', async ({ host }) => {
    await succeed(firewall, 'ADD', given({ ingressPolicy: 'same-bridge' }));
    const isolation = () =>
      both.flatMap((tool) => rules(host, tool).filter((line) => line.includes('ISOLATION')));
    const before = isolation();
    expect(before).toHaveLength(12);
    await succeed(firewall, 'DEL', given({ ingressPolicy: 'same-bridge' }));
    expect(isolation()).toEqual(before);
  });

  it('an address that passes to another container keeps its rules when the first is deleted late', async ({
    host,
  }) => {
    await succeed(firewall, 'ADD', { ...given(), containerId: 'old' });
    await succeed(firewall, 'ADD', { ...given(), containerId: 'new' });
    await succeed(firewall, 'DEL', { ...given(), containerId: 'old' });
    await succeed(firewall, 'CHECK', { ...given(), containerId: 'new' });
    await succeed(firewall, 'DEL', { ...given(), containerId: 'new' });
    expect(rules(host, 'iptables')).toEqual([forwardJump, adminJump()]);
  });

  it('GC removes the rules of the network’s lost attachments, and of no other network', async ({ host }) => {
    const at = (number: number) =>
      result([{ address: `10.0.0.${number}/24` }, { address: `2001:db8::${number}/64` }]);
    await succeed(firewall, 'ADD', { ...given({}, at(3)), containerId: 'lives' });
    await succeed(firewall, 'ADD', { ...given({ name: 'other' }, at(4)), containerId: 'lost' });
    const before = both.map((tool) => host.sh(`${tool} -S`));
    await succeed(firewall, 'ADD', { ...given({}, at(5)), containerId: 'lost' });
    const valid = [{ containerID: 'lives', ifname: 'eth0' }];
    const gc = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid };
    await succeed(firewall, 'GC', { config: config(gc) });
    expect(both.map((tool) => host.sh(`${tool} -S`))).toEqual(before);
  });
});

const commented = (text: string) =>
  `-m comment --comment "CNI firewall plugin rules (ingressPolicy: ${text})"`;
const shared = commented('same-bridge|isolated');
const stageJump = `-A FORWARD ${shared} -j CNI-ISOLATION-STAGE-1`;
const leaving = (bridge: string, policy = 'same-bridge') =>
  `-A CNI-ISOLATION-STAGE-1 -i ${bridge} ! -o ${bridge} ${commented(policy)} -j CNI-ISOLATION-STAGE-2`;
/** Each time the exception for published ports, then the rule. */
const within = ['-m conntrack --ctstate DNAT ', ''].map(
  (when) =>
    `-A CNI-ISOLATION-STAGE-1 -i bridge0 -o bridge0 ${when}${commented('isolated')} -j ${when ? 'RETURN' : 'DROP'}`,
);
const entering = (bridge: string) =>
  ['-m conntrack --ctstate DNAT ', ''].map(
    (when) => `-A CNI-ISOLATION-STAGE-2 -o ${bridge} ${when}${shared} -j ${when ? 'RETURN' : 'DROP'}`,
  );
const back = (stage: number) => `-A CNI-ISOLATION-STAGE-${stage} ${shared} -j RETURN`;

test('ADD and CHECK want prevResult (firewall 12)', async () => {
  for (const command of ['ADD', 'CHECK'] as const) {
    const { error } = await call(firewall, command, { ...given(), prevResult: undefined });
    expect(error).toMatchObject({ code: 999, msg: 'missing prevResult from earlier plugin' });
  }
});

test('a missing program is told where a family needs it, and stops neither the other family nor DEL (firewall 13)', async ({
  host,
}) => {
  const tools = programs(host, 'nft', ['iptables']);
  process.env.PATH = tools;
  const refused = await call(firewall, 'ADD', given());
  expect(refused.error?.msg).toMatch(/^could not initialize iptables protocol 1: /);
  await succeed(firewall, 'ADD', given({}, result([v4])));
  process.env.PATH = '/nonexistent';
  const none = await call(firewall, 'ADD', given());
  expect(none.error?.msg).toMatch(/^could not initialize iptables protocol 0: /);
  // Nothing but the kernel is needed to take out what iptables-nft has put in.
  await succeed(firewall, 'DEL', given());
  process.env.PATH = path;
  expect(rules(host, 'iptables')).toEqual([forwardJump, adminJump()]);
});

test('a backend of another name is refused with the right ones and the nearest, by all but DEL (firewall 14)', async ({
  host,
}) => {
  await succeed(firewall, 'ADD', given({ backend: '' }));
  const refused = {
    code: 7,
    msg: 'backend: "iptable" is unknown; it can be "iptables" or "nftables" or "firewalld"; did you mean "iptables"?',
  };
  const wrong = given({ backend: 'iptable', cniVersion: '1.1.0' });
  const before = snapshot();
  for (const command of ['ADD', 'CHECK'] as const) {
    expect((await call(firewall, command, wrong)).error).toMatchObject(refused);
  }
  const status = await call(firewall, 'STATUS', { config: wrong.config });
  expect(status.error).toMatchObject({ code: 50, msg: expect.stringContaining(refused.msg) });
  expect((await call(firewall, 'ADD', given({ backend: 'zzz' }))).error?.msg).toBe(
    'backend: "zzz" is unknown; it can be "iptables" or "nftables" or "firewalld"',
  );
  expect(snapshot()).toEqual(before);
  await succeed(firewall, 'DEL', wrong);
  expect(rules(host, 'iptables')).toEqual([forwardJump, adminJump()]);
});

test('where iptables is a front end of nf_tables, only the first attachment starts it', async ({ host }) => {
  const policy = { ingressPolicy: 'isolated' };
  await succeed(firewall, 'ADD', { ...given(policy), containerId: 'first' });
  const folder = join(host.bin, 'useless');
  mkdirSync(folder);
  writeProgram(join(folder, 'fails-nft'), '#!/bin/sh\nexit 99\n');
  for (const tool of both) {
    for (const action of ['', '-save', '-restore']) {
      symlinkSync(join(folder, 'fails-nft'), join(folder, tool + action));
    }
  }
  const other = result([{ address: '10.0.0.3/24' }, { address: '2001:db8:1:2::3/64' }]);
  process.env.PATH = folder;
  for (const command of ['ADD', 'ADD', 'CHECK', 'DEL', 'DEL'] as const) {
    await succeed(firewall, command, { ...given(policy, other), containerId: 'second' });
  }
  await succeed(firewall, 'DEL', { ...given(policy), containerId: 'first' });
  process.env.PATH = path;
  expect(host.sh('iptables -S; ip6tables -S')).not.toMatch(/10\.0\.0|2001:db8/);
});

test('a host that has lost its programs, or one of them, gets nftables unless iptables was asked for', async ({
  host,
}) => {
  process.env.PATH = programs(host, 'nft', ['iptables']);
  await succeed(firewall, 'ADD', given({ backend: undefined }));
  await succeed(firewall, 'CHECK', given({ backend: undefined }));
  process.env.PATH = path;
  expect(host.sh('nft list chain inet cni_plugins_firewall CNI-FORWARD')).toContain('10.0.0.2');
  await succeed(firewall, 'DEL', given());
  expect(host.sh('nft list chain inet cni_plugins_firewall CNI-FORWARD')).not.toContain('10.0.0.2');
});

test.each([
  [
    { interfaces: [] },
    'interface needs to be set for ingress policy "same-bridge", make sure to chain "firewall" plugin with "bridge"',
  ],
  [{ interfaces: [null] }, 'could not parse prevResult: interfaces[0]: expected an object, got null'],
  [{ interfaces: [{ name: '' }] }, 'got empty bridge name'],
])(
  'a policy wants a bridge, and nothing is changed before that is known (firewall 24)',
  async (more, msg) => {
    const before = snapshot();
    const ips = [{ address: '10.0.0.2/24' }];
    const refused = await call(firewall, 'ADD', given({ ingressPolicy: 'same-bridge' }, result(ips, more)));
    expect(refused.error?.msg).toBe(msg);
    expect(snapshot()).toEqual(before);
  },
);

test('an unknown policy is refused by ADD before anything is done, and does not hold up DEL (firewall 25)', async ({
  host,
}) => {
  const before = snapshot();
  const refused = await call(firewall, 'ADD', given({ ingressPolicy: 'foo' }));
  expect(refused.error?.msg).toBe('unknown ingress policy: "foo"');
  expect(snapshot()).toEqual(before);
  await succeed(firewall, 'ADD', given());
  await succeed(firewall, 'DEL', given({ ingressPolicy: 'foo' }));
  expect(rules(host, 'iptables')).toEqual([forwardJump, adminJump()]);
});

describe('DEL succeeds and removes the rules, those that have no owner too,', () => {
  const ownerless = (host: Host) => host.sh('iptables -F CNI-FORWARD-OWNERS');
  test.for<[string, object]>([
    ['an administrator’s chain that cannot be', { iptablesAdminChainName: 'with space' }],
    ['fields of the wrong type', { backend: 5, ingressPolicy: [], dataDir: {}, firewalldZone: false }],
    ['backend nftables by now', { backend: 'nftables' }],
    ['a policy whose bridge is not in the result', { ingressPolicy: 'isolated' }],
  ])('with %s', async ([, more], { host }) => {
    await succeed(firewall, 'ADD', given());
    ownerless(host);
    await succeed(firewall, 'DEL', given(more, result(undefined, { interfaces: [] })));
    for (const tool of both) expect(rules(host, tool)).toEqual([forwardJump, adminJump()]);
  });

  test.for<[string, object]>([
    [
      'of another version',
      {
        cniVersion: '0.4.0',
        interfaces,
        ips: [
          { version: '4', ...v4 },
          { version: '6', ...v6 },
        ],
      },
    ],
    ['of the first versions', { cniVersion: '0.2.0', ip4: { ip: v4.address }, ip6: { ip: v6.address } }],
    ['of no version', { cniVersion: '7', ips: [v4, v6] }],
    [
      'with something broken in it',
      { cniVersion: '1.0.0', interfaces: 5, ips: [{ address: 'nonsense' }, 3, v4, v6] },
    ],
  ])('with a prevResult %s', async ([, prevResult], { host }) => {
    await succeed(firewall, 'ADD', given());
    ownerless(host);
    const deleted = await succeed(firewall, 'DEL', given({}, prevResult));
    for (const tool of both) expect(rules(host, tool)).toEqual([forwardJump, adminJump()]);
    expect(deleted.stdout).toBe('');
  });
});

test('0.3.1 is spoken too, and the result is of that version (firewall 28)', async ({ host }) => {
  const prevResult = { cniVersion: '0.3.1', interfaces, ips: [{ version: '4', ...v4 }] };
  const answer = await succeed(firewall, 'ADD', given({ cniVersion: '0.3.1' }, prevResult));
  expect(answer.result).toMatchObject(prevResult);
  expect(rules(host, 'iptables')).toHaveLength(4);
});

describe('rules that their table’s owner has written anew', () => {
  const rewrites = {
    'iptables-save | iptables-restore': both.map((tool) => `${tool}-save | ${tool}-restore`).join(';'),
    'nft list ruleset | nft -f': 'nft list ruleset >rules; nft flush ruleset; nft -f rules; rm rules',
  };
  const remaining = (host: Host) => host.sh('nft list ruleset').match(/.*(10\.0\.0\.|2001:db8).*/g) ?? [];
  const other = result([{ address: '10.0.0.3/24' }, { address: '2001:db8:1:2::3/64' }]);

  describe.for(Object.entries(rewrites))('%s', ([, rewrite]) => {
    // The first writes what all share by the program, the second its own by netlink alone.
    const both = async (host: Host) => {
      await succeed(firewall, 'ADD', { ...given({ ingressPolicy: 'isolated' }), containerId: 'c1' });
      await succeed(firewall, 'ADD', { ...given({ ingressPolicy: 'isolated' }, other), containerId: 'c2' });
      host.sh(`cd ${host.bin}; ${rewrite}`);
    };

    test('are found by CHECK, are not made again by ADD, and go with DEL, told of addresses or not', async ({
      host,
    }) => {
      await both(host);
      const before = host.sh('nft -s list ruleset');
      const policy = { ingressPolicy: 'isolated' };
      await succeed(firewall, 'CHECK', given(policy));
      await succeed(firewall, 'ADD', given(policy));
      await succeed(firewall, 'ADD', { ...given(policy, other), containerId: 'c2' });
      expect(host.sh('nft -s list ruleset')).toBe(before);
      await succeed(firewall, 'DEL', { ...given(), containerId: 'c1', prevResult: undefined });
      expect(remaining(host).join()).not.toMatch(/10\.0\.0\.2\b|::1\b/);
      await succeed(firewall, 'DEL', { ...given({}, other), containerId: 'c2' });
      expect(remaining(host)).toEqual([]);
    });

    test('go with GC', async ({ host }) => {
      await both(host);
      const valid = [{ containerID: 'c2', ifname: 'eth0' }];
      const gc = (list: object[]) => ({
        config: config({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': list }),
      });
      await succeed(firewall, 'GC', gc(valid));
      expect(remaining(host).join()).not.toMatch(/10\.0\.0\.2\b|::1\b/);
      await succeed(firewall, 'CHECK', { ...given({}, other), containerId: 'c2' });
      await succeed(firewall, 'GC', gc([]));
      expect(remaining(host)).toEqual([]);
    });
  });

  test('and whose owners got lost by both one after the other, go with DEL and block no later one', async ({
    host,
  }) => {
    await succeed(firewall, 'ADD', given());
    for (const rewrite of Object.values(rewrites)) host.sh(`cd ${host.bin}; ${rewrite}`);
    await succeed(firewall, 'CHECK', given());
    await succeed(firewall, 'DEL', given());
    expect(remaining(host)).toEqual([]);
  });
});

test.skipIf(!has('legacy iptables')).for(['nft', 'legacy'] as const)(
  'DEL and GC find what iptables (%s) has made when the other kind is in PATH by then',
  async (variant, { host }) => {
    const all = 'for t in iptables ip6tables; do $t-legacy-save; $t-nft-save; done';
    const tools = programs(host, variant);
    const look = () => host.sh(all).match(/.*(10\.0\.0\.|2001:db8).*/g) ?? [];
    const gc = config({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
    for (const [command, how] of [
      ['DEL', given()],
      ['DEL', { ...given(), prevResult: undefined }],
      ['GC', { config: gc }],
    ] as const) {
      process.env.PATH = `${tools}:${path}`;
      await succeed(firewall, 'ADD', given());
      expect(look()).toHaveLength(6);
      const otherKind = join(host.bin, `other-${variant}`);
      if (!existsSync(otherKind)) {
        mkdirSync(otherKind);
        for (const name of both) {
          for (const action of ['', '-save', '-restore']) {
            const program = `/usr/sbin/xtables-${variant === 'nft' ? 'legacy' : 'nft'}-multi`;
            symlinkSync(program, join(otherKind, name + action));
          }
        }
      }
      process.env.PATH = `${otherKind}:${path}`;
      await succeed(firewall, command, how);
      expect(look()).toEqual([]);
    }
  },
);

/** As the reference does: it knows no owners. */
const referenceDel = (host: Host) =>
  both.map((tool) =>
    addressRules(address[tool]).map((rule) => host.sh(`${tool} ${rule.replace('-A', '-D')}`)),
  );
const referenceAdd = (host: Host) =>
  both.map((tool) => addressRules(address[tool]).map((rule) => host.sh(`${tool} ${rule}`)));

describe('the owner of an address whose rules the reference removed in between', () => {
  const nobody = (host: Host) => {
    for (const tool of both) expect(rules(host, tool)).toEqual([forwardJump, adminJump()]);
    expect(host.sh('iptables -S; ip6tables -S')).not.toMatch(/10\.0\.0|2001:db8/);
  };
  const dead = { ...given(), containerId: 'dead' };
  const gc = (...ids: string[]) => ({
    config: config({
      cniVersion: '1.1.0',
      'cni.dev/valid-attachments': ids.map((containerID) => ({ containerID, ifname: 'eth0' })),
    }),
  });

  test('does not spare the rules of the one that the reference gave it to, in DEL', async ({ host }) => {
    await succeed(firewall, 'ADD', dead);
    referenceDel(host);
    referenceAdd(host);
    await succeed(firewall, 'CHECK', { ...given(), containerId: 'alive' });
    await succeed(firewall, 'DEL', { ...given(), containerId: 'alive' });
    nobody(host);
  });

  test('does not take that one’s rules, in DEL without prevResult and in GC', async ({ host }) => {
    for (const clean of [
      () => succeed(firewall, 'DEL', { ...dead, prevResult: undefined }),
      () => succeed(firewall, 'GC', gc('alive')),
    ]) {
      await succeed(firewall, 'ADD', dead);
      referenceDel(host);
      referenceAdd(host);
      await clean();
      for (const tool of both) {
        expect(rules(host, tool)).toEqual([forwardJump, adminJump(), ...addressRules(address[tool])]);
      }
      expect(host.sh('iptables -S; ip6tables -S')).not.toContain('id: dead');
      await succeed(firewall, 'DEL', { ...given(), containerId: 'alive' });
      nobody(host);
    }
  });

  test.skipIf(!has('legacy iptables')).for(['nft', 'legacy'] as const)(
    'is forgotten when another network’s container gets it, iptables (%s)',
    async (variant, { host }) => {
      process.env.PATH = `${programs(host, variant)}:${path}`;
      await succeed(firewall, 'ADD', dead);
      referenceDel(host);
      await succeed(firewall, 'ADD', { ...given({ name: 'other' }), containerId: 'alive' });
      expect(host.sh('iptables -S; ip6tables -S')).not.toContain('id: dead');
      await succeed(firewall, 'DEL', { ...given({ name: 'other' }), containerId: 'alive' });
      nobody(host);
    },
  );

  test('may get its rules back by ADD', async ({ host }) => {
    await succeed(firewall, 'ADD', dead);
    referenceDel(host);
    await succeed(firewall, 'ADD', dead);
    await succeed(firewall, 'CHECK', dead);
    await succeed(firewall, 'DEL', { ...given({ name: 'other' }), containerId: 'late' });
    await succeed(firewall, 'CHECK', dead);
    await succeed(firewall, 'GC', gc());
    nobody(host);
  });
});

test('a policy without exceptions for published ports, as the reference makes it, passes CHECK, and ADD puts them above', async ({
  host,
}) => {
  const policy = given({ ingressPolicy: 'isolated' });
  const stages = () => [1, 2].map((stage) => rules(host, 'iptables', `CNI-ISOLATION-STAGE-${stage}`));
  await succeed(firewall, 'ADD', policy);
  const complete = [
    [...within, leaving('bridge0', 'isolated'), back(1)],
    [...entering('bridge0'), back(2)],
  ];
  expect(stages()).toEqual(complete);
  for (const tool of both) {
    host.sh(
      `${tool} -D CNI-ISOLATION-STAGE-1 1; ${tool} -D CNI-ISOLATION-STAGE-2 1; ${tool} -F CNI-FORWARD-OWNERS`,
    );
  }
  await succeed(firewall, 'CHECK', policy);
  await succeed(firewall, 'ADD', policy);
  expect(stages()).toEqual(complete);
  // Where the rule itself is made again, its exception is made again above it.
  host.sh('iptables -D CNI-ISOLATION-STAGE-2 2');
  await succeed(firewall, 'ADD', policy);
  expect(stages()[1]!.slice(0, 2)).toEqual(entering('bridge0'));
  host.sh('iptables -D CNI-ISOLATION-STAGE-1 1');
  expect((await call(firewall, 'CHECK', policy)).error?.msg).toContain('--ctstate DNAT');
});

const go = '/usr/lib/cni/firewall';
describe.skipIf(!existsSync(go))('beside the Go plugin', () => {
  const theirs = (host: Host, command: string, more: object = {}, containerId = 'c1') => {
    const text = JSON.stringify({ ...config(more), prevResult: result() });
    const env = `CNI_COMMAND=${command} CNI_CONTAINERID=${containerId} CNI_NETNS=/run/netns/c1 CNI_IFNAME=eth0 CNI_PATH=/x`;
    return host.sh(`${env} ${go} <<'END'\n${text}\nEND`);
  };

  test('its rules pass our CHECK, an ADD on top changes nothing but the owner, and our DEL removes them', async ({
    host,
  }) => {
    theirs(host, 'ADD');
    const before = both.map((tool) => rules(host, tool));
    await succeed(firewall, 'CHECK', given());
    await succeed(firewall, 'ADD', given());
    expect(both.map((tool) => rules(host, tool))).toEqual(before);
    await succeed(firewall, 'DEL', given());
    for (const tool of both) expect(rules(host, tool)).toEqual([forwardJump, adminJump()]);
    theirs(host, 'ADD');
    await succeed(firewall, 'DEL', given());
    for (const tool of both) expect(rules(host, tool)).toEqual([forwardJump, adminJump()]);
  });

  test('our rules pass its CHECK, its ADD adds none, and its DEL removes them', async ({ host }) => {
    await succeed(firewall, 'ADD', given());
    // The second attachment's rules are written by netlink: the program must know them for its own.
    const other = result([{ address: '10.0.0.3/24' }, { address: '2001:db8:1:2::3/64' }]);
    await succeed(firewall, 'DEL', given());
    await succeed(firewall, 'ADD', { ...given({}, other), containerId: 'other' });
    await succeed(firewall, 'ADD', given());
    const before = both.map((tool) => rules(host, tool));
    theirs(host, 'CHECK');
    theirs(host, 'ADD');
    expect(both.map((tool) => rules(host, tool))).toEqual(before);
    theirs(host, 'DEL');
    for (const tool of both) {
      expect(rules(host, tool)).toHaveLength(4);
      expect(rules(host, tool).join()).not.toContain(address[tool]);
    }
    // Its DEL knows no owners; what is left of ours goes with our own DEL.
    await succeed(firewall, 'DEL', given());
    expect(host.sh('iptables -S CNI-FORWARD-OWNERS')).not.toContain('10.0.0.2');
  });

  test('what its DEL leaves of ours lets nothing but published ports through, and goes with ours or GC', async ({
    host,
  }) => {
    const left = () => host.sh('iptables -S; ip6tables -S').match(/.*(10\.0\.0\.2|2001:db8).*/g) ?? [];
    const gc = config({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
    for (const clean of [
      () => succeed(firewall, 'DEL', { ...given(), prevResult: undefined }),
      () => succeed(firewall, 'GC', { config: gc }),
    ]) {
      await succeed(firewall, 'ADD', given());
      theirs(host, 'DEL');
      expect(left()).toHaveLength(2);
      for (const line of left()) expect(line).toMatch(/^-A CNI-FORWARD-OWNERS -d \S+ .*id: c1" -j ACCEPT$/);
      theirs(host, 'ADD', {}, 'next');
      theirs(host, 'CHECK', {}, 'next');
      await clean();
      expect(left().join('\n')).not.toContain('id: c1" -j ACCEPT');
      await succeed(firewall, 'CHECK', { ...given(), containerId: 'next' });
      await succeed(firewall, 'DEL', { ...given(), containerId: 'next' });
      expect(left()).toEqual([]);
    }
  });
});
