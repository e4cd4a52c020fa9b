/** Configurations that are fine, and ways to spoil them, each with what must be named. For tests. */

export type Json = { [key: string]: unknown };

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const hostLocal = {
  type: 'host-local',
  ranges: [
    [{ subnet: '10.30.0.0/16', rangeStart: '10.30.0.10', rangeEnd: '10.30.9.250', gateway: '10.30.0.1' }],
    [{ subnet: 'fd00:30::/64', gateway: 'fd00:30::1' }],
  ],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: 'fd00:30::1' }],
  dataDir: '/run/cni/networks',
  resolvConf: '/etc/resolv.conf',
};
const portmap = { type: 'portmap', snat: true, capabilities: { portMappings: true } };

/** As people use them. */
export const valid: readonly Json[] = [
  {
    cniVersion: '1.0.0',
    name: 'pods',
    disableCheck: false,
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods0',
        isDefaultGateway: true,
        ipMasq: true,
        hairpinMode: true,
        mtu: 1450,
        ipam: hostLocal,
      },
      portmap,
      { type: 'bandwidth', capabilities: { bandwidth: true } },
      { type: 'firewall', backend: 'iptables', ingressPolicy: 'same-bridge' },
      { type: 'tuning', sysctl: { 'net.core.somaxconn': '512' }, capabilities: { mac: true } },
    ],
  },
  {
    cniVersion: '0.4.0',
    name: 'wire',
    _comment: 'to the printers',
    plugins: [
      {
        type: 'ptp',
        ipMasq: true,
        ipMasqBackend: 'nftables',
        mtu: 1400,
        ipam: {
          type: 'host-local',
          subnet: '10.31.0.0/24',
          gateway: '10.31.0.1',
          routes: [{ dst: '0.0.0.0/0', mtu: 1400 }],
        },
        dns: { nameservers: ['10.31.0.53'], search: ['example.org'] },
      },
      { ...portmap, 'x-owner': 'team-net' },
    ],
  },
  {
    cniVersion: '1.1.0',
    name: 'lan',
    plugins: [
      {
        type: 'macvlan',
        master: 'eth0',
        mode: 'bridge',
        mtu: 1500,
        capabilities: { ips: true, mac: true },
        ipam: {
          type: 'static',
          addresses: [{ address: '10.32.0.5/24', gateway: '10.32.0.254' }],
          routes: [{ dst: '10.0.0.0/8', gw: '10.32.0.254' }],
          dns: { nameservers: ['10.32.0.53'], domain: 'example.org' },
        },
      },
      { type: 'sbr', priority: 1000 },
    ],
  },
  {
    cniVersion: '1.1.0',
    name: 'tenant',
    plugins: [
      {
        type: 'bridge',
        bridge: 'tenant0',
        vlan: 100,
        vlanTrunk: [{ id: 200 }, { minID: 300, maxID: 310 }],
        macspoofchk: true,
        portIsolation: true,
        ipam: { type: 'host-local', subnet: '10.33.0.0/24' },
      },
      { type: 'tuning', mtu: 1400, allmulti: true, txQLen: 500 },
      {
        type: 'bandwidth',
        ingressRate: 1000000,
        ingressBurst: 100000,
        egressRate: 1000000,
        egressBurst: 100000,
      },
      { type: 'vrf', vrfname: 'blue', table: 500 },
    ],
  },
];

/** A spoilt configuration, or two that do not go together, and a word that the finding's place or sentence must have. */
export interface Spoilt {
  readonly kind: string;
  readonly texts: readonly string[];
  readonly names: readonly string[];
}

type Random = () => number;

function pick<T>(random: Random, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)]!;
}

interface Leaf {
  readonly object: Json;
  readonly key: string;
}

/** Every member that a plugin or a runtime looks at. */
function members(value: unknown): Leaf[] {
  if (Array.isArray(value)) return value.flatMap(members);
  if (typeof value !== 'object' || value === null) return [];
  const object = value as Json; // reason: an object that is no list
  return Object.keys(object).flatMap((key) => {
    if (key.startsWith('_') || key.startsWith('x-') || key === 'sysctl') return [];
    return [{ object, key }, ...members(object[key])];
  });
}

const text = (json: Json) => JSON.stringify(json, undefined, 2);

function syntax(random: Random, json: Json): Spoilt {
  const whole = text(json);
  const at = pick(
    random,
    [...whole.matchAll(/[{}[\],:"]/g)].map(({ index }) => index),
  );
  // A digit, a bracket or a comma too many, a sign too few, an end too early.
  const spoilt = pick(random, [
    whole.slice(0, at) + whole.slice(at + 1),
    `${whole.slice(0, at)}${pick(random, ['}', ']', ',', ':'])}${whole.slice(at)}`,
    whole.slice(0, at),
  ]);
  return { kind: 'syntax', texts: [isJson(spoilt) ? whole.slice(0, -1) : spoilt], names: [''] };
}

function isJson(one: string): boolean {
  try {
    JSON.parse(one);
    return true;
  } catch {
    return false;
  }
}

function misspelt(random: Random, json: Json): Spoilt {
  const all = members(json);
  const known = new Set(all.map(({ key }) => key.toLowerCase()));
  const { object, key } = pick(
    random,
    all.filter((one) => one.key.length > 1 && !/^\d/.test(one.key)),
  );
  let wrong = key;
  while (known.has(wrong.toLowerCase())) {
    const at = Math.floor(random() * key.length);
    wrong = pick(random, [
      key.slice(0, at) + key.slice(at + 1),
      key.slice(0, at) + key.charAt(at) + key.slice(at),
      key.slice(0, at) + key.charAt(at + 1) + key.charAt(at) + key.slice(at + 2),
      `${key.slice(0, at)}q${key.slice(at + 1)}`,
    ]);
  }
  const entries = Object.entries(object);
  for (const name of Object.keys(object)) delete object[name];
  for (const [name, value] of entries) object[name === key ? wrong : name] = value;
  return { kind: `misspelt ${wrong}`, texts: [text(json)], names: [wrong, key] };
}

function wrongType(random: Random, json: Json): Spoilt {
  const { object, key } = pick(
    random,
    members(json).filter(({ key: one }) => one !== 'domain'),
  );
  const value = object[key];
  const other: unknown[] = [{ a: 1 }];
  if (typeof value === 'string') other.push(17, true, [value]);
  else if (typeof value === 'number') other.push(`${value}`, true, value + 0.5, [value]);
  else if (typeof value === 'boolean') other.push('yes', 17, [value]);
  else if (Array.isArray(value)) other.push('none', 17);
  else other.splice(0, 1, 'none', 17, [[]]);
  object[key] = pick(random, other);
  return { kind: `type of ${key}`, texts: [text(json)], names: [key] };
}

/** What contradicts in one file: who it is done to, what is done, and the key that is to be named. */
const contradictions: readonly [type: string, change: (plugin: Json, list: Json) => void, key: string][] = [
  ['bridge', (one) => Object.assign(one, { hairpinMode: true, promiscMode: true }), 'promiscMode'],
  ['bridge', (one) => Object.assign(one, { disableContainerInterface: true }), 'disableContainerInterface'],
  ['bridge', (one) => Object.assign(one, { vlan: 4095 }), 'vlan'],
  ['bridge', (one) => Object.assign(one, { vlanTrunk: [{ minID: 300, maxID: 200 }] }), 'minID'],
  ['bridge', (one) => Object.assign(one, { bridge: 'a-name-that-is-far-too-long' }), 'bridge'],
  ['bridge', (one) => Object.assign(one, { mtu: 20 }), 'mtu'],
  ['bridge', (one) => Object.assign(one, { mtu: 1000000 }), 'mtu'],
  ['bridge', (one) => Object.assign(one, { ipam: { type: 'host-local', subnet: '10.40.0.7/24' } }), 'subnet'],
  ['bridge', (one) => Object.assign(one, { ipam: { type: 'host-local', subnet: '10.40.0.0/31' } }), 'subnet'],
  [
    'bridge',
    (one) =>
      Object.assign(one, { ipam: { type: 'host-local', subnet: '10.40.0.0/24', gateway: '10.41.0.1' } }),
    'gateway',
  ],
  [
    'bridge',
    (one) =>
      Object.assign(one, { ipam: { type: 'host-local', subnet: '10.40.0.0/24', rangeStart: '10.40.1.9' } }),
    'rangeStart',
  ],
  [
    'bridge',
    (one) =>
      Object.assign(one, {
        ipam: { type: 'host-local', subnet: '10.40.0.0/24', rangeStart: '10.40.0.9', rangeEnd: '10.40.0.3' },
      }),
    'rangeEnd',
  ],
  [
    'bridge',
    (one) =>
      Object.assign(one, {
        ipam: { type: 'host-local', ranges: [[{ subnet: '10.40.0.0/24' }], [{ subnet: '10.40.0.128/25' }]] },
      }),
    'ranges',
  ],
  ['bridge', (one) => Object.assign(one, { ipam: { type: 'host-local' } }), 'ipam'],
  ['bridge', (one) => Object.assign(one, { capabilities: { portMappings: true } }), 'portMappings'],
  ['ptp', (one) => Object.assign(one, { ipMasqBackend: 'iptabels' }), 'ipMasqBackend'],
  ['ptp', (one) => delete one.ipam, 'ipam'],
  ['ptp', (one) => Object.assign(one, { ipam: { type: 'host-local', subnet: '10.300.0.0/24' } }), 'subnet'],
  ['macvlan', (one) => Object.assign(one, { mode: 'brigde' }), 'mode'],
  ['macvlan', (one) => Object.assign(one, { mac: '02:00:00' }), 'mac'],
  [
    'macvlan',
    (one) => Object.assign(one, { ipam: { type: 'static', addresses: [{ address: '10.32.0.5' }] } }),
    'address',
  ],
  [
    'portmap',
    (one) => Object.assign(one, { externalSetMarkChain: 'X', markMasqBit: 13 }),
    'externalSetMarkChain',
  ],
  ['portmap', (one) => Object.assign(one, { markMasqBit: 33 }), 'markMasqBit'],
  ['portmap', (one) => delete one.capabilities, 'portMappings'],
  ['portmap', (one) => Object.assign(one, { backend: 'iptabels' }), 'backend'],
  [
    'portmap',
    (one) =>
      Object.assign(one, {
        runtimeConfig: {
          portMappings: [
            { hostPort: 80, containerPort: 80, protocol: 'tcp' },
            { hostPort: 80, containerPort: 81, protocol: 'tcp' },
          ],
        },
      }),
    'hostPort',
  ],
  ['portmap', (_, list) => (list.plugins as unknown[]).reverse(), 'portmap'],
  ['firewall', (one) => Object.assign(one, { ingressPolicy: 'closed' }), 'ingressPolicy'],
  ['bandwidth', (one) => Object.assign(one, { ingressRate: 1000, ingressBurst: 0 }), 'ingressBurst'],
  ['tuning', (one) => Object.assign(one, { sysctl: { 'kernel.panic': '1' } }), 'sysctl'],
  ['tuning', (one) => Object.assign(one, { mac: 'zz' }), 'mac'],
  ['vrf', (one) => Object.assign(one, { vrfname: 'a name' }), 'vrfname'],
  ['vrf', (_, list) => (list.plugins as unknown[]).push({ type: 'sbr' }), 'sbr'],
  ['sbr', (one) => Object.assign(one, { gateways: ['10.0.0.1', '10.0.0.2'] }), 'gateways'],
  ['sbr', (_, list) => (list.plugins as unknown[]).reverse(), 'sbr'],
  ['', (_, list) => Object.assign(list, { cniVersion: '1.2.0' }), 'cniVersion'],
  ['', (_, list) => Object.assign(list, { name: 'two words' }), 'name'],
  ['', (_, list) => Object.assign(list, { plugins: [] }), 'plugins'],
];

function contradiction(random: Random, json: Json): Spoilt {
  const plugins = json.plugins as Json[]; // reason: the lists above
  const types = ['', ...plugins.map(({ type }) => type)];
  const [type, change, key] = pick(
    random,
    contradictions.filter(([one]) => types.includes(one)),
  );
  change(plugins.find((one) => one.type === type) ?? {}, json);
  return { kind: `contradiction of ${key}`, texts: [text(json)], names: [key] };
}

function files(random: Random, json: Json): Spoilt {
  const whole = text(json);
  const ways: [change: () => void, key: string][] = [
    [() => {}, 'name'],
    [() => Object.assign(json, { name: 'another' }), /host-local/.test(whole) ? 'subnet' : 'name'],
  ];
  const [change, key] = pick(random, /host-local/.test(whole) ? ways : ways.slice(0, 1));
  change();
  return { kind: `files of ${key}`, texts: [whole, text(json)], names: [key, 'bridge'] };
}

/** One of them, in one of the kinds in turn. */
export function spoilt(random: Random, number: number, from: readonly Json[]): Spoilt {
  const json = structuredClone(pick(random, from)) as Json; // reason: a clone may be changed
  const ways = [syntax, misspelt, wrongType, contradiction, misspelt, wrongType, files];
  return ways[number % ways.length]!(random, json);
}
