/** `cnitool trace` of what plugins made, ours and the Go ones. */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { containerIdOf, Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.addWorld();
});
afterEach(() => lab.close());

const newer = '/opt/peers/usr/lib/cni';
const makers = { ours, 'the Go plugins': theirs, 'the newest Go plugins': newer };

const plugins = () => [
  {
    type: 'bridge',
    bridge: 'cni0',
    isDefaultGateway: true,
    ipMasq: true,
    ipam: { type: 'host-local', subnet: '10.22.0.0/16', dataDir: lab.networks },
  },
  { type: 'portmap', capabilities: { portMappings: true }, snat: true },
];

for (const [maker, path] of Object.entries(makers)) {
  test.skipIf(!existsSync(path))(
    `a container of ${maker}: a good way, then Docker's FORWARD policy DROP, found by one command`,
    async () => {
      const netns = lab.container('c1');
      const env = {
        NETCONFPATH: lab.network('web', plugins()),
        CNI_PATH: path,
        CAP_ARGS: JSON.stringify({
          portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
        }),
      };
      const added = await lab.cnitool(['add', 'web', netns, '--exec'], env);
      expect(added.status, added.stderr).toBe(0);
      const id = containerIdOf(netns);
      const trace = (...argv: string[]) => lab.cnitool(['trace', id, ...argv], env);
      const to = ['--to', `${lab.outsideAddress}:80`];
      const good = await trace(...to, '--probe');
      expect(good.stdout.split('\n').filter((line) => /^[✗!]/.test(line))).toEqual([]);
      expect(good.status, good.stderr).toBe(0);
      expect(good.stdout).toContain('10.22.0.2 is masqueraded');

      const from = ['--from', lab.outsideAddress, '--to', `${lab.uplinkAddress}:8080`];
      const published = await trace(...from);
      expect(published.stdout).toContain(`${lab.uplinkAddress}:8080 leads to 10.22.0.2:80`);
      expect(published.status, published.stdout).toBe(0);

      lab.sh('iptables-nft -P FORWARD DROP');
      for (const way of [to, from]) {
        const dropped = await trace(...way);
        expect(dropped.status).toBe(1);
        expect(dropped.stdout).toMatch(
          /^✗ host +CNI3021 FORWARD policy DROP, nothing accepts 10\.22\.0\.0\/16$/m,
        );
        expect(dropped.stdout).toContain('cure: put "firewall" into the network\'s plugins');
        expect(dropped.stdout).toContain('Docker sets that policy');
      }
      lab.sh('iptables-nft -P FORWARD ACCEPT; nft flush ruleset');
      const flushed = await trace(...to);
      expect(flushed.stdout).toContain('CNI3030 nothing masquerades 10.22.0.2, and its network says ipMasq');
      expect((await trace(...from)).stdout).toContain('CNI3032 nothing leads');
    },
  );
}

test('firewall cures the policy, as the cure says', async () => {
  const netns = lab.container('c1');
  const env = { NETCONFPATH: lab.network('web', [...plugins(), { type: 'firewall' }]) };
  lab.sh('iptables-nft -P FORWARD DROP');
  expect((await lab.cnitool(['add', 'web', netns], env)).status).toBe(0);
  const traced = await lab.cnitool(['trace', netns, '--to', lab.outsideAddress, '--probe'], env);
  expect(traced.stdout).toContain('the echo came back');
  expect(traced.status, traced.stdout).toBe(0);
});

test('of the nftables backend, and of IPv6: maps, sets and marks are understood', async () => {
  const netns = lab.container('c1');
  const ranges = [[{ subnet: '10.23.0.0/16' }], [{ subnet: 'fd00:23::/64' }]];
  const list = [
    {
      type: 'bridge',
      bridge: 'cni1',
      isDefaultGateway: true,
      ipMasq: true,
      ipMasqBackend: 'nftables',
      ipam: { type: 'host-local', ranges, dataDir: lab.networks },
    },
    { type: 'portmap', backend: 'nftables', capabilities: { portMappings: true } },
    { type: 'firewall', backend: 'nftables' },
  ];
  const env = {
    NETCONFPATH: lab.network('six', list),
    CAP_ARGS: JSON.stringify({ portMappings: [{ hostPort: 8081, containerPort: 80, protocol: 'tcp' }] }),
  };
  const added = await lab.cnitool(['add', 'six', netns], env);
  expect(added.status, added.stderr).toBe(0);
  const trace = (...argv: string[]) => lab.cnitool(['trace', netns, ...argv], env);
  for (const to of [`${lab.outsideAddress}:80`, `[${lab.outsideAddress6}]:80`]) {
    const good = await trace('--to', to, '--probe');
    expect(good.stdout, to).toMatch(/ is masqueraded, by rule \d+ of inet /);
    expect(good.stdout, to).toContain('it was reached');
    expect([to, good.status, good.stdout]).toEqual([to, 0, expect.stringContaining('gets through')]);
  }
  for (const [from, to, inside] of [
    [lab.outsideAddress, `${lab.uplinkAddress}:8081`, '10.23.0.2:80'],
    [lab.outsideAddress6, `[${lab.uplinkAddress6}]:8081`, '[fd00:23::2]:80'],
  ] as const) {
    const published = await trace('--from', from, '--to', to);
    expect(published.stdout).toContain(`${to} leads to ${inside}, by rule `);
    expect(published.status, published.stdout).toBe(0);
  }
});

test('of ptp, between containers and by a published port: no alarm where there is no fault', async () => {
  const ptp = {
    type: 'ptp',
    ipMasq: true,
    ipam: {
      type: 'host-local',
      subnet: '10.31.0.0/24',
      dataDir: lab.networks,
      routes: [{ dst: '0.0.0.0/0' }],
    },
  };
  const env = {
    NETCONFPATH: lab.network('p', [ptp, { type: 'portmap', capabilities: { portMappings: true } }]),
  };
  const [one, two] = [lab.container('one'), lab.container('two')];
  const CAP_ARGS = JSON.stringify({
    portMappings: [{ hostPort: 8083, containerPort: 80, protocol: 'tcp' }],
  });
  expect((await lab.cnitool(['add', 'p', one], { ...env, CAP_ARGS })).status).toBe(0);
  expect((await lab.cnitool(['add', 'p', two], env)).status).toBe(0);
  const published = `${lab.uplinkAddress}:8083`;
  for (const [from, to, says] of [
    [one, '10.31.0.3:80', 'route to 10.31.0.3 dev veth'],
    [one, `${lab.uplinkAddress}:80`, "is the host's own: it arrives there"],
    [one, published, `leads to 10.31.0.2:80, by rule`],
    [two, published, `; that is ${containerIdOf(one)}`],
    [two, `${lab.outsideAddress}:80`, '10.31.0.3 is masqueraded'],
  ] as const) {
    const { status, stdout } = await lab.cnitool(['trace', from, '--to', to, '--probe'], env);
    expect(stdout).toContain(says);
    expect([to, status, stdout]).toEqual([to, 0, expect.stringContaining('✓ probe')]);
  }
});
