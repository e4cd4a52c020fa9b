/** What the tap is like, who may open it, and what is refused. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { staticPlugin } from '@cni-ts/static/static';
import { type Call, call, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { writeProgram } from '@cni-ts/testing/shell';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { tap } from './tap.ts';

function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  const full = { cniVersion: '1.1.0', name: 'net1', type: 'tap', ...config };
  return { config: full, container, path: host.bin, ifname: 't0', ...more };
}

// biome-ignore lint/suspicious/noExplicitAny: what `ip` prints
function link(container: Container, name = 't0'): any {
  return container.succeeds(`ip link show ${name}`)
    ? JSON.parse(container.sh(`ip -j -d address show ${name}`))[0]
    : undefined;
}

/** As a program opens it by name, with these flags beside IFF_TAP and IFF_NO_PI, as this user: '' or the error. */
function open(container: Container, flags: number, user = 0, group = 0): string {
  const script = `import fcntl, os, struct
fd = os.open('/dev/net/tun', os.O_RDWR)
if ${user}: os.setgroups([]); os.setgid(${group}); os.setuid(${user})
try: fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b't0', 0x1002 | ${flags})); print('ok')
except OSError as e: print(e.strerror)`;
  return container.sh(`python3 -c "${script.replaceAll('"', '\\"')}"`).trim();
}

/** A process in a user namespace whose 0 is the host's 100000, and in a network namespace of that. */
async function shiftedUsers(): Promise<{ child: ChildProcess; pid: string }> {
  const script = `import ctypes, os, time
c = ctypes.CDLL(None)
there, mapped = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    c.prctl(1, 9)
    c.unshare(0x10000000)
    os.write(there[1], b'x'); os.read(mapped[0], 1)
    c.unshare(0x40000000)
    print(os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)
os.read(there[0], 1)
for kind in 'uid', 'gid': open(f'/proc/{child}/{kind}_map', 'w').write('0 100000 65536')
os.write(mapped[1], b'x')
os.wait()`;
  const child = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  return { child, pid: String(line).trim() };
}

/** The number behind a name that this machine has for it, which `ip` says then; 'nobody' for one outside of the namespace. */
function numbered(said: string | number, table: 'passwd' | 'group'): string | number {
  if (said === 'nobody' || said === 'nogroup') return 'nobody';
  const named = readFileSync(`/etc/${table}`, 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const known = named.find(([name]) => name === said)?.[2];
  return known === undefined ? said : Number(known);
}

const multiQueueFlag = 0x100;
const fails = [
  ['ipam', { ipam: { type: 'fails' } }],
  ['bridge', { bridge: 'br0' }],
  ['mtu', { mtu: 20 }],
  ['mtu', { mtu: -1 }],
  ['mtu', { mtu: 65530 }],
  ['mtu', { mtu: 65522 }],
  ['mac', { mac: 'zz' }],
  ['mac', { mac: '01:00:00:00:00:01' }],
  ['mac', { mac: '00:00:00:00:00:00' }],
] as const;

describe('the tap', () => {
  test('is persistent, without packet information, up, with a queue of 1000 (tap 1, traps 8, 9)', async ({
    host,
    container,
  }) => {
    const { PATH } = process.env;
    process.env.PATH = '';
    const answer = await call(tap, 'ADD', given(host, container, {}));
    process.env.PATH = PATH;
    expect(answer.status, answer.stdout).toBe(0);
    expect(link(container)).toMatchObject({
      mtu: 1500,
      txqlen: 1000,
      flags: expect.arrayContaining(['UP', 'NO-CARRIER']),
      linkinfo: {
        info_kind: 'tun',
        info_data: { type: 'tap', pi: false, vnet_hdr: false, persist: true, multi_queue: false },
      },
    });
    expect(container.sh('cat /proc/net/dev')).toContain('t0');
    expect(link(container).linkinfo.info_data).not.toHaveProperty('user');
    expect(answer.result).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 't0', mac: link(container).address, sandbox: container.path }],
    });
  });

  test('of one queue is opened without the flag for more, and of more with it, not the reverse (tap 2, trap 1)', async ({
    host,
    container,
  }) => {
    for (const multiQueue of [false, true]) {
      const one = given(host, container, { multiQueue });
      await succeed(tap, 'ADD', one);
      expect(open(container, multiQueue ? multiQueueFlag : 0)).toBe('ok');
      expect(open(container, multiQueue ? 0 : multiQueueFlag)).toBe('Invalid argument');
      await succeed(tap, 'DEL', one);
    }
  });

  test('may be opened by its owner and its group alone, each as given; 0 is root (tap 3, trap 4)', async ({
    host,
    container,
  }) => {
    const tries: [object, object][] = [
      [{ owner: 77 }, { user: 77 }],
      [{ group: 78 }, { group: 78 }],
      [
        { owner: 40000, group: 40001 },
        { user: 40000, group: 40001 },
      ],
      [
        { owner: 0, group: 0 },
        { user: 'root', group: 'root' },
      ],
      [{ owner: null, group: null }, {}],
    ];
    for (const [config, expected] of tries) {
      const one = given(host, container, config);
      await succeed(tap, 'ADD', one);
      const { user, group } = link(container).linkinfo.info_data;
      const names = (id: unknown) => (id === 0 ? 'root' : id);
      expect(JSON.parse(JSON.stringify({ user: names(user), group: names(group) }))).toEqual(expected);
      await succeed(tap, 'DEL', one);
    }
    await succeed(tap, 'ADD', given(host, container, { owner: 107, group: 107 }));
    expect(open(container, 0, 107, 107)).toBe('ok');
    expect(open(container, 0, 108, 107)).toBe('Operation not permitted');
    expect(open(container, 0)).toBe('ok');
  });

  test('has the host’s numbers of owner and group: a container with a user namespace of its own sees others (tap trap 5)', async ({
    host,
    container,
  }) => {
    const { child, pid } = await shiftedUsers();
    try {
      const netns = `/proc/${pid}/ns/net`;
      for (const [owner, inside] of [
        [107, 'nobody'],
        [100107, 107],
      ] as const) {
        const one = { ...given(host, container, { owner, group: owner }), container: undefined, netns };
        await succeed(tap, 'ADD', one);
        const seen = (how: string) => {
          const text = host.sh(`nsenter -t ${pid} -n ${how} ip -j -d link show t0`);
          const { user, group } = JSON.parse(text)[0].linkinfo.info_data;
          // `ip` says the name of a number that this machine has given one.
          return { user: numbered(user, 'passwd'), group: numbered(group, 'group') };
        };
        expect(seen('')).toEqual({ user: owner, group: owner });
        expect(seen('-U')).toEqual({ user: inside, group: inside });
        await succeed(tap, 'DEL', one);
      }
    } finally {
      child.kill();
    }
  });

  test.for([{}, { owner: 1, group: 1 }])(
    'has the MTU and the MAC asked for, also with owner and group: %o (tap 4, trap 6)',
    async (ids, { host, container }) => {
      container.sh('ip link add br0 mtu 9000 type bridge');
      const mac = '02:00:00:00:00:05';
      const { result } = await succeed(
        tap,
        'ADD',
        given(host, container, { mtu: 9000, mac, bridge: 'br0', ...ids }),
      );
      expect(link(container)).toMatchObject({ mtu: 9000, address: mac, master: 'br0' });
      expect(link(container, 'br0').mtu).toBe(9000);
      expect(result?.interfaces?.[0]?.mac).toBe(mac);
    },
  );

  test('gets its MAC from the runtime, else CNI_ARGS, else the configuration (tap 5)', async ({
    host,
    container,
  }) => {
    const mac = '02:00:00:00:00:05';
    const args = 'MAC=02:00:00:00:00:0a';
    const tries: [object, string, string][] = [
      [{ mac, args: { cni: { mac: '02:00:00:00:00:0c' } } }, '', mac],
      [{ mac: 'zz' }, args, '02:00:00:00:00:0a'],
      [{ mac, runtimeConfig: { mac: '02:00:00:00:00:0b' } }, args, '02:00:00:00:00:0b'],
      [{ mac, runtimeConfig: { mac: '' } }, 'MAC=', mac],
    ];
    for (const [config, given_args, expected] of tries) {
      const one = given(host, container, config, { args: given_args });
      await succeed(tap, 'ADD', one);
      expect(link(container).address).toBe(expected);
      await succeed(tap, 'DEL', one);
    }
  });

  test('is a port of a bridge of the container, and of nothing else (tap 10, trap 10)', async ({
    host,
    container,
  }) => {
    container.sh(`ip link add br0 address 02:00:00:00:00:77 type bridge
      ip link add br9 type veth peer name x`);
    const one = given(host, container, { bridge: 'br0' });
    await succeed(tap, 'ADD', one);
    expect(link(container)).toMatchObject({ master: 'br0', flags: expect.arrayContaining(['UP']) });
    expect(link(container, 'br0')).toMatchObject({ address: '02:00:00:00:00:77' });
    expect(link(container, 'br0').flags).not.toContain('UP');
    await succeed(tap, 'DEL', one);
    host.sh('ip link add br1 type bridge');
    const before = snapshot(container.netns);
    expect(await message(call(tap, 'ADD', given(host, container, { bridge: 'br1' })))).toMatch(
      /^failed to get bridge br1: Link not found/,
    );
    expect(await message(call(tap, 'ADD', given(host, container, { bridge: 'br9' })))).toMatch(
      /^failed to set tap t0 as a port of bridge br9: operation not supported/,
    );
    for (const [bridge, kind] of [
      ['br9', 'a link of kind veth'],
      ['lo', 'a link of no kind'],
    ])
      expect(await message(call(tap, 'ADD', given(host, container, { bridge })))).toContain(
        `"${bridge}" is no bridge but ${kind}, name one that is`,
      );
    const long = given(host, container, { bridge: 'the-bridge-of-this-pod' });
    expect(await message(call(tap, 'ADD', long))).toContain('the name is too long, it has 22 bytes');
    expect(snapshot(container.netns)).toEqual(before);
  });

  test('with another master is found by CHECK and put right by REPAIR (tap trap 15)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add br0 type bridge');
    const one = given(host, container, { bridge: 'br0' });
    const { result } = await succeed(tap, 'ADD', one);
    container.sh('ip link set t0 nomaster');
    const known = { ...one, prevResult: result };
    expect(await message(call(tap, 'CHECK', known))).toBe('tap t0 is not a port of bridge br0');
    await succeed(tap, 'REPAIR', known);
    await succeed(tap, 'CHECK', known);
  });

  test('has addresses and routes of IPAM, and is announced by IPv4 alone; CHECK of a link that is down tells the route (tap 11, 17)', async ({
    host,
    container,
  }) => {
    fakeIpam(host.bin, 'fake', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.9.0.2/24', gateway: '10.9.0.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
      dns: { nameservers: ['9.9.9.9'] },
    });
    const one = given(host, container, { ipam: { type: 'fake' }, dns: { domain: 'z' } });
    const { result } = await succeed(tap, 'ADD', one);
    expect(container.sh('ip -br -4 address show t0')).toContain('10.9.0.2/24');
    expect(container.sh('ip route show default')).toContain('via 10.9.0.1 dev t0');
    const setting = (key: string) => container.sh(`cat /proc/sys/net/${key}`).trim();
    expect(setting('ipv4/conf/t0/arp_notify')).toBe('1');
    expect(setting('ipv6/conf/t0/ndisc_notify')).toBe('0');
    expect(result).toMatchObject({ dns: { domain: 'z' }, ips: [{ interface: 0 }] });
    await succeed(tap, 'CHECK', { ...one, prevResult: result });
    container.sh('ip link set t0 down');
    expect(await message(call(tap, 'CHECK', { ...one, prevResult: result }))).toContain(
      'Failed to find Gateway 10.9.0.1 for interface t0',
    );
  });

  test('is not waited for until its IPv6 address has settled, which it cannot without a program (tap 18, trap 12)', async ({
    host,
    container,
  }) => {
    pluginFolder(host, 'static');
    const addresses = [
      { address: '10.9.0.2/24', gateway: '10.9.0.1' },
      { address: 'fd00:9::2/64', gateway: 'fd00:9::1' },
    ];
    const ipam = { type: 'static', addresses, routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] };
    const started = performance.now();
    await succeed(tap, 'ADD', given(host, container, { ipam }, { plugins: [staticPlugin] }));
    expect(performance.now() - started).toBeLessThan(1500);
    expect(container.sh('ip -6 address show t0')).toMatch(/fd00:9::2\/64 scope global tentative/);
    expect(container.sh('ip route show default; ip -6 route show default')).toMatch(
      /10\.9\.0\.1 dev t0[\s\S]*fd00:9::1 dev t0/,
    );
  });
});

describe('what goes wrong', () => {
  test.for(fails)(
    'by %s leaves no tap, and ADD works afterwards: %o (tap 6, 7, 13, traps 3, 17)',
    async ([, config], { host, container }) => {
      fakeIpam(host.bin, 'fails', { code: 11, msg: 'm' }, 1);
      const before = snapshot(container.netns);
      const answer = await call(tap, 'ADD', given(host, container, config));
      expect(answer.status).toBe(1);
      if ('mac' in config && config.mac === 'zz')
        expect(answer.error?.msg).toBe('invalid args zz for MAC addr: address zz: invalid MAC address');
      if ('mtu' in config) expect(answer.error?.msg).toContain(`mtu is ${config.mtu}, must be 68 to 65521`);
      if ('ipam' in config) expect(answer.error).toMatchObject({ code: 11, msg: 'm' });
      expect(snapshot(container.netns)).toEqual(before);
      await succeed(tap, 'ADD', given(host, container, {}));
    },
  );

  test('an IPAM without addresses, or with a route that cannot be, leaves nothing (tap 13)', async ({
    host,
    container,
  }) => {
    const before = snapshot(container.netns);
    fakeIpam(host.bin, 'none', { cniVersion: '1.1.0' });
    expect(await message(call(tap, 'ADD', given(host, container, { ipam: { type: 'none' } })))).toBe(
      'IPAM plugin returned missing IP config',
    );
    const routes = [{ dst: '10.77.0.0/16', gw: '10.250.0.1' }];
    const log = fakeIpam(host.bin, 'fake', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.9.0.2/24' }],
      routes,
    });
    expect(await message(call(tap, 'ADD', given(host, container, { ipam: { type: 'fake' } })))).toMatch(
      /^failed to add route /,
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(snapshot(container.netns)).toEqual(before);
  });

  test.for(['veth peer name x', 'bridge'])(
    'a taken name, of a %s, is refused and left as it is (tap 12, trap 2)',
    async (kind, { host, container }) => {
      container.sh(`ip link add t0 type ${kind}`);
      const before = snapshot(container.netns);
      expect(await message(call(tap, 'ADD', given(host, container, {})))).toMatch(
        /^failed to rename tap to "t0": file exists/,
      );
      expect(snapshot(container.netns)).toEqual(before);
    },
  );

  test("another's tap of the name is not attached to (tap 12, trap 3)", async ({ host, container }) => {
    container.sh('ip tuntap add mode tap name t0 user 5');
    const before = snapshot(container.netns);
    expect(await message(call(tap, 'ADD', given(host, container, {})))).toMatch(
      /^failed to rename tap to "t0": file exists/,
    );
    await succeed(tap, 'DEL', given(host, container, { multiQueue: true }));
    expect(snapshot(container.netns)).toEqual(before);
  });

  test('CNI_ARGS that cannot be read stop ADD and CHECK, not DEL (tap 8, trap 14)', async ({
    host,
    container,
  }) => {
    const tries = [
      ['K8S=1', 'ARGS: unknown args ["K8S=1"]'],
      ['mac=02:00:00:00:00:01', 'ARGS: unknown args ["mac=02:00:00:00:00:01"]'],
      ['none', 'ARGS: invalid pair "none"'],
      [
        'IgnoreUnknown=yes',
        'ARGS: error parsing value of pair "IgnoreUnknown=yes": boolean unmarshal error: invalid input yes',
      ],
    ];
    for (const [args, text] of tries) {
      const one = given(host, container, {}, { args: args ?? '' });
      for (const command of ['ADD', 'CHECK'] as const)
        expect(await message(call(tap, command, one))).toBe(text);
      await succeed(tap, 'DEL', one);
      await succeed(tap, 'STATUS', one);
    }
    await succeed(tap, 'ADD', given(host, container, {}, { args: 'K8S=1;IgnoreUnknown=1' }));
  });

  test('fields of a wrong type are named (tap 9)', async ({ host, container }) => {
    for (const [field, value] of [
      ['args', 'x'],
      ['owner', -1],
      ['owner', 'root'],
      ['group', 2 ** 32],
    ]) {
      const text = await message(call(tap, 'ADD', given(host, container, { [field as string]: value })));
      expect(text).toMatch(new RegExp(`^failed to load netconf: ${field}`));
    }
  });

  test('a namespace that is not there fails ADD and CHECK, by its path (tap 14)', async ({
    host,
    container,
  }) => {
    const gone = given(host, container, {}, { container: undefined, netns: '/nope' });
    for (const command of ['ADD', 'CHECK'] as const)
      expect(await message(call(tap, command, gone))).toContain(
        'failed to Statfs "/nope": no such file or directory',
      );
    await succeed(tap, 'DEL', gone);
  });

  test('a label on a host without SELinux is an error that says what to do, and nothing is left (tap trap 7)', async ({
    host,
    container,
  }) => {
    const before = snapshot(container.netns);
    expect(await message(call(tap, 'ADD', given(host, container, { selinuxContext: 'a:b:c:s0' })))).toMatch(
      /^failed set socket label: .*selinuxContext is "a:b:c:s0"; without SELinux leave it out/,
    );
    expect(snapshot(container.netns)).toEqual(before);
  });
});

describe('DEL, CHECK and STATUS', () => {
  test('DEL deletes a tap that a program has open, which gets an error (tap 15, trap 3)', async ({
    host,
    container,
  }) => {
    const one = given(host, container, {});
    await succeed(tap, 'ADD', one);
    const file = `${host.dir}/said`;
    const script = `${host.dir}/reader.py`;
    writeFileSync(
      script,
      `import fcntl, os, struct
fd = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b't0', 0x1002))
open('${file}', 'w').write('open')
try:
  while True: os.read(fd, 2000)
except OSError as e: open('${file}', 'w').write(e.strerror)
`,
    );
    container.sh(`timeout 20 python3 ${script} >/dev/null 2>&1 </dev/null &
      for i in $(seq 100); do [ -s ${file} ] && break; sleep 0.05; done`);
    await succeed(tap, 'DEL', one);
    expect(link(container)).toBeUndefined();
    expect(
      host.sh(`for i in $(seq 100); do grep -q open ${file} || break; sleep 0.05; done; cat ${file}`),
    ).toMatch(/bad (state|address)/i);
  });

  test('DEL asks IPAM each time, and an error of it is told with the tap gone (tap 15)', async ({
    host,
    container,
  }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: [{ address: '10.9.0.2/24' }] });
    const one = given(host, container, { ipam: { type: 'fake' } });
    await succeed(tap, 'ADD', one);
    await succeed(tap, 'DEL', one);
    await succeed(tap, 'DEL', { ...one, container: undefined, netns: '' });
    await succeed(tap, 'DEL', { ...one, container: undefined, netns: '/nope' });
    expect(log()).toEqual(['ADD', 'DEL', 'DEL', 'DEL']);
    await succeed(tap, 'ADD', one);
    writeProgram(`${host.bin}/fake`, `#!/bin/sh\necho '{"code":5,"msg":"no"}'\nexit 1\n`);
    expect((await call(tap, 'DEL', one)).error).toMatchObject({ code: 5, msg: 'no' });
    expect(link(container)).toBeUndefined();
  });

  test('CHECK says what is missing in the known words (tap 16)', async ({ host, container }) => {
    const one = given(host, container, {});
    const { result } = await succeed(tap, 'ADD', one);
    await succeed(tap, 'CHECK', { ...one, prevResult: result });
    expect(await message(call(tap, 'CHECK', one))).toBe('Required prevResult missing');
    expect(await message(call(tap, 'CHECK', { ...one, prevResult: { cniVersion: '1.1.0' } }))).toBe(
      `Sandbox in prevResult  doesn't match configured netns: ${container.path}`,
    );
  });

  test('results of older versions are theirs (tap 19)', async ({ host, container }) => {
    const before = snapshot(container.netns);
    expect(await message(call(tap, 'ADD', given(host, container, { cniVersion: '0.2.0' })))).toBe(
      'cannot convert: no valid IP addresses',
    );
    expect(snapshot(container.netns)).toEqual(before);
    const { result } = await succeed(tap, 'ADD', given(host, container, { cniVersion: '0.4.0' }));
    expect(result).toEqual({
      cniVersion: '0.4.0',
      interfaces: [{ name: 't0', mac: link(container).address, sandbox: container.path }],
      dns: {},
    });
  });

  test('STATUS asks IPAM, and looks at no CNI_ARGS (tap 20)', async ({ host, container }) => {
    writeFileSync(`${host.bin}/full`, `#!/bin/sh\necho '{"code":50,"msg":"full"}'\nexit 1\n`, {
      mode: 0o755,
    });
    const one = given(host, container, { ipam: { type: 'full' } }, { args: 'none' });
    expect((await call(tap, 'STATUS', one)).error).toMatchObject({ code: 50, msg: 'full' });
    await succeed(tap, 'STATUS', given(host, container, {}, { args: 'none' }));
    await succeed(tap, 'GC', given(host, container, { 'cni.dev/valid-attachments': [] }));
  });
});
