/** What people, programs and attackers make of a configuration that works. */
import type { Random } from './random.ts';

export type Json = unknown;

/** In the place of anything. */
const values: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 32,
  2 ** 53 + 2,
  2 ** 64,
  -(2 ** 63),
  '',
  ' ',
  'a',
  '\0',
  'eth0\0x',
  '/etc/passwd\0',
  '%d',
  '%s%n',
  'eth%d',
  '..',
  '../..',
  '/',
  'a b',
  'ü',
  '💥',
  '\ud800',
  '\u202e',
  '-h',
  '--help',
  '$(id)',
  "'",
  '"; drop',
  'x'.repeat(16),
  'x'.repeat(300),
  'é'.repeat(9000),
  [],
  {},
  [[]],
  [null],
  [{}],
  { a: { b: 'c' } },
  '0',
  '1',
  '-1',
  '1e9',
  '99999999999999999999',
  'NaN',
];

/** In the place of a string: addresses and names as they get broken. */
const words: readonly string[] = [
  '10.1.0.0/33',
  '10.1.0.0/0',
  '10.1.0.0/-1',
  '10.1.0.0/',
  '10.1.0.300',
  '999.1.1.1/24',
  '010.1.0.0/24',
  '10.1/16',
  '0.0.0.0/0',
  '255.255.255.255/32',
  '127.0.0.1/8',
  '224.0.0.1/24',
  '::/0',
  '::1/128',
  'fe80::1%eth0/64',
  'ff02::1/64',
  '::ffff:10.1.0.1/96',
  'fd00::/129',
  '10.1.0.1-10.1.0.5',
  '00:00:00:00:00:00',
  'ff:ff:ff:ff:ff:ff',
  '01:00:5e:00:00:01',
  'c2:11:22:33:44',
  'lo',
  'eth0',
  'uplink',
  'cni0',
  'all',
  'default',
  'nonexistent',
  'host-local',
  'static',
  'bridge',
  'iptables',
  'nftables',
  'firewalld',
  'tcp',
  'sctp',
  '0.0.1',
  '0.1.0',
  '0.4.0',
  '1.1.0',
  '2.0.0',
  'net.ipv4.conf.all.forwarding',
  'net/ipv4/conf/eth0.1/arp_filter',
  '/nonexistent/folder',
  '/run/torture-file',
  '/dev/null',
  '/proc/self/fd/0',
];

/** One to three changes of a configuration's members; the copy that is returned is no longer sure to be valid. */
export function mutated(random: Random, config: Json): Json {
  let changed = structuredClone(config);
  for (let times = 1 + random.below(3); times > 0; times--) changed = changeOne(random, changed);
  return changed;
}

function changeOne(random: Random, root: Json): Json {
  const places = placesOf(root);
  if (places.length === 0) return random.pick(values);
  const [holder, key] = random.pick(places);
  const old = holder[key];
  switch (random.below(9)) {
    case 0:
      delete holder[key];
      break;
    case 1:
      holder[key] = [old];
      break;
    case 2:
      holder[key] = String(old);
      break;
    case 3:
      holder[otherSpelling(random, key)] = old;
      if (random.chance(0.5)) delete holder[key];
      break;
    case 4: {
      const [otherHolder, otherKey] = random.pick(places);
      holder[key] = structuredClone(otherHolder[otherKey]);
      break;
    }
    case 5:
      holder[key] = nested(10 + random.below(4000));
      break;
    case 6:
      holder[key] = typeof old === 'string' ? damaged(random, old) : random.pick(values);
      break;
    case 7:
      holder[key] = random.pick(words);
      break;
    default:
      holder[key] = random.pick(values);
  }
  return root;
}

type Holder = Record<string, Json>;

/** Every member of every object and array, however deep. */
function placesOf(root: Json): [Holder, string][] {
  const places: [Holder, string][] = [];
  const holders = [root];
  for (let holder = holders.pop(); holder !== undefined; holder = holders.pop()) {
    if (typeof holder !== 'object' || holder === null) continue;
    for (const [key, value] of Object.entries(holder)) {
      places.push([holder as Holder, key]); // reason: an array's elements are reached by their numbers
      holders.push(value);
    }
  }
  return places;
}

function otherSpelling(random: Random, key: string): string {
  return random.pick([
    key.toUpperCase(),
    key.toLowerCase(),
    `${key} `,
    `${key}s`,
    '__proto__',
    '',
    `${key}\0`,
  ]);
}

function nested(depth: number): Json {
  let value: Json = 'deep';
  for (let level = 0; level < Math.min(depth, 1500); level++) value = [value];
  return value;
}

function damaged(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  const letter = random.pick([
    '\0',
    '\n',
    '\r',
    '\t',
    '\x1b',
    '\x7f',
    '/',
    ' ',
    '%',
    ':',
    'ü',
    '\ud800',
    '-',
    '',
  ]);
  return text.slice(0, at) + letter + text.slice(at + random.below(2));
}

/** The configuration as bytes, sometimes damaged as a text. */
export function asBytes(random: Random, config: Json): Uint8Array {
  const text = Buffer.from(JSON.stringify(config));
  if (!random.chance(0.25)) return text;
  const at = random.below(text.length);
  const [head, tail] = [text.subarray(0, at), text.subarray(at)];
  switch (random.below(9)) {
    case 0:
      return head;
    case 1:
      return Buffer.concat([head, Buffer.from([random.below(256)]), tail]);
    case 2:
      return Buffer.concat([head, Buffer.from([random.below(256)]), tail.subarray(1)]);
    case 3:
      return Buffer.concat([head, tail.subarray(0, random.below(200)), tail]);
    case 4:
      return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), text]);
    case 5:
      return Buffer.concat([text, Buffer.from(random.pick(['}', ' {}', '\0', 'x', '\n\n', ',']))]);
    case 6:
      return Buffer.concat([
        Buffer.from(`{"name":"twice","ipam":${random.pick(['{}', '1', 'null'])},`),
        text.subarray(1),
      ]);
    case 7:
      return Buffer.from(
        String(text).replace(
          /:(\d+)/,
          `:${random.pick(['01', '5.', '-', '1e999', 'NaN', '0x10', '9'.repeat(5000)])}`,
        ),
      );
    default:
      return Buffer.from(random.pick(['', ' ', 'null', '[]', '""', '{', '{}', '0', '[{}]', '\0']));
  }
}

/** Names for a container, an interface and arguments. */
export const containerIds: readonly string[] = [
  '',
  '%d',
  '../x',
  'a/b',
  'a b',
  'ü',
  '-',
  '.',
  'x'.repeat(300),
  'x'.repeat(4000),
  'a\nb',
  'a"b',
];
export const ifnames: readonly string[] = [
  '',
  'eth%d',
  '%s',
  'a/b',
  'a b',
  'a:b',
  '.',
  '..',
  'ü',
  'x'.repeat(15),
  'x'.repeat(16),
  'lo',
  'all',
  'default',
  'uplink',
  '-eth0',
  'eth0"',
  '0',
];
export const cniArgs: readonly string[] = [
  '',
  ';',
  '=',
  'a',
  'a=b=c',
  'IgnoreUnknown=1',
  'IgnoreUnknown=1;K8S_POD_NAME=x',
  'IgnoreUnknown=maybe',
  'IP=10.10.0.77',
  'IP=not-an-address;IgnoreUnknown=1',
  'MAC=zz',
  'MAC=c2:11:22:33:44:77;IgnoreUnknown=1',
  `IgnoreUnknown=1;A=${'x'.repeat(5000)}`,
  'ü=ü;IgnoreUnknown=true',
];
