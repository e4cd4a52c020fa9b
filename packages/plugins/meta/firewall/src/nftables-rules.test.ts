import { type Call, call, succeed } from '@cni-ts/testing/call';
import { type Host, test } from '@cni-ts/testing/namespaces';
import { snapshot } from '@cni-ts/testing/snapshot';
import { beforeEach, describe, expect } from 'vitest';
import { firewall } from './firewall.ts';

beforeEach(() => {
  process.env.DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent/bus';
});

const given = (more: object = {}, number = 2, bridge = 'bridge0'): Call => ({
  config: { cniVersion: '1.0.0', name: 'net', type: 'firewall', backend: 'nftables', ...more },
  netns: '/run/netns/none',
  containerId: `c${number}`,
  prevResult: {
    cniVersion: '1.0.0',
    interfaces: [{ name: bridge }],
    ips: [{ address: `10.0.0.${number}/24` }, { address: `2001:db8::${number}/64` }],
  },
});

/** A chain as nft prints it, comments of owners cut to their end. */
function chain(host: Host, name: string, table = 'inet cni_plugins_firewall'): string[] {
  const lines = host.sh(`nft list chain ${table} ${name}`).split('\n').slice(2, -3);
  const rules = lines.filter((line) => !/^\s*type /.test(line));
  return rules.map((line) =>
    line
      .trim()
      .replace(/ comment ".*id: (.*)"/, ' of $1')
      .replace(/packets \d+ bytes \d+ /, '')
      .replace(/ +/g, ' '),
  );
}
const own = (number: number, established = 'established,related') => [
  `ip daddr 10.0.0.${number} ct state ${established} accept of c${number}`,
  `ip saddr 10.0.0.${number} accept of c${number}`,
  `ip6 daddr 2001:db8::${number} ct state ${established} accept of c${number}`,
  `ip6 saddr 2001:db8::${number} accept of c${number}`,
];
const admin = (name = 'CNI-ADMIN') => `jump ${name} comment "CNI firewall plugin admin overrides"`;
const asked = 'jump CNI-FORWARD comment "CNI firewall plugin rules"';

test('ADD writes the rules of both families in one transaction into a table of its own, without a program', async ({
  host,
}) => {
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    await succeed(firewall, 'ADD', given());
    await succeed(firewall, 'ADD', given());
    await succeed(firewall, 'CHECK', given());
  } finally {
    process.env.PATH = path;
  }
  expect(chain(host, 'forward')).toEqual([asked]);
  expect(chain(host, 'CNI-FORWARD')).toEqual([admin(), ...own(2)]);
  expect(host.sh('iptables -S; ip6tables -S')).not.toContain('CNI-');
});

test('the administrator’s chain may have another name, and keeps its rules', async ({ host }) => {
  await succeed(firewall, 'ADD', given({ iptablesAdminChainName: 'MYADMIN' }));
  host.sh('nft add rule inet cni_plugins_firewall MYADMIN ip daddr 192.0.2.1 drop');
  await succeed(firewall, 'DEL', given());
  expect(chain(host, 'CNI-FORWARD')).toEqual([admin('MYADMIN')]);
  expect(chain(host, 'MYADMIN')).toEqual(['ip daddr 192.0.2.1 drop']);
});

test('DEL removes the attachment’s rules by owner and no other’s, with prevResult or without', async ({
  host,
}) => {
  await succeed(firewall, 'ADD', given({}, 3));
  for (const prevResult of [given().prevResult, undefined]) {
    await succeed(firewall, 'ADD', given());
    await succeed(firewall, 'DEL', { ...given(), prevResult });
    await succeed(firewall, 'DEL', { ...given(), prevResult });
    expect(chain(host, 'CNI-FORWARD')).toEqual([admin(), ...own(3)]);
  }
});

test('a container that gets another address, or a lost one’s, has no rules from before', async ({ host }) => {
  await succeed(firewall, 'ADD', { ...given({}, 2), containerId: 'c3' });
  await succeed(firewall, 'ADD', given({}, 3));
  expect(chain(host, 'CNI-FORWARD')).toEqual([admin(), ...own(3)]);
  await succeed(firewall, 'ADD', { ...given({}, 3), containerId: 'later' });
  expect(chain(host, 'CNI-FORWARD').join('\n')).not.toContain('of c3');
});

describe('ingress policy', () => {
  const shared = 'comment "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)"';
  const stages = (policy: string) => ({
    leaving: `iifname "bridge0" oifname != "bridge0" jump CNI-ISOLATION-STAGE-2 comment "CNI firewall plugin rules (ingressPolicy: ${policy})"`,
    within: ['ct status dnat return', 'drop'].map(
      (what) =>
        `iifname "bridge0" oifname "bridge0" ${what} comment "CNI firewall plugin rules (ingressPolicy: ${policy})"`,
    ),
  });

  test('same-bridge makes the two stages, asked before the containers’ rules, which DEL leaves alone', async ({
    host,
  }) => {
    await succeed(firewall, 'ADD', given({ ingressPolicy: 'same-bridge' }));
    const look = () => [
      chain(host, 'forward'),
      chain(host, 'CNI-ISOLATION-STAGE-1'),
      chain(host, 'CNI-ISOLATION-STAGE-2'),
    ];
    const expected = [
      [`jump CNI-ISOLATION-STAGE-1 ${shared}`, asked],
      [stages('same-bridge').leaving, `return ${shared}`],
      [
        `oifname "bridge0" ct status dnat return ${shared}`,
        `oifname "bridge0" drop ${shared}`,
        `return ${shared}`,
      ],
    ];
    expect(look()).toEqual(expected);
    await succeed(firewall, 'DEL', given({ ingressPolicy: 'same-bridge' }));
    expect(look()).toEqual(expected);
  });

  test('isolated also drops from the bridge to itself, and CHECK tells when it does not', async ({
    host,
  }) => {
    const isolated = given({ ingressPolicy: 'isolated' });
    await succeed(firewall, 'ADD', isolated);
    const { within, leaving } = stages('isolated');
    expect(chain(host, 'CNI-ISOLATION-STAGE-1')).toEqual([...within, leaving, `return ${shared}`]);
    host.sh('nft flush chain inet cni_plugins_firewall CNI-ISOLATION-STAGE-1');
    expect((await call(firewall, 'CHECK', isolated)).error?.msg).toContain('CNI-ISOLATION-STAGE-1');
  });
});

describe('where another firewall’s forward chain drops', () => {
  const dropping = (host: Host) => host.sh('iptables -P FORWARD DROP; ip6tables -P FORWARD DROP');

  test('the rules stand there too, in a form that iptables knows', async ({ host }) => {
    dropping(host);
    host.sh('iptables -A FORWARD -s 192.0.2.0/24 -j DROP');
    await succeed(firewall, 'ADD', given());
    expect(host.sh('iptables -S').match(/^-A.*$/gm)).toEqual([
      '-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD',
      '-A FORWARD -s 192.0.2.0/24 -j DROP',
      expect.stringMatching(/^-A CNI-FORWARD -m conntrack --ctstate DNAT .*-j CNI-FORWARD-PUBLISHED$/),
      expect.stringMatching(
        /^-A CNI-FORWARD -d 10\.0\.0\.2\/32 -m conntrack --ctstate RELATED,ESTABLISHED .*-j ACCEPT$/,
      ),
      expect.stringMatching(/^-A CNI-FORWARD -s 10\.0\.0\.2\/32 .*-j ACCEPT$/),
      expect.stringMatching(/^-A CNI-FORWARD-PUBLISHED -d 10\.0\.0\.2\/32 .*-j ACCEPT$/),
    ]);
    await succeed(firewall, 'DEL', given());
    expect(host.sh('iptables -S; ip6tables -S')).not.toMatch(/10\.0\.0\.2|2001:db8/);
  });

  test('containers that were there before it are let through from the next ADD on', async ({ host }) => {
    await succeed(firewall, 'ADD', given({}, 3));
    host.sh(
      "nft add table inet other; nft add chain inet other f '{ type filter hook forward priority 7; policy drop; }'",
    );
    await succeed(firewall, 'ADD', given());
    expect(chain(host, 'f', 'inet other')).toEqual([asked]);
    const published =
      'ct status dnat jump CNI-FORWARD-PUBLISHED comment "CNI firewall plugin published ports"';
    expect(chain(host, 'CNI-FORWARD', 'inet other')).toEqual([published, ...own(3), ...own(2)]);
    expect(chain(host, 'CNI-FORWARD-PUBLISHED', 'inet other')).toEqual(
      [3, 2].flatMap((number) => [
        `ip daddr 10.0.0.${number} accept of c${number}`,
        `ip6 daddr 2001:db8::${number} accept of c${number}`,
      ]),
    );
    await succeed(firewall, 'CHECK', given({}, 3));
  });

  describe.for([
    ['iptables-save | iptables-restore', 'for t in iptables ip6tables; do $t-save | $t-restore; done'],
    ['nft list ruleset | nft -f', 'nft list ruleset >rules; nft flush ruleset; nft -f rules; rm rules'],
  ] as const)('and its table is written anew by %s', ([, rewrite]) => {
    const policy = { ingressPolicy: 'isolated' };
    const written = async (host: Host) => {
      dropping(host);
      host.sh(
        "nft add table inet other; nft add chain inet other f '{ type filter hook forward priority 7; policy drop; }'",
      );
      for (const number of [2, 3]) await succeed(firewall, 'ADD', given(policy, number));
      host.sh(`cd ${host.bin}; ${rewrite}`);
      return host.sh('nft -s list ruleset');
    };
    const about = (host: Host, number: number) =>
      host
        .sh('nft list ruleset')
        .match(new RegExp(`.*(10\\.0\\.0\\.${number} |2001:db8::${number} ).*`, 'g')) ?? [];

    test('CHECK finds the rules, ADD makes none again, DEL removes them', async ({ host }) => {
      const before = await written(host);
      expect(about(host, 2)).toHaveLength(4 + 2 * 6);
      await succeed(firewall, 'CHECK', given(policy));
      await succeed(firewall, 'ADD', given(policy));
      expect(host.sh('nft -s list ruleset')).toBe(before);
      await succeed(firewall, 'DEL', { ...given(), prevResult: undefined });
      expect(about(host, 2)).toEqual([]);
      await succeed(firewall, 'CHECK', given(policy, 3));
    });

    test('GC removes them', async ({ host }) => {
      await written(host);
      const valid = [{ containerID: 'c3', ifname: 'eth0' }];
      const { config } = given({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid });
      await succeed(firewall, 'GC', { config });
      expect(about(host, 2)).toEqual([]);
      await succeed(firewall, 'CHECK', given(policy, 3));
    });

    test('and ours is gone, DEL and GC remove them', async ({ host }) => {
      await written(host);
      host.sh('nft delete table inet cni_plugins_firewall');
      await succeed(firewall, 'DEL', { ...given(), prevResult: undefined });
      expect(about(host, 2)).toEqual([]);
      const { config } = given({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
      await succeed(firewall, 'GC', { config });
      expect(about(host, 3)).toEqual([]);
    });
  });

  test('and its table goes or comes, DEL succeeds', async ({ host }) => {
    const before = snapshot();
    dropping(host);
    await succeed(firewall, 'ADD', given());
    host.sh('nft flush ruleset');
    await succeed(firewall, 'DEL', given());
    expect(snapshot()).toEqual(before);
  });
});

test('GC removes the rules of the network’s lost attachments, and of no other network', async ({ host }) => {
  await succeed(firewall, 'ADD', given({}, 2));
  await succeed(firewall, 'ADD', given({ name: 'other' }, 4));
  await succeed(firewall, 'ADD', given({}, 3));
  const valid = [{ containerID: 'c2', ifname: 'eth0' }];
  const { config } = given({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid });
  await succeed(firewall, 'GC', { config });
  expect(chain(host, 'CNI-FORWARD')).toEqual([admin(), ...own(2), ...own(4)]);
});
