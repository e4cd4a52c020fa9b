import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

let lab: Lab;
let netns: string;
beforeAll(() => {
  lab = new Lab();
  mkdirSync(lab.networks);
  netns = lab.container('c');
});
afterAll(() => lab.close());

const config = () => ({
  cniVersion: '1.0.0',
  name: 'n',
  type: 'bridge',
  isGateway: true,
  ipam: { type: 'host-local', dataDir: lab.networks, subnet: '10.40.0.0/24' },
});

/** Name, change of the configuration, expected code and beginning of the message. */
const configs: [string, (conf: ReturnType<typeof config>) => unknown, number, string][] = [
  ['no JSON', () => '{', 6, 'error unmarshall network config: '],
  ['no name', (conf) => ({ ...conf, name: '' }), 7, 'missing network name'],
  [
    'a name that leaves its folder',
    (conf) => ({ ...conf, name: '../x' }),
    7,
    'invalid characters found in network name',
  ],
  ['an unknown spec version', (conf) => ({ ...conf, cniVersion: '0.9.0' }), 1, 'incompatible CNI versions'],
  [
    'an IPAM type that leaves its folder',
    (conf) => ({ ...conf, ipam: { ...conf.ipam, type: '../host-local' } }),
    999,
    'invalid plugin name: ../host-local',
  ],
  [
    'a field of the wrong type',
    (conf) => ({ ...conf, mtu: '1500' }),
    7,
    'failed to load netconf: mtu: expected',
  ],
  [
    'a wrong field deep inside',
    (conf) => ({ ...conf, ipam: { type: 'host-local', ranges: [[{ subnet: 5 }]] } }),
    7,
    '',
  ],
  [
    'a VLAN out of range',
    (conf) => ({ ...conf, vlan: 5000 }),
    999,
    'invalid VLAN ID 5000 (must be between 0 and 4094)',
  ],
  ['a subnet that is none', (conf) => ({ ...conf, ipam: { ...conf.ipam, subnet: '10.40.0.0' } }), 999, ''],
  [
    'a word that is no masquerade backend',
    (conf) => ({ ...conf, ipMasq: true, ipMasqBackend: 'foo' }),
    999,
    'unknown ipmasq backend "foo"',
  ],
];

describe('a configuration with', () => {
  test.each(configs)(
    '%s is refused with exit 1, and nothing changes',
    async (_name, change, code, message) => {
      const before = lab.links();
      const answer = await lab.plugin(`${ours}/bridge`, change(config()), { command: 'ADD', netns });
      expect(answer.status).toBe(1);
      expect(answer.json).toMatchObject({ msg: expect.stringMatching(/./) });
      expect(String(answer.json?.msg).startsWith(message), answer.stdout).toBe(true);
      if (message !== '' || code === 7) expect(answer.json?.code, answer.stdout).toBe(code);
      expect(lab.links()).toEqual(before);
      expect(lab.reservations('n')).toEqual([]);
    },
  );
});

test('a wrong field deep inside is named by its whole path', async () => {
  const conf = {
    ...config(),
    ipam: { type: 'host-local', dataDir: lab.networks, ranges: [[{ subnet: 5 }]] },
  };
  const answer = await lab.plugin(`${ours}/bridge`, conf, { command: 'ADD', netns });
  expect(answer.json?.msg).toContain('ipam.ranges[0][0].subnet');
});

const environments: [string, Record<string, string>, string][] = [
  [
    'no command and nothing else',
    { CNI_COMMAND: 'ADD' },
    'required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing',
  ],
  ['a container ID that leaves its folder', { CNI_CONTAINERID: '../x' }, 'invalid characters in containerID'],
  [
    'an interface name that leaves its folder',
    { CNI_IFNAME: '../x' },
    'interface name contains / or : or whitespace characters',
  ],
  ['an interface name of 16 bytes', { CNI_IFNAME: 'abcdefghijklmnop' }, 'interface name is too long'],
  ['an unknown command', { CNI_COMMAND: 'add' }, 'unknown CNI_COMMAND: add'],
];

describe('an environment with', () => {
  test.each(environments)('%s is refused with code 4, and nothing changes', async (name, env, message) => {
    const before = [lab.links(), lab.sh(`find ${lab.networks}`)];
    const base = lab.environment({ command: 'ADD', netns });
    const all = name.startsWith('no command') ? { PATH: base.PATH ?? '', ...env } : { ...base, ...env };
    const words = Object.entries(all).map(([key, value]) => `${key}='${value}'`);
    const answer = lab.sh(
      `echo '${JSON.stringify(config())}' | env -i ${words.join(' ')} ${ours}/bridge; echo " $?"`,
    );
    expect(answer.endsWith(' 1\n'), answer).toBe(true);
    expect(JSON.parse(answer.replace(/ 1\n$/, ''))).toMatchObject({ code: 4, msg: message });
    expect([lab.links(), lab.sh(`find ${lab.networks}`)]).toEqual(before);
  });
});
