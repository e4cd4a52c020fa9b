import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { validateSchema } from '../report-schemas.ts';
import type { Finding } from './finding.ts';
import type { Executables, Node } from './node-rules.ts';
import { findingText, reportJson, reportText } from './report.ts';
import { Source } from './source.ts';
import { type Surroundings, validate } from './validate.ts';

const anywhere: Surroundings = {
  plugin: () => undefined,
  links: 'is not looked at',
  programs: 'is not looked at',
  isFolder: true,
  hasPluginsBeside: () => false,
};
type Files = Readonly<Record<string, unknown>>;
const sources = (files: Files) =>
  Object.entries(files).map(
    ([name, content]) =>
      new Source(name, typeof content === 'string' ? content : JSON.stringify(content, undefined, 2)),
  );
const look = (files: Files, around: Partial<Surroundings> = {}) =>
  validate(sources(files), { ...anywhere, ...around });
const brief = ({ file, code, level, pointer }: Finding) => `${file} ${level} ${code} ${pointer}`;
const found = async (files: Files, around: Partial<Surroundings> = {}) =>
  (await look(files, around)).findings.map(brief);
const list = (plugins: unknown, more: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'net',
  plugins,
  ...more,
});
const ofList = async (plugins: unknown, more: object = {}) =>
  (await found({ 'a.conflist': list(plugins, more) })).map((one) => one.replace('a.conflist ', ''));
const bridge = (more: object = {}) => ({
  type: 'bridge',
  isGateway: true,
  ipam: { type: 'host-local', subnet: '10.1.0.0/16' },
  ...more,
});
const withIpam = (ipam: object) => ofList([bridge({ ipam: { type: 'host-local', ...ipam } })]);

describe('a place in a file', () => {
  test('is line and column of the key or value, in characters, with the line and a mark below it', async () => {
    const text = '{\n  "name": "nét", "plugins": [\n\t{"type": "bridge", "mtu": 20}]\n}\n';
    const { findings } = await look({ 'a.conf': '', 'b.conflist': text });
    expect(findings.map((one) => findingText(one)).join('')).toBe(
      'a.conf:1:1 error CNI1001 there is nothing in it\n' +
        'b.conflist:1:1 note CNI1008 no cniVersion is given, so 0.1.0 counts; write the highest that all plugins speak\n    {\n    ^\n' +
        'b.conflist:2:11 error CNI1005 /name: the name of the network is "nét"; it has letters, digits, "_", "." and "-", and begins with a letter or digit\n' +
        '    "name": "nét", "plugins": [\n            ^~~~~\n' +
        'b.conflist:3:28 error CNI1021 /plugins/0/mtu: mtu is 20, must be 68 to 65535, or 0 for the default\n' +
        '    {"type": "bridge", "mtu": 20}]\n                              ^~\n',
    );
  });

  test('of what is no JSON is where it stops being JSON', async () => {
    const { findings } = await look({ 'a.conflist': '{\n  "name": "net"\n  "plugins": []\n}' });
    expect(findings).toMatchObject([
      {
        line: 3,
        column: 3,
        code: 'CNI1001',
        message: 'expected a comma or }, found "\\""',
        text: '  "plugins": []',
      },
    ]);
  });

  test('of what is missing is the object that it is missing from', async () => {
    const { findings } = await look({ 'a.conflist': list([{ mtu: 1 }]) });
    expect(findings).toMatchObject([{ code: 'CNI1004', pointer: '/plugins/0/type', line: 5 }]);
  });

  test('in a long line is shown with what is around it', async () => {
    const text = JSON.stringify(
      list([bridge({ _comment: 'x'.repeat(500), mtu: 20, _more: 'y'.repeat(500) })]),
    );
    const told = findingText((await look({ 'a.conflist': text })).findings[0]!).split('\n');
    expect(told[1]!.length).toBeLessThan(200);
    expect(told[1]!.slice(told[2]!.indexOf('^')).startsWith('20')).toBe(true);
  });
});

test('a key that stands twice is told, the last of them counts', async () => {
  const text = '{"cniVersion": "1.0.0", "name": "a", "name": "b", "plugins": [{"type": "x"}]}';
  expect(await found({ 'a.conflist': text })).toEqual(['a.conflist warning CNI1003 /name']);
});

test.each<[object | string, string[]]>([
  ['[]', ['error CNI1002 ']],
  [{ plugins: [{ type: 'x' }] }, ['error CNI1004 /name', 'note CNI1008 ']],
  [list([{ type: 'x' }], { name: 5 }), ['error CNI1010 /name']],
  [list([{ type: 'x' }], { cniVersion: '1.2.0' }), ['error CNI1006 /cniVersion']],
  [list([{ type: 'x' }], { cniVersion: 1 }), ['error CNI1010 /cniVersion']],
  [list([{ type: 'x' }], { cniVersions: ['1.0.0', '9.0.0', 'one'] }), ['error CNI1006 /cniVersions/2']],
  [list([{ type: 'x' }], { disableCheck: 'yes', disableGC: 'TRUE' }), ['error CNI1010 /disableCheck']],
  [
    list([{ type: 'x' }], { disablecheck: true, Labels: {} }),
    ['error CNI1012 /disablecheck', 'note CNI1013 /Labels'],
  ],
  [list([]), ['error CNI1007 /plugins']],
  [list({}), ['error CNI1010 /plugins']],
  [
    list([5, {}, { type: 5 }, { type: '../x' }]),
    [
      'error CNI1010 /plugins/0',
      'error CNI1004 /plugins/1/type',
      'error CNI1010 /plugins/2/type',
      'error CNI1011 /plugins/3/type',
    ],
  ],
  [{ cniVersion: '1.0.0', name: 'net', pluggins: [] }, ['error CNI1007 /plugins', 'error CNI1012 /pluggins']],
  [{ cniVersion: '1.0.0', name: 'net', type: 'x' }, ['error CNI1002 /type']],
])('a list %j', async (json, expected) => {
  expect((await found({ 'a.conflist': json })).map((one) => one.replace('a.conflist ', ''))).toEqual(
    expected,
  );
});

test('a list without plugins is fine where there are some in the folder of its name', async () => {
  expect(
    await found({ 'a.conflist': { cniVersion: '1.0.0', name: 'net' } }, { hasPluginsBeside: () => true }),
  ).toEqual([]);
});

test('a list in a file of a single configuration is told, and what may be part of a list only noted', async () => {
  expect(
    await found({ 'a.conf': list([{ type: 'x' }]), 'a.json': list([{ type: 'x' }], { name: 'b' }) }),
  ).toEqual(['a.conf error CNI1002 /plugins', 'a.json error CNI1002 /plugins']);
  expect(await found({ 'a.json': list([{ type: 'x' }]) }, { isFolder: false })).toEqual([
    'a.json note CNI1002 /plugins',
  ]);
  expect(
    await found({
      'a.conf': { cniVersion: '0.3.1', type: 'loopback' },
      'b.conf': { cniVersion: '0.3.1', type: 'tuning' },
    }),
  ).toEqual(['a.conf note CNI1004 /name', 'b.conf note CNI1004 /name', 'b.conf note CNI1032 /type']);
  const ipam = { type: 'host-local', subnet: '10.1.0.0/33' };
  expect(await found({ 'a.conf': { cniVersion: '1.0.0', ipam } })).toEqual([
    'a.conf note CNI1004 /type',
    'a.conf note CNI1004 /name',
    'a.conf error CNI2001 /ipam/subnet',
  ]);
  const alone = { 'a.conf': { cniVersion: '1.0.0', type: 'x' } };
  expect(await found(alone)).toEqual(['a.conf error CNI1004 /name']);
  expect(await found(alone, { isFolder: false })).toEqual(['a.conf note CNI1004 /name']);
  const withoutType = { cniVersion: '1.0.0', name: 'a', bridge: 'a0', ipam };
  expect(await found({ 'a.conf': withoutType })).toContain('a.conf error CNI1004 /type');
});

describe('addresses', () => {
  const sets = (...ranges: object[][]) => withIpam({ ranges });
  test.each<[object, string[]]>([
    [{ subnet: '10.1.0.0' }, ['error CNI2001 /plugins/0/ipam/subnet']],
    [{ subnet: '10.1.0.0/33' }, ['error CNI2001 /plugins/0/ipam/subnet']],
    [{ subnet: '10.1.0.1/24' }, ['error CNI2002 /plugins/0/ipam/subnet']],
    [{ subnet: '10.1.0.0/31' }, ['error CNI2003 /plugins/0/ipam/subnet']],
    [{ subnet: '10.1.0.0/24', gateway: '10.1.1.1' }, ['error CNI2004 /plugins/0/ipam/gateway']],
    [{ subnet: '10.1.0.0/24', gateway: '10.1.0.255' }, ['warning CNI2004 /plugins/0/ipam/gateway']],
    [{ subnet: '10.1.0.0/24', gateway: '10.1.0.1/24' }, ['error CNI2001 /plugins/0/ipam/gateway']],
    [{ subnet: '10.1.0.0/24', rangeEnd: '10.1.1.9' }, ['error CNI2005 /plugins/0/ipam/rangeEnd']],
    [
      { subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.8' },
      ['error CNI2005 /plugins/0/ipam/rangeEnd'],
    ],
    [
      { subnet: '10.1.0.0/24', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.1' },
      ['error CNI2003 /plugins/0/ipam/rangeStart'],
    ],
    [{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.1', gateway: '10.1.0.9' }, []],
    [{ gateway: '10.1.0.1' }, ['error CNI1004 /plugins/0/ipam/subnet']],
    [{}, ['error CNI2009 /plugins/0/ipam/type']],
    [
      {
        subnet: '10.1.0.0/24',
        routes: [{ dst: '0.0.0.0' }, { dst: '::/0', gw: '10.1.0.1' }, { dst: '0.0.0.0/0', gw: '10.2.0.1' }],
      },
      [
        'error CNI2001 /plugins/0/ipam/routes/0/dst',
        'error CNI1015 /plugins/0/ipam/routes/1/gw',
        'warning CNI2010 /plugins/0/ipam/routes/2/gw',
      ],
    ],
    [{ subnet: 'fd00::/64', routes: [{ dst: '::/0', gw: 'fe80::1' }] }, []],
    [
      { subnet: 'fd00::/64', routes: [{ dst: '::/0', mtu: -1 }] },
      ['error CNI1011 /plugins/0/ipam/routes/0/mtu'],
    ],
  ])('of host-local %j', async (ipam, expected) => {
    expect(await withIpam(ipam)).toEqual(expected);
  });

  test('ranges that overlap, empty sets and sets of both families are told', async () => {
    expect(await sets([{ subnet: '10.1.0.0/24' }], [{ subnet: '10.1.0.128/25' }])).toEqual([
      'error CNI2006 /plugins/0/ipam/ranges/1/0/subnet',
    ]);
    expect(await sets([{ subnet: '10.1.0.0/24' }, { subnet: 'fd00::/64' }])).toEqual([
      'error CNI2008 /plugins/0/ipam/ranges/0',
    ]);
    expect(await sets([])).toEqual(['error CNI2009 /plugins/0/ipam/ranges/0']);
    const halves = [
      { subnet: '10.1.0.0/24', rangeEnd: '10.1.0.9' },
      { subnet: '10.1.0.0/24', rangeStart: '10.1.0.10' },
    ];
    expect(await sets(halves)).toEqual([]);
  });

  test('of static need a prefix length, stand once, and their gateways may lie elsewhere', async () => {
    const addresses = [
      { address: '10.1.0.5' },
      { address: '10.1.0.6/24', gateway: '10.2.0.1' },
      { address: '10.1.0.6/16' },
    ];
    expect(await ofList([bridge({ ipam: { type: 'static', addresses } })])).toEqual([
      'error CNI2001 /plugins/0/ipam/addresses/0/address',
      'note CNI2004 /plugins/0/ipam/addresses/1/gateway',
      'error CNI2006 /plugins/0/ipam/addresses/2/address',
    ]);
  });

  test('that a plugin nobody knows may replace are only noted', async () => {
    expect(await ofList([{ type: 'calico', ipam: { type: 'host-local', subnet: 'usePodCidr' } }])).toEqual([
      'note CNI2001 /plugins/0/ipam/subnet',
    ]);
  });
});

describe('a chain', () => {
  const portmap = { type: 'portmap', capabilities: { portMappings: true } };
  const vrf = { type: 'vrf', vrfname: 'blue' };
  test.each<[object[], string[]]>([
    [[portmap, bridge()], ['error CNI1032 /plugins/0/type']],
    [
      [bridge({ isGateway: false, ipam: {} }), portmap, { type: 'calico' }],
      ['error CNI1032 /plugins/1/type'],
    ],
    [[bridge({ isGateway: false, ipam: {} }), portmap], ['warning CNI1032 /plugins/1/type']],
    [[{ type: 'flannel' }, portmap], []],
    [[{ type: 'sbr' }], ['error CNI1032 /plugins/0/type']],
    [[bridge(), vrf, { type: 'sbr' }], ['warning CNI1033 /plugins/2/type']],
    [[bridge(), { type: 'sbr' }, vrf], []],
    [[bridge(), { type: 'tuning' }, { type: 'tuning' }], ['warning CNI1034 /plugins/2/type']],
    [[bridge(), { type: 'ptp', ipam: { type: 'dhcp' } }], ['error CNI1034 /plugins/1/type']],
    [[bridge(), { type: 'portmap' }], ['warning CNI1031 /plugins/1/type']],
    [[bridge(), { type: 'bandwidth' }], ['warning CNI1031 /plugins/1/type']],
    [[bridge(), { type: 'host-local' }], ['error CNI1032 /plugins/1/type']],
    [[{ type: 'ptp' }], ['error CNI1004 /plugins/0/ipam']],
    [[bridge({ ipam: { subnet: '10.1.0.0/16' } })], ['error CNI1004 /plugins/0/ipam/type']],
    [[bridge({ isGateway: false, isDefaultGateway: true })], ['warning CNI1015 /plugins/0/isGateway']],
    [[bridge(), { ...portmap, snat: false, masqAll: true }], ['warning CNI1015 /plugins/1/masqAll']],
    [
      [bridge(), { type: 'firewall', backend: 'iptables', firewalldZone: 'x' }],
      ['warning CNI1015 /plugins/1/firewalldZone'],
    ],
    [
      [
        { type: 'ptp', ipam: { type: 'dhcp' } },
        { type: 'firewall', ingressPolicy: 'isolated' },
      ],
      ['error CNI1015 /plugins/1/ingressPolicy'],
    ],
    [
      [bridge({ mtu: 1000, ipam: { type: 'host-local', subnet: 'fd00::/64' } })],
      ['warning CNI1021 /plugins/0/mtu'],
    ],
    [[bridge({ ipam: {} })], ['warning CNI1015 /plugins/0/isGateway']],
    [[bridge({ ipMasqBackend: 'nft' })], ['error CNI1011 /plugins/0/ipMasqBackend']],
    [
      [bridge(), { type: 'portmap', capabilities: { portMappings: false } }],
      ['warning CNI1031 /plugins/1/capabilities/portMappings'],
    ],
    [[bridge(), { type: 'portmap', runtimeConfig: { portMappings: [] } }], []],
    [[bridge(), { type: 'bandwidth', ingressRate: 1 }], []],
    [
      [bridge({ dns: { nameservers: ['10.1.0.53', '10.1.0.53:53'] } })],
      ['warning CNI2001 /plugins/0/dns/nameservers/1'],
    ],
    [[bridge(), { type: 'tuning', dataDir: 'run' }], ['warning CNI1011 /plugins/1/dataDir']],
    [[bridge({ ipam: { type: '', subnet: '10.1.0.0/16' } })], ['error CNI1004 /plugins/0/ipam/type']],
    [[{ type: 'brigde' }], ['error CNI4001 /plugins/0/type']],
    [[bridge({ ipam: { type: 'host-locl' } })], ['error CNI4001 /plugins/0/ipam/type']],
  ])('%j', async (plugins, expected) => {
    expect(await ofList(plugins)).toEqual(expected);
  });
});

describe('files beside each other', () => {
  const net = (name: string, more: object) => ({ cniVersion: '1.0.0', name, plugins: [bridge(more)] });
  const subnet = (text: string) => ({ type: 'host-local', subnet: text });

  test('that define one network are told at the one that does not count: lists come first', async () => {
    expect(
      await found({
        'a.conf': { cniVersion: '1.0.0', name: 'net', type: 'x' },
        'b.conflist': list([{ type: 'x' }]),
      }),
    ).toEqual(['a.conf error CNI1040 /name']);
  });

  test('whose ranges overlap are told, but for networks on masters of their own', async () => {
    const files = {
      'a.conflist': net('a', { bridge: 'a0' }),
      'b.conflist': net('b', { bridge: 'b0', ipam: subnet('10.1.9.0/24') }),
    };
    const { findings } = await look(files);
    expect(findings).toMatchObject([
      {
        file: 'b.conflist',
        level: 'warning',
        code: 'CNI2007',
        message: '10.1.9.0/24 overlaps 10.1.0.0/16 of network a in a.conflist',
      },
    ]);
    const on = (name: string, master: string) => ({
      cniVersion: '1.0.0',
      name,
      plugins: [{ type: 'macvlan', master, ipam: subnet('10.1.0.0/24') }],
    });
    expect(await found({ 'a.conflist': on('a', 'eth0'), 'b.conflist': on('b', 'eth1') })).toEqual([]);
    expect(await found({ 'a.conflist': on('a', 'eth0'), 'b.conflist': on('b', 'eth0') })).toHaveLength(1);
  });

  test('that share a bridge must agree on its addresses and settings', async () => {
    const other = { ipam: subnet('10.2.0.0/16') };
    expect(
      await found({ 'a.conflist': net('a', {}), 'b.conflist': net('b', { ...other, bridge: 'cni0' }) }),
    ).toEqual(['b.conflist error CNI1042 /plugins/0/bridge']);
    expect(
      await found({
        'a.conflist': net('a', { mtu: 1400 }),
        'b.conflist': net('b', { ...other, isGateway: false, mtu: 1500 }),
      }),
    ).toEqual(['b.conflist warning CNI1042 /plugins/0/mtu']);
  });

  test('that stand on one master in ways that exclude each other are told', async () => {
    const on = (name: string, more: object) => ({
      cniVersion: '1.0.0',
      name,
      plugins: [{ type: 'macvlan', master: 'eth0', ...more }],
    });
    const told = (first: object, second: object) =>
      found({ 'a.conflist': on('a', first), 'b.conflist': on('b', second) });
    expect(await told({}, { type: 'ipvlan' })).toEqual(['b.conflist error CNI1043 /plugins/0/master']);
    expect(await told({ mode: 'passthru' }, {})).toEqual(['b.conflist error CNI1043 /plugins/0/master']);
    expect(await told({}, {})).toEqual([]);
    expect(await told({}, { type: 'ipvlan', master: 'eth1' })).toEqual([]);
  });

  test('the first that can be loaded would win', async () => {
    const files = {
      'a.conflist': '{',
      'b.conf': { cniVersion: '1.0.0', name: 'b', type: 'x' },
      'c.conflist': list([{ type: 'x' }]),
    };
    const outcome = await look(files);
    expect(reportText(outcome, 3, true).split('\n').at(-2)).toBe(
      '1 error, 0 warnings in 3 files; b.conf would win',
    );
    const json = JSON.parse(reportJson(outcome, Object.keys(files)));
    expect(z.parse(validateSchema(), json)).toMatchObject({
      errors: 1,
      winner: { file: 'b.conf', network: 'b' },
    });
  });
});

describe('a node', () => {
  const link = (name: string, more: object = {}) => ({ name, mtu: 1450, master: '', altNames: [], ...more });
  const node: Node = {
    links: [link('eth0', { altNames: ['enp1s0'] }), link('eth1', { master: 'bond0' })],
    uplink: 'eth0',
  };
  const on = (plugin: object, links: Surroundings['links'] = 'counts') =>
    found({ 'a.conflist': list([plugin]) }, { node, links });
  const macvlan = (more: object) => ({ type: 'macvlan', ...more });

  test('lacks the master, or has it in a bridge or bond', async () => {
    expect(await on(macvlan({ master: 'eth9' }))).toEqual(['a.conflist error CNI3001 /plugins/0/master']);
    expect(await on(macvlan({ master: 'eth1' }))).toEqual(['a.conflist error CNI3002 /plugins/0/master']);
    expect(await on(macvlan({ master: 'enp1s0' }))).toEqual([]);
    expect(await on(macvlan({}))).toEqual([]);
    expect(await on(macvlan({ master: 'eth9', linkInContainer: true }))).toEqual([]);
  });

  test('has a smaller MTU on the way out, or on the master', async () => {
    expect(await on(bridge({ mtu: 1500 }))).toEqual(['a.conflist warning CNI3003 /plugins/0/mtu']);
    expect(await on(macvlan({ master: 'eth0', mtu: 1500 }))).toEqual([
      'a.conflist error CNI3003 /plugins/0/mtu',
    ]);
    expect(await on(bridge({ mtu: 1450 }))).toEqual([]);
  });

  test('that is not meant is told of in notes', async () => {
    expect(await on(macvlan({ master: 'eth9' }), 'is told')).toEqual([
      'a.conflist note CNI3001 /plugins/0/master',
    ]);
  });

  const executables: Executables = {
    find: (type) => (['old', 'older', 'new', 'mute'].includes(type) ? `/opt/${type}` : undefined),
    async versions(type) {
      if (type === 'mute') throw new Error('exec format error');
      return type === 'new' ? ['0.3.1', '0.4.0', '1.0.0'] : type === 'old' ? ['0.3.1', '0.4.0'] : ['0.3.1'];
    },
  };
  const asked = async (plugins: object[], programs: Surroundings['programs'] = 'counts') =>
    (await look({ 'a.conflist': list(plugins) }, { executables, programs })).findings;

  test('lacks a plugin, or has one that is too old: the highest version that all share is told', async () => {
    const all = await asked([{ type: 'new' }, { type: 'old', ipam: { type: 'older' } }, { type: 'none' }]);
    expect(all.map(({ code, pointer, message }) => [code, pointer, message])).toEqual([
      [
        'CNI4002',
        '/plugins/1/type',
        'plugin old speaks 0.3.1, 0.4.0, not 1.0.0; all plugins of this list speak 0.3.1',
      ],
      [
        'CNI4002',
        '/plugins/1/ipam/type',
        'plugin older speaks 0.3.1, not 1.0.0; all plugins of this list speak 0.3.1',
      ],
      ['CNI4001', '/plugins/2/type', 'there is no plugin "none" in the folders of CNI_PATH'],
    ]);
    expect((await asked([{ type: 'mute' }])).map(brief)).toEqual([
      'a.conflist error CNI4003 /plugins/0/type',
    ]);
  });

  test('that lacks a plugin of a name that nobody knows makes it an error, meant or not', async () => {
    expect((await asked([{ type: 'none' }, { type: 'brigde' }], 'is told')).map(brief)).toEqual([
      'a.conflist note CNI4001 /plugins/0/type',
      'a.conflist error CNI4001 /plugins/1/type',
    ]);
  });
});

test('a plugin of another program is asked, and its answer looked at', async () => {
  const finding = { code: 'CNI1014', level: 'error', path: ['limit'], message: 'the limit is too low' };
  const ask: Surroundings['ask'] = async (type) =>
    type === 'theirs' ? { findings: [finding, { code: 'X1' }, 5] } : 'no';
  expect(
    await found({ 'a.conflist': list([{ type: 'other' }, { type: 'theirs', limit: 1 }]) }, { ask }),
  ).toEqual(['a.conflist error CNI1014 /plugins/1/limit']);
});

describe('NetworkAttachmentDefinitions', () => {
  const resource = (config: string, name = 'one') =>
    `apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: ${name}\nspec:\n  config: ${config}\n`;
  const places = async (files: Files) =>
    (await look(files)).findings.map(({ line, column, code, pointer, text }) => [
      line,
      column,
      code,
      pointer,
      text.slice(column - 1, column + 4),
    ]);

  test('need no name, and what is wrong in a block stands where it stands in the file', async () => {
    const block = '|\n    {\n      "cniVersion": "0.3.1",\n      "type": "bridge",\n\n      "mtu": 20\n    }';
    expect(await places({ 'a.yaml': `# mine\n---\n${resource(block)}---\nkind: Pod\n` })).toEqual([
      [13, 14, 'CNI1021', '/mtu', '20'],
    ]);
  });

  test('also in quotes, in JSON, in lists, and for syntax', async () => {
    expect(
      await places({ 'a.yml': resource(`'{"cniVersion": "0.3.1", "type": "bridge", "mtu": 20}'`) }),
    ).toEqual([[6, 61, 'CNI1021', '/mtu', "20}'"]]);
    const config = '{"cniVersion": "0.3.1",\n"type": "bridge", "mtu": 20}';
    const json = { kind: 'NetworkAttachmentDefinition', metadata: { name: 'x' }, spec: { config } };
    expect(await places({ 'a.json': JSON.stringify({ kind: 'List', items: [json] }) })).toEqual([
      [1, 165, 'CNI1021', '/mtu', '20}"}'],
    ]);
    expect(
      await places({ 'a.yaml': resource('|\n    {"cniVersion": "0.3.1",\n     "type" "bridge"}') }),
    ).toEqual([[8, 13, 'CNI1001', '', '"brid']]);
  });

  test("that are no YAML are told so, and one without configuration is Multus's", async () => {
    expect(await places({ 'a.yaml': 'kind: [\n' })).toMatchObject([
      [expect.any(Number), expect.any(Number), 'CNI1001', '', ''],
    ]);
    expect(await places({ 'a.yaml': 'kind: NetworkAttachmentDefinition\nmetadata: {name: x}\n' })).toEqual(
      [],
    );
  });

  test('of one name may be of two namespaces', async () => {
    const config = `'{"cniVersion": "0.3.1", "name": "x", "type": "x"}'`;
    expect(await places({ 'a.yaml': `${resource(config)}---\n${resource(config)}` })).toEqual([]);
  });
});
