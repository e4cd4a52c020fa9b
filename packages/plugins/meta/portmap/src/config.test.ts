import { onKernelWrite } from '@cni-ts/libc/fault';
import type { Container, Host } from '@cni-ts/testing/namespaces';
import { test } from '@cni-ts/testing/namespaces';
import { backends, callsOf, mappings, resultOf } from '@cni-ts/testing/published-ports';
import { afterEach, describe, expect } from 'vitest';
import { containerAddresses } from './container-address.ts';
import { portmap } from './portmap.ts';

const caller = (...of: [Container, (object | null)?]) => callsOf(portmap, ...of);

afterEach(() => onKernelWrite(undefined));

const web = mappings([8080, 80]);
const rules = (host: Host) => host.sh('nft list ruleset');

describe.for(backends)('with %s', (backend) => {
  test('without mappings the result passes through, and neither program nor transaction is needed (portmap 1)', async ({
    host,
    container,
  }) => {
    onKernelWrite((what) => {
      throw new Error(`written: ${what}`);
    });
    const prevResult = resultOf(container);
    for (const none of [{}, { runtimeConfig: {} }, mappings()]) {
      const { result } = await caller(container).ok('ADD', { backend, ...none });
      expect(result).toEqual(prevResult);
      await caller(container).ok('CHECK', { backend, ...none });
    }
    await caller(container).ok('DEL', { backend, ...mappings() });
    expect(rules(host)).toBe('');
  });

  test('without a plugin before it ADD is refused, with mappings and without (portmap 2)', async ({
    container,
  }) => {
    const { error } = caller(container, null);
    expect(await error('ADD', { backend })).toBe('must be called as chained plugin');
    expect(await error('ADD', { backend, ...web })).toBe('must be called as chained plugin');
    expect(await error('CHECK', { backend })).toBe('Required prevResult missing');
  });

  test('port numbers that are none are refused, the container port first (portmap 3)', async ({
    container,
  }) => {
    const { error } = caller(container);
    const bad = (hostPort: number, containerPort: number) =>
      error('ADD', { backend, ...mappings([hostPort, containerPort]) });
    expect(await bad(0, 80)).toBe('failed to parse config: Invalid host port number: 0');
    expect(await bad(80, -3)).toBe('failed to parse config: Invalid container port number: -3');
    expect(await bad(0, 0)).toBe('failed to parse config: Invalid container port number: 0');
    expect(await bad(1, 65535)).toBeUndefined();
  });

  test('port numbers beyond 65535 are refused before anything is made, and DEL works (portmap 31)', async ({
    host,
    container,
  }) => {
    const { call, ok } = caller(container);
    const { error } = await call('ADD', { backend, ...mappings([70000, 80]) });
    expect(error?.msg).toContain('Invalid host port number: 70000');
    expect(`${error?.msg} ${error?.details}`).toContain('invalid port/service');
    expect(await caller(container).error('ADD', { backend, ...mappings([80, 65536]) })).toContain(
      'Invalid container port number: 65536',
    );
    expect(rules(host)).toBe('');
    await ok('DEL', { backend, ...mappings([70000, 80]) });
  });

  test('a protocol or host address that is none is refused by its path, in any case of letters', async ({
    host,
    container,
  }) => {
    const { call, ok } = caller(container);
    const { error } = await call('ADD', { backend, ...mappings([80, 80], [8080, 80, 'icmp']) });
    expect(error).toMatchObject({
      msg: 'Invalid protocol: "icmp"',
      details: 'runtimeConfig.portMappings[1].protocol: expected tcp, udp or sctp',
    });
    const bad = await call('ADD', { backend, ...mappings([8080, 80, 'tcp', '1.2.3']) });
    expect(bad.error).toMatchObject({ msg: 'Invalid host IP address: "1.2.3"' });
    expect(rules(host)).toBe('');
    await ok('ADD', { backend, ...mappings([8080, 80, 'TCP']) });
    await ok('CHECK', { backend, ...mappings([8080, 80, 'tcp']) });
  });

  test('two mappings of one attachment for the same port are refused, the same one twice is not', async ({
    container,
  }) => {
    const { error } = caller(container);
    expect(await error('ADD', { backend, ...mappings([80, 80], [80, 81, 'tcp', '10.0.0.1']) })).toBe(
      'Host port tcp 10.0.0.1:80 is mapped twice',
    );
    expect(await error('ADD', { backend, ...mappings([80, 80], [80, 81, 'udp']) })).toBeUndefined();
    expect(await error('ADD', { backend, ...mappings([80, 80], [80, 80]) })).toBeUndefined();
  });

  test('markMasqBit has to be a bit (portmap 4)', async ({ host, container }) => {
    const { error, ok } = caller(container);
    for (const markMasqBit of [32, -1]) {
      expect(await error('ADD', { backend, markMasqBit, ...web })).toBe(
        'failed to parse config: MasqMarkBit must be between 0 and 31',
      );
    }
    const marks = { 0: '0x1/0x1', 31: '0x80000000/0x80000000' };
    for (const [bit, mark] of Object.entries(marks)) {
      await ok('ADD', { backend, markMasqBit: Number(bit), ...web });
      if (backend === 'iptables') {
        expect(host.sh('iptables-save -t nat')).toContain(`-j MARK --set-xmark ${mark}`);
        expect(host.sh('iptables-save -t nat')).toContain(`-m mark --mark ${mark} -j MASQUERADE`);
      }
      await ok('CHECK', { backend, markMasqBit: Number(bit), ...web });
      await ok('DEL', { backend });
    }
  });
});

test('a mark bit and a chain that marks exclude each other, but for DEL (portmap 5)', async ({
  container,
}) => {
  const { error } = caller(container);
  const both = { markMasqBit: 1, externalSetMarkChain: 'KUBE-MARK-MASQ', ...web };
  const text = 'Cannot specify externalSetMarkChain and markMasqBit';
  expect(await error('ADD', both)).toBe(`failed to parse config: ${text}`);
  expect(await error('DEL', both)).toBeUndefined();
  expect(await error('CHECK', both)).toBe(text);
});

describe('a backend', () => {
  const add = (container: Container, own: object) => caller(container).error('ADD', { ...web, ...own });
  const requested = (backend: string, other: string, options: string) =>
    `failed to parse config: ${backend} backend was requested but configuration contains ${other}-specific options [${options}]`;

  test('that is none is refused (portmap 6)', async ({ container }) => {
    expect(await add(container, { backend: 'foo' })).toBe(
      'failed to parse config: unrecognized backend "foo"',
    );
    expect(await add(container, { backend: '' })).toBe('failed to parse config: unrecognized backend ""');
    expect(await add(container, { backend: 'foo', conditionsV4: ['-s', '1.2.3.4'] })).toBe(
      requested('foo', 'iptables', 'conditionsV4'),
    );
    const { error } = await caller(container).call('ADD', { ...web, backend: 'nftable' });
    expect(error?.details).toBe('backend can be "iptables" or "nftables"; did you mean "nftables"?');
  });

  test('iptables refuses conditions in the language of nftables (portmap 7)', async ({ container }) => {
    const conditions = ['ip', 'saddr', '1.2.3.4'];
    expect(
      await add(container, { backend: 'iptables', conditionsV4: conditions, conditionsV6: conditions }),
    ).toBe(requested('iptables', 'nftables', 'conditionsV4 conditionsV6'));
    // Nobody asked for it.
    const { error } = await caller(container).call('ADD', { ...web, conditionsV4: conditions });
    expect(error).toMatchObject({
      msg:
        'failed to parse config: configuration contains nftables-specific options [conditionsV4], ' +
        'but iptables was chosen since it is installed',
      details: 'set "backend": "nftables", or write conditionsV4 for iptables',
    });
  });

  test('nftables refuses what only iptables understands (portmap 8)', async ({ container }) => {
    const own = {
      backend: 'nftables',
      externalSetMarkChain: 'KUBE-MARK-MASQ',
      conditionsV4: ['!', '-s', '1.2.3.4'],
    };
    expect(await add(container, own)).toBe(
      requested('nftables', 'iptables', 'externalSetMarkChain conditionsV4'),
    );
    expect(
      await caller(container).error('ADD', {
        backend: 'nftables',
        conditionsV4: ['ip', 'saddr', 'nobody'],
        ...web,
      }),
    ).toMatch(/^conditionsV4: cannot understand "nobody" as a condition of nftables/);
  });
});

describe('without the programs', () => {
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
  });

  test('iptables is missed by name, and nothing else is: nftables is the kernel itself (portmap 21)', async ({
    host,
    container,
  }) => {
    const { error, ok } = caller(container);
    process.env.PATH = host.bin;
    expect(await error('ADD', { backend: 'iptables', ...web })).toBe(
      'failed to open iptables: failed to locate iptables: exec: "iptables-restore": executable file not found in $PATH',
    );
    expect(await error('STATUS', { backend: 'iptables' })).toMatch(
      /^portmap cannot serve ADD: failed to open/,
    );
    await ok('DEL', { backend: 'iptables', ...web });
    await ok('STATUS', {});
    await ok('ADD', web);
    process.env.PATH = path;
    expect(rules(host)).toContain('table ip cni_hostport');
    expect(rules(host)).toContain('table ip6 cni_hostport');
    process.env.PATH = host.bin;
    await ok('CHECK', web);
    await ok('DEL', {});
    process.env.PATH = path;
    expect(rules(host)).toBe('');
  });

  test('what was made without iptables is checked and removed when it is there', async ({
    host,
    container,
  }) => {
    const { ok } = caller(container);
    process.env.PATH = host.bin;
    await ok('ADD', web);
    process.env.PATH = path;
    await ok('CHECK', web);
    await ok('DEL', web);
    expect(rules(host)).toBe('');
  });
});

describe('the address that mappings lead to', () => {
  const of = (ips: { address: string; interface?: number }[]) =>
    containerAddresses(
      {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'hv' }, { name: 'eth0', sandbox: '/run/netns/c' }],
        ips,
        // reason: as much of a result as it looks at
      } as Parameters<typeof containerAddresses>[0],
      'eth0',
    ).map(({ ip, prefix }) => `${[...ip.bytes].join('.')}/${prefix}`);

  test('is the first of a family that is not said to be of another interface or of the host (portmap 30)', () => {
    const own = { address: '10.0.0.2/24', interface: 1 };
    expect(of([{ address: '10.0.0.9/24', interface: 0 }, own])).toEqual(['10.0.0.2/24']);
    expect(of([{ address: '10.0.0.3/24' }, own])).toEqual(['10.0.0.3/24']);
    expect(of([{ address: '10.0.0.3/24', interface: 7 }])).toEqual(['10.0.0.3/24']);
    expect(of([own, { address: '10.0.0.4/24', interface: 1 }])).toEqual(['10.0.0.2/24']);
    expect(of([{ address: '10.0.0.9/24', interface: 0 }])).toEqual([]);
  });
});

describe.for(backends)('what %s has', (made) => {
  const other = made === 'iptables' ? 'nftables' : 'iptables';
  const own = (host: Host) => rules(host).match(/CNI-\S+|cni_hostport/g) ?? [];
  test.for([
    ['another backend', { backend: other }],
    ['a backend that is none', { backend: 'foo' }],
    ['conditions of another backend', { conditionsV4: ['ip', 'saddr', '1.2.3.4'], backend: 'iptables' }],
    ['conditions that nobody understands', { conditionsV4: ['nonsense'], backend: 'nftables' }],
    ['ports that are none', mappings([0, -1])],
    ['the same port twice', mappings([8080, 80], [8080, 81])],
    ['no ports any more', mappings()],
    ['a mark that is no bit', { markMasqBit: 99 }],
    ['two ways to mark', { markMasqBit: 1, externalSetMarkChain: 'X' }],
    ['words where numbers belong', { markMasqBit: 'thirteen', snat: 1, runtimeConfig: 7 }],
    ['a result of another version', { prevResult: { cniVersion: '0.2.0', ip4: { ip: '10.254.0.2/24' } } }],
    ['a result that is none', { prevResult: { cniVersion: '1.1.0', ips: [{ address: 'here' }] } }],
  ] as const)('DEL removes when the configuration has %s now', async ([, config], { host, container }) => {
    const { ok } = caller(container);
    await ok('ADD', { backend: made, ...web });
    expect(own(host)).not.toEqual([]);
    await ok('DEL', config, 'prevResult' in config ? { prevResult: undefined } : {});
    expect(own(host)).toEqual([]);
  });
});
