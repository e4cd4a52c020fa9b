import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { callPlugin } from '@cni-ts/skeleton/dispatch';
import { specVersions } from '@cni-ts/spec/released-versions';
import { ipamConformance } from '@cni-ts/testing/ipam-conformance';
import { describe, expect, test } from 'vitest';
import { staticPlugin } from './static.ts';

ipamConformance(staticPlugin, [
  {
    title: 'static: dual stack',
    memory: 'nobody',
    config: () => ({
      ipam: {
        type: 'static',
        addresses: [
          { address: '10.10.0.5/24', gateway: '10.10.0.254' },
          { address: '3ffe:ffff:0:1ff::1/64', gateway: '3ffe:ffff::1' },
        ],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    }),
    other: () => ({ ipam: { type: 'static', addresses: [{ address: '10.11.0.5/24' }] } }),
  },
  {
    title: 'static: addresses of the runtime',
    memory: 'nobody',
    config: () => ({ ipam: { type: 'static' }, capabilities: { ips: true } }),
    runtime: () => ({ runtimeConfig: { ips: ['10.10.0.7/24'] } }),
  },
]);

type Json = Record<string, unknown>;
interface Call {
  command?: 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS';
  args?: string;
  netns?: string;
}

/** Status and the two streams of one call, as a runtime sees them. */
async function call(config: Json, { command = 'ADD', args = '', netns = '/none' }: Call = {}) {
  let stdout = '';
  const status = await callPlugin(staticPlugin, {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: netns,
      CNI_PATH: '/none',
      CNI_ARGS: args,
    },
    readStdin: () => JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge', ...config }),
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      throw new Error(`unexpected on stderr: ${text}`);
    },
  });
  return { status, stdout };
}

async function result(config: Json, more: Call = {}): Promise<Json> {
  const { status, stdout } = await call(config, more);
  expect(stdout === '' ? '' : JSON.parse(stdout)).not.toHaveProperty('code');
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

/** `address` or `address via gateway` of each. */
async function addresses(config: Json, more: Call = {}): Promise<string[]> {
  const { ips = [] } = (await result(config, more)) as { ips?: { address: string; gateway?: string }[] };
  return ips.map(({ address, gateway }) => (gateway === undefined ? address : `${address} via ${gateway}`));
}

async function failure(config: Json, more: Call = {}): Promise<string> {
  const { status, stdout } = await call(config, more);
  expect(status).toBe(1);
  return JSON.parse(stdout).msg;
}

async function succeeds(config: Json, more: Call): Promise<void> {
  expect(await call(config, more)).toEqual({ status: 0, stdout: '' });
}

const ipam = (...entries: string[]) => ({
  ipam: {
    type: 'static',
    addresses: entries.map((entry) => {
      const [address, gateway] = entry.split(' via ');
      return { address, gateway };
    }),
  },
});

const full = {
  ipam: {
    type: 'static',
    addresses: [
      { address: '10.10.0.1/24', gateway: '10.10.0.254' },
      { address: '3ffe:ffff:0:01ff::1/64', gateway: '3ffe:ffff::1' },
    ],
    routes: [
      { dst: '0.0.0.0/0' },
      { dst: '10.9.8.7/16', gw: '10.10.5.1', mtu: 1400 },
      { dst: '::/0', gw: '3ffe:ffff:0:01ff::fe' },
    ],
    dns: { nameservers: ['8.8.8.8'] },
  },
};

describe('ADD', () => {
  test('hands out addresses, routes and dns as written, in order and in canonical text (static 1)', async () => {
    expect(await result(full)).toEqual({
      cniVersion: '1.0.0',
      dns: { nameservers: ['8.8.8.8'] },
      ips: [
        { address: '10.10.0.1/24', gateway: '10.10.0.254' },
        { address: '3ffe:ffff:0:1ff::1/64', gateway: '3ffe:ffff::1' },
      ],
      routes: [
        { dst: '0.0.0.0/0' },
        { dst: '10.9.8.7/16', gw: '10.10.5.1', mtu: 1400 },
        { dst: '::/0', gw: '3ffe:ffff:0:1ff::fe' },
      ],
    });
  });

  test.each(specVersions)(
    'answers a configuration of %s in the shape of that version (static 1)',
    async (v) => {
      const answer = await result({ ...full, cniVersion: v });
      expect(answer).toMatchObject({ cniVersion: v, dns: { nameservers: ['8.8.8.8'] } });
      if (v < '0.3.0') {
        expect(answer).toMatchObject({
          ip4: {
            ip: '10.10.0.1/24',
            gateway: '10.10.0.254',
            routes: [{ dst: '0.0.0.0/0' }, { gw: '10.10.5.1' }],
          },
          ip6: { ip: '3ffe:ffff:0:1ff::1/64', routes: [{ dst: '::/0', gw: '3ffe:ffff:0:1ff::fe' }] },
        });
      } else if (v < '1.0.0') expect(answer).toMatchObject({ ips: [{ version: '4' }, { version: '6' }] });
    },
  );

  test('keeps two default routes with different gateways, in order (static 2)', async () => {
    const routes = [
      { dst: '0.0.0.0/0', gw: '10.10.0.2' },
      { dst: '0.0.0.0/0', gw: '10.10.0.1' },
    ];
    expect(await result({ ipam: { addresses: [{ address: '10.10.0.9/24' }], routes } })).toMatchObject({
      routes,
    });
  });

  test('passes on every member of a route, table 0 and scope 0 too (static 3)', async () => {
    const route = {
      dst: '10.0.0.0/8',
      gw: '10.1.0.1',
      mtu: 1400,
      advmss: 1360,
      priority: 5,
      table: 0,
      scope: 0,
    };
    const config = { ipam: { addresses: [{ address: '10.10.0.9/24' }], routes: [route] } };
    expect(await result({ ...config, cniVersion: '0.3.0' })).toMatchObject({ routes: [route] });
    const old = await result({ ...config, cniVersion: '0.2.0' });
    expect(old).toMatchObject({ ip4: { routes: [{ dst: '10.0.0.0/8', gw: '10.1.0.1' }] } });
    expect(JSON.stringify(old)).not.toContain('mtu');
  });

  test('answers without addresses where the version can say so (static 4)', async () => {
    expect(await result({ ipam: {} })).toEqual({ cniVersion: '1.0.0' });
    expect(await result({ ipam: {}, cniVersion: '0.4.0' })).toEqual({ cniVersion: '0.4.0', dns: {} });
    expect(await failure({ ipam: {}, cniVersion: '0.2.0' })).toBe('cannot convert: no valid IP addresses');
  });

  test('needs the ipam section even when addresses come from elsewhere; DEL does not (static 5)', async () => {
    const text = "IPAM config missing 'ipam' key";
    const given = { runtimeConfig: { ips: ['10.10.0.1/24'] } };
    expect(await failure({})).toBe(text);
    expect(await failure({}, { args: 'IP=10.10.0.1/24' })).toBe(text);
    expect(await failure(given)).toBe(text);
    await succeeds(given, { command: 'DEL' });
  });

  test('names what is no address; an empty gateway is none (static 6)', async () => {
    expect(await failure(ipam('10.10.0.1'))).toBe(
      "the 'address' field is expected to be in CIDR notation, got: '10.10.0.1'",
    );
    expect(await failure({ ipam: { addresses: [{ gateway: '10.0.0.1' }] } })).toBe(
      "the 'address' field is expected to be in CIDR notation, got: ''",
    );
    expect(await failure(ipam('10.10.0.1/24 via x'))).toBe('invalid IP address: x');
    expect(await addresses({ ipam: { addresses: [{ address: '10.10.0.1/24', gateway: '' }] } })).toEqual([
      '10.10.0.1/24',
    ]);
  });

  test('tells in which field a bad route or gateway stands', async () => {
    const { stdout } = await call({ ipam: { routes: [{ dst: '0.0.0.0/0' }, { dst: 'zz' }] } });
    expect(JSON.parse(stdout)).toMatchObject({
      msg: 'invalid CIDR address: zz',
      details: 'ipam.routes[1].dst',
    });
  });

  test.each([
    ['10.10.0.1/24 via 192.168.0.1'],
    ['10.10.0.0/24'],
    ['10.10.0.255/24'],
    ['10.10.0.1/32'],
    ['10.10.0.1/0'],
  ])('takes %s as it is (static 7)', async (entry) => {
    expect(await addresses(ipam(entry, entry))).toEqual([entry, entry]);
  });

  test('two addresses of one family need 0.3.0 (static 8)', async () => {
    const two = ipam('10.10.0.1/24', '10.10.0.2/24');
    const text = (v: string) => `CNI version ${v} does not support more than 1 address per family`;
    expect(await failure({ ...two, cniVersion: '0.2.0' })).toBe(text('0.2.0'));
    expect(await failure({ ...two, cniVersion: undefined })).toBe(text(''));
    expect(await addresses({ ...two, cniVersion: '0.3.0' })).toHaveLength(2);
    expect(await result({ ...ipam('10.10.0.1/24', 'fd00::1/64'), cniVersion: '0.2.0' })).toMatchObject({
      ip4: { ip: '10.10.0.1/24' },
      ip6: { ip: 'fd00::1/64' },
    });
  });
});

describe('sources of addresses', () => {
  const none = { ipam: {} };

  test('CNI_ARGS give each address the gateway of its network (static 9)', async () => {
    const args = 'IP=10.10.0.1/24, 11.11.0.1/24;GATEWAY=10.10.0.254,11.11.0.254';
    expect(await addresses(none, { args })).toEqual([
      '10.10.0.1/24 via 10.10.0.254',
      '11.11.0.1/24 via 11.11.0.254',
    ]);
  });

  test('an address of CNI_ARGS without a fitting gateway has none (static 10)', async () => {
    const args = 'IP=10.10.0.1/24,11.11.0.1/24;GATEWAY=10.10.0.254';
    expect(await addresses(none, { args })).toEqual(['10.10.0.1/24 via 10.10.0.254', '11.11.0.1/24']);
  });

  test('of two fitting gateways the later one counts, of none none (static 11)', async () => {
    expect(await addresses(none, { args: 'IP=10.10.0.1/24;GATEWAY=10.10.0.5,10.10.0.6' })).toEqual([
      '10.10.0.1/24 via 10.10.0.6',
    ]);
    expect(await addresses(none, { args: 'IP=10.10.0.1/24;GATEWAY=9.9.9.9' })).toEqual(['10.10.0.1/24']);
  });

  test('GATEWAY does not touch addresses of the configuration (static 12)', async () => {
    const args = 'GATEWAY=10.9.0.77';
    expect(await addresses(ipam('10.9.0.1/16 via 10.9.0.254'), { args })).toEqual([
      '10.9.0.1/16 via 10.9.0.254',
    ]);
    expect(await addresses(ipam('10.9.0.1/16'), { args })).toEqual(['10.9.0.1/16']);
  });

  test('CNI_ARGS add to the configuration, which comes first (static 13)', async () => {
    expect(await addresses(ipam('10.9.0.1/16'), { args: 'IP=10.10.0.3/24' })).toEqual([
      '10.9.0.1/16',
      '10.10.0.3/24',
    ]);
  });

  test('args.cni.ips replace both, an empty list does not (static 14)', async () => {
    const args = 'IP=10.10.0.3/24;GATEWAY=10.10.0.1';
    const config = ipam('10.9.0.1/16 via 10.9.0.254');
    expect(await addresses({ ...config, args: { cni: { ips: ['10.7.0.1/24'] } } }, { args })).toEqual([
      '10.7.0.1/24',
    ]);
    expect(await addresses({ ...config, args: { cni: { ips: [] } } })).toEqual([
      '10.9.0.1/16 via 10.9.0.254',
    ]);
  });

  test('runtimeConfig.ips beat all, but hide no mistake in args.cni.ips (static 15)', async () => {
    const config = { ...ipam('10.9.0.1/16'), args: { cni: { ips: ['10.7.0.1/24'] } } };
    expect(await addresses({ ...config, runtimeConfig: { ips: ['10.6.0.1/24'] } })).toEqual(['10.6.0.1/24']);
    expect(await addresses({ ...config, RuntimeConfig: { ips: ['10.6.0.1/24'] } })).toEqual(['10.6.0.1/24']);
    const bad = { ...config, args: { cni: { ips: ['bad'] } }, runtimeConfig: { ips: ['10.6.0.1/24'] } };
    expect(await failure(bad)).toBe("an entry in the 'ips' field is NOT in CIDR notation, got: 'bad'");
  });

  test('a bad address of the configuration is no matter once replaced, one of CNI_ARGS is (static 16)', async () => {
    const runtimeConfig = { ips: ['10.6.0.1/24'] };
    expect(await addresses({ ...ipam('bad'), runtimeConfig })).toEqual(['10.6.0.1/24']);
    expect(await failure({ ...none, runtimeConfig }, { args: 'IP=bad' })).toBe(
      "the 'ip' field is expected to be in CIDR notation, got: 'bad'",
    );
  });

  test.each([
    [{ args: 'IP=10.10.0.1/24,' }, {}, "the 'ip' field is expected to be in CIDR notation, got: ''"],
    [{ args: 'GATEWAY=foo' }, {}, 'invalid gateway address: foo'],
    [{ args: 'GATEWAY=10.0.0.1, foo ' }, {}, 'invalid gateway address:  foo '],
    [{ args: 'GATEWAY=,' }, {}, 'invalid gateway address: '],
    [
      {},
      { runtimeConfig: { ips: ['10.10.0.1'] } },
      "an entry in the 'ips' field is NOT in CIDR notation, got: '10.10.0.1'",
    ],
    [
      {},
      { args: { cni: { ips: ['10.10.0.1'] } } },
      "an entry in the 'ips' field is NOT in CIDR notation, got: '10.10.0.1'",
    ],
  ])(
    'each source has its own words for what is no address: %j %j (static 17)',
    async (more, config, text) => {
      expect(await failure({ ...none, ...config }, more)).toBe(text);
    },
  );

  test('an IPv4 address in IPv6 dress is IPv4', async () => {
    expect(await addresses(ipam('::ffff:10.0.0.1/120'))).toEqual(['10.0.0.1/24']);
  });

  test('CNI_ARGS know IP, GATEWAY and IgnoreUnknown, to the letter (static 18)', async () => {
    expect(await failure(none, { args: 'X=y' })).toBe('ARGS: unknown args ["X=y"]');
    expect(await addresses(none, { args: 'X=y;IgnoreUnknown=true' })).toEqual([]);
    expect(await failure(none, { args: 'ip=10.10.0.1/24' })).toBe('ARGS: unknown args ["ip=10.10.0.1/24"]');
    expect(await failure(none, { args: 'IP' })).toBe('ARGS: invalid pair "IP"');
    expect(await addresses(none, { args: 'IP=;GATEWAY=' })).toEqual([]);
  });
});

describe('CHECK', () => {
  const config = ipam('10.10.0.1/24 via 10.10.0.254');
  const after = (ip: Json) => ({ ...config, prevResult: { ips: [ip] } });
  const mismatch = 'static: Failed to match addr 10.10.0.1 on interface eth0';

  test('passes where the result says what the configuration says (static 19)', async () => {
    const check = { command: 'CHECK' } as const;
    await succeeds(after({ address: '10.10.0.1/24', gateway: '10.10.0.254' }), check);
    await succeeds(after({ address: '10.10.0.1/16', gateway: '10.10.0.254' }), check);
    await succeeds(after({ address: '10.77.0.1/16' }), check);
    await succeeds({ ...config, prevResult: {} }, check);
    const free = after({ address: '10.10.0.1/24', gateway: '10.10.0.3' });
    await succeeds({ ...free, ...ipam('10.10.0.1/24') }, check);
  });

  test('names every gateway that differs (static 19)', async () => {
    const check = { command: 'CHECK' } as const;
    expect(await failure(after({ address: '10.10.0.1/24', gateway: '10.10.0.253' }), check)).toBe(
      `${mismatch}: its gateway is 10.10.0.253, configured is 10.10.0.254`,
    );
    expect(await failure(after({ address: '10.10.0.1/24' }), check)).toBe(
      `${mismatch}: its gateway is none, configured is 10.10.0.254`,
    );
    const two = {
      ...ipam('10.10.0.1/24 via 10.10.0.254', '10.11.0.1/24 via 10.11.0.254'),
      prevResult: { ips: [{ address: '10.10.0.1/24' }, { address: '10.11.0.1/24' }] },
    };
    expect(await failure(two, check)).toMatch(/10\.10\.0\.1 .*1 more: .*10\.11\.0\.1 /);
  });

  test('needs a result it can read (static 20)', async () => {
    const check = { command: 'CHECK' } as const;
    expect(await failure(config, check)).toBe('Required prevResult missing');
    expect(await failure({ ...config, prevResult: [] }, check)).toMatch(
      /^failed to load netconf: prevResult/,
    );
    expect(await failure(after({ address: 'zz' }), check)).toBe(
      'could not parse prevResult: invalid CIDR address: zz',
    );
    expect(await failure({ ...config, prevResult: { cniVersion: '0.4.0' } }, check)).toBe(
      'could not parse prevResult: result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is "0.4.0"',
    );
    await succeeds({ ...config, cniVersion: '1.1.0', prevResult: { cniVersion: '1.0.0' } }, check);
    const { stdout } = await call({ ...config, cniVersion: '0.3.1', prevResult: {} }, check);
    expect(JSON.parse(stdout)).toMatchObject({ code: 1 });
  });
});

describe('the other verbs', () => {
  test('DEL succeeds whatever the configuration holds, as often as asked (static 21)', async () => {
    const del = { command: 'DEL', args: 'no args' } as const;
    for (const broken of [{ ipam: { addresses: 'garbage' } }, { ipam: 5 }, {}]) {
      await succeeds(broken, del);
      await succeeds(broken, { ...del, netns: '' });
    }
  });

  test('GC has nothing to do; before 1.1.0 there is no GC (static 22)', async () => {
    await succeeds({ ipam: 5, cniVersion: '1.1.0' }, { command: 'GC' });
    for (const command of ['GC', 'STATUS'] as const) {
      expect(JSON.parse((await call({ ipam: {} }, { command })).stdout)).toMatchObject({
        code: 1,
        msg: `config version does not allow ${command}`,
      });
    }
  });

  test('STATUS says why no ADD can succeed (static 22)', async () => {
    await succeeds({ ipam: {}, cniVersion: '1.1.0' }, { command: 'STATUS' });
    const { stdout } = await call({ ipam: 5, cniVersion: '1.1.0' }, { command: 'STATUS' });
    expect(JSON.parse(stdout)).toMatchObject({
      code: 50,
      msg: 'the configuration is not valid: failed to load netconf: ipam: expected an object, got 5',
    });
  });

  test("the plugin's own namespace is none of its business: it never enters CNI_NETNS (static 23)", async () => {
    const { status } = await call(full, { netns: '/proc/thread-self/ns/net' });
    expect(status).toBe(0);
  });

  test('no command leaves a file anywhere (static 24)', ({ skip }) => {
    // The whole file system, with all that is written to it going to a layer of its own.
    const script = `
      mount -t tmpfs layer /mnt && mkdir /mnt/made /mnt/work /mnt/root || exit 77
      mount -t overlay -o lowerdir=/,upperdir=/mnt/made,workdir=/mnt/work overlay /mnt/root || exit 77
      for folder in proc dev "$3"; do mount --rbind "$folder" "/mnt/root/$folder" || exit 77; done
      export CNI_CONTAINERID=c1 CNI_IFNAME=eth0 CNI_NETNS=/none CNI_PATH=/none
      for CNI_COMMAND in ADD CHECK DEL GC STATUS VERSION; do
        export CNI_COMMAND
        printf %s "$0" | chroot /mnt/root "$1" --disable-warning=ExperimentalWarning "$2" >/dev/null || exit 1
      done
      find /mnt/made -type f`;
    const prevResult = { cniVersion: '1.1.0', ips: [{ address: '10.10.0.1/24', gateway: '10.10.0.254' }] };
    const own = { cniVersion: '1.1.0', name: 'net', type: 'static', 'cni.dev/valid-attachments': [] };
    const config = JSON.stringify({ ...own, ...full, prevResult });
    const main = new URL('main.ts', import.meta.url).pathname;
    const repository = new URL('../../../../..', import.meta.url).pathname;
    const args = ['-m', '--propagation', 'private', 'bash', '-c', script, config];
    const given = [...args, process.execPath, main, repository];
    const { status, stdout, stderr } = spawnSync('unshare', given, { encoding: 'utf8', cwd: '/' });
    skip(status === 77, `no layer over the file system here: ${stderr}`);
    expect([status, stdout], stderr).toEqual([0, '']);
  });

  test('the source of the plugin touches neither files nor the kernel (static 24)', () => {
    for (const file of ['static.ts', 'addresses.ts']) {
      const source = readFileSync(new URL(file, import.meta.url), 'utf8');
      expect(source).not.toMatch(/node:|netlink|libc/);
    }
  });
});
