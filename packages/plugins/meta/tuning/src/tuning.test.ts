import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { callPlugin } from '@cni-ts/skeleton/dispatch';
import { repeatedKey } from '@cni-ts/spec/repeated-key';
import { call, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, type Host, test as kernelTest } from '@cni-ts/testing/namespaces';
import { describe, expect, test } from 'vitest';
import { checkAllowed } from './allowlist.ts';
import { settingsOf } from './setting.ts';
import { tuningWith } from './tuning.ts';

/** None of these exists on a machine, so a list that the machine has does not count here. */
const noList = '/nonexistent/allowlist.conf';
const tuning = tuningWith(noList);
const mac = '02:00:00:00:00:01';
const tunedMac = 'c2:11:22:33:44:55';

function makeLink(container: Container, name = 'eth0'): object {
  container.sh(
    `ip link add ${name} address ${mac} txqueuelen 1000 type veth peer name ${name}p && ip link set ${name} up`,
  );
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name, mac, sandbox: container.path }],
    ips: [{ address: '10.1.2.3/24', interface: 0 }],
  };
}

const all = { mac: tunedMac, promisc: true, mtu: 1454, allmulti: true, txQLen: 20000 };
const martians = 'net.ipv4.conf.all.log_martians';

const leavesInContainer = {
  members: ['settings'],
  because: 'settings live in the namespace and end with it',
} as const;

conformance(tuning, [
  {
    title: 'tuning: everything',
    config: (host) => ({ ...all, sysctl: { [martians]: '1' }, dataDir: join(host.dir, 'tuning') }),
    before: (_host, container) => makeLink(container),
    leavesInContainer,
    tamperings: {
      'another MAC': {
        by: (_, c) => c.sh(`ip link set eth0 address ${mac}`),
        says: /Ethernet of eth0 is c2/,
      },
      'another MTU': {
        by: (_, c) => c.sh('ip link set eth0 mtu 1500'),
        says: /MTU of eth0 is 1454, current.*1500/,
      },
      'no promiscuity': {
        by: (_, c) => c.sh('ip link set eth0 promisc off'),
        says: /promisc is true, .*is 0/,
      },
      'no all-multicast': {
        by: (_, c) => c.sh('ip link set eth0 allmulticast off'),
        says: /all-multicast mode of eth0 is true, current value is false/,
      },
      'another queue length': {
        by: (_, c) => c.sh('ip link set eth0 txqueuelen 7'),
        says: /Transmit Queue Length of eth0 is 20000, current value is 7/,
      },
      'another setting': { by: (_, c) => c.sh(`sysctl -q ${martians}=0`), says: /is 1, current value is 0/ },
      'no link': {
        by: (_, c) => c.sh('ip link del eth0'),
        says: /Cannot find container link eth0/,
        notHealed: 'the link is another plugin’s',
      },
    },
  },
  {
    title: 'tuning: settings alone',
    config: () => ({ sysctl: { 'net.ipv4.conf.IFNAME.accept_local': '1', [martians]: '1' } }),
    before: (_host, container) => makeLink(container),
    leavesInContainer,
  },
]);

/** Link, saved values and answers of one attachment. */
function trial(host: Host, container: Container, plugin = tuning) {
  const prevResult = makeLink(container);
  const dataDir = join(host.dir, 'data');
  const call1 = (command: 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS', own: object, more: object = {}) =>
    call(plugin, command, {
      config: { cniVersion: '1.1.0', name: 'net', type: 'tuning', dataDir, ...own },
      container,
      containerId: 'cid1',
      prevResult,
      ...more,
    });
  return {
    prevResult,
    dataDir,
    call: call1,
    async ok(command: 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS', own: object, more: object = {}) {
      const answer = await call1(command, own, more);
      expect(answer.status, answer.stdout + answer.stderr).toBe(0);
      return answer;
    },
    async failure(command: 'ADD' | 'CHECK' | 'DEL' | 'STATUS', own: object, more: object = {}) {
      const { error } = await call1(command, own, more);
      return error?.msg;
    },
    saved: () => (existsSync(dataDir) ? readdirSync(dataDir) : []),
    link() {
      const [one] = JSON.parse(container.sh('ip -j -d link show eth0'));
      return {
        mac: one.address,
        mtu: one.mtu,
        txQLen: one.txqlen ?? 0,
        promisc: one.flags.includes('PROMISC'),
        allmulti: one.flags.includes('ALLMULTI'),
      };
    },
    setting: (key: string) => container.sh(`cat /proc/sys/${key}`).trim(),
  };
}

const untouched = { mac, mtu: 1500, txQLen: 1000, promisc: false, allmulti: false };

describe('settings', () => {
  kernelTest(
    'are written in the container alone, and nothing is saved (tuning 1)',
    async ({ host, container }) => {
      const t = trial(host, container);
      const { result } = await t.ok('ADD', { sysctl: { [martians]: '1' } });
      expect(t.setting('net/ipv4/conf/all/log_martians')).toBe('1');
      expect(host.sh('cat /proc/sys/net/ipv4/conf/all/log_martians').trim()).toBe('0');
      expect(result).toEqual(t.prevResult);
      expect(t.saved()).toEqual([]);
    },
  );

  kernelTest('IFNAME stands for the interface (tuning 2)', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', { sysctl: { 'net.ipv4.conf.IFNAME.accept_local': '1' } });
    expect(t.setting('net/ipv4/conf/eth0/accept_local')).toBe('1');
  });

  test('an interface keeps the dots of its name (tuning 3)', () => {
    expect(settingsOf({ 'net.ipv4.conf.IFNAME.x': '1' }, {}, 'eth0.100')).toMatchObject([
      { path: 'net/ipv4/conf/eth0.100/x' },
    ]);
  });

  kernelTest('keys may be written with slashes (tuning 4)', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', { sysctl: { 'net/ipv4/ip_forward': '1' } });
    expect(t.setting('net/ipv4/ip_forward')).toBe('1');
  });

  test.each([
    ['kernel.msgmax', 'kernel/msgmax'],
    ['net', 'net'],
    ['net/', 'net/'],
    ['', ''],
  ])('%j is not one of the network (tuning 5)', (key, shown) => {
    expect(() => settingsOf({ [key]: '1' }, {}, 'eth0')).toThrow(`invalid net sysctl key: "${shown}"`);
  });

  kernelTest('no key climbs out of /proc/sys/net (tuning 6)', async ({ host, container }) => {
    const t = trial(host, container);
    for (const key of ['net/../kernel/msgmax', 'net..ipv4.ip_forward', 'net/ipv4/..']) {
      const { error } = await t.call('ADD', { sysctl: { [key]: '1' } });
      expect(error).toMatchObject({
        msg: `invalid argument: the key sysctl["${key}"] has ".." in it`,
        details: 'sysctl',
      });
    }
  });

  kernelTest(
    'a control character in a key or a value is refused by its field, and nothing written',
    async ({ host, container }) => {
      const t = trial(host, container);
      const cut = 'net/ipv4/ip_forward\0net.ipv4.conf.eth0.arp_filter';
      const refused: [object, string][] = [
        [{ sysctl: { [cut]: '1' } }, 'sysctl'],
        [{ args: { cni: { sysctl: { [cut]: '1' } } } }, 'args.cni.sysctl'],
        [{ sysctl: { 'net.ipv4.ip_forward\n': '1' } }, 'sysctl'],
        [{ sysctl: { [`net.${'x'.repeat(1100)}`]: '1' } }, 'sysctl'],
        [{ sysctl: { 'net.ipv4.ip_forward': '1\0' } }, 'sysctl["net.ipv4.ip_forward"]'],
        [{ sysctl: { 'net.ipv4.ip_forward': '1\x1b' } }, 'sysctl["net.ipv4.ip_forward"]'],
        [{ dataDir: `${host.dir}/a\0b`, mtu: 1400 }, `"${host.dir}/a\\u0000b"`],
      ];
      for (const [own, details] of refused) {
        for (const command of ['ADD', 'CHECK', 'STATUS'] as const) {
          const { error } = await t.call(command, own);
          expect(error?.msg).toContain('invalid argument: ');
          if (command !== 'STATUS') expect(error?.details).toBe(details);
        }
      }
      expect(t.setting('net/ipv4/ip_forward')).toBe('0');
      expect([t.link(), t.saved()]).toEqual([untouched, []]);
      // As the kernel writes them, and as a file would hold them.
      await t.ok('ADD', { sysctl: { 'net.ipv4.ip_local_port_range': '20000\t30000\n' } });
      expect(t.setting('net/ipv4/ip_local_port_range')).toBe('20000\t30000');
    },
  );

  kernelTest(
    'one that is not there fails before another is written (tuning 7)',
    async ({ host, container }) => {
      const t = trial(host, container);
      expect(await t.failure('ADD', { sysctl: { [martians]: '1', 'net.ipv4.foo': '1' } })).toBe(
        'open /proc/sys/net/ipv4/foo: no such file or directory',
      );
      expect(t.setting('net/ipv4/conf/all/log_martians')).toBe('0');
    },
  );

  kernelTest(
    'a value the kernel refuses takes back the ones before it (tuning 8)',
    async ({ host, container }) => {
      const t = trial(host, container);
      expect(await t.failure('ADD', { sysctl: { [martians]: '1', 'net.ipv4.ip_forward': 'abc' } })).toBe(
        'write /proc/sys/net/ipv4/ip_forward: invalid argument',
      );
      expect(t.setting('net/ipv4/conf/all/log_martians')).toBe('0');
    },
  );

  kernelTest('a value that is no text is refused by its path (tuning 9)', async ({ host, container }) => {
    const t = trial(host, container);
    expect(await t.failure('ADD', { sysctl: { 'net.ipv4.ip_forward': 1 } })).toMatch(
      /^failed to load netconf: sysctl\.net\.ipv4\.ip_forward: expected a string, got 1/,
    );
  });

  kernelTest('the same key twice is refused, except by DEL (tuning 10)', async ({ container }) => {
    const config =
      '{"cniVersion":"1.1.0","name":"n","type":"tuning","prevResult":{},"sysctl":{"net.x":"1","net.x":"2"}}';
    const answer = async (command: string) => {
      let stdout = '';
      const env = {
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'c',
        CNI_NETNS: container.path,
        CNI_IFNAME: 'eth0',
      };
      const status = await callPlugin(tuning, {
        env: { ...env, CNI_PATH: '/none' },
        readStdin: () => config,
        writeStdout: (text) => {
          stdout += text;
        },
        writeStderr: () => undefined,
      });
      return { status, msg: stdout && JSON.parse(stdout).msg };
    };
    const refused = { status: 1, msg: 'duplicated sysctl keys are not allowed' };
    expect(await answer('ADD')).toEqual(refused);
    expect(await answer('CHECK')).toEqual(refused);
    expect(await answer('DEL')).toEqual({ status: 0, msg: '' });
  });

  test.each([
    ['{"sysctl":{"a":"1","b":"a"}}', undefined],
    ['{"sysctl":{"a":"1","\\u0061":"2"}}', 'a'],
    ['{"x":["sysctl",{"a":1,"a":2}],"sysctl":{"a":"b","b":"a"}}', undefined],
    ['{"x":{"sysctl":{"a":"1","a":"2"}}}', undefined],
    ['{"x":1,"Sysctl":{"a":"}","b":"\\"","a":"2"}}', 'a'],
  ])('the repeated key of %s is %s', (text, key) => {
    expect(repeatedKey(text, 'sysctl')).toBe(key);
  });

  test('two spellings of one setting may agree, not differ', () => {
    expect(settingsOf({ 'net.x': '1', 'net/x': '1' }, {}, 'e')).toMatchObject([{ path: 'net/x' }]);
    expect(() => settingsOf({ 'net.x': '1', 'net/x': '2' }, {}, 'e')).toThrow(
      '"net.x" and "net/x" are the same',
    );
    expect(settingsOf({ 'net.x': '1' }, { 'net/x': '2' }, 'e')).toMatchObject([{ value: '2' }]);
  });

  kernelTest('args.cni.sysctl work without any sysctl beside them', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', { args: { cni: { sysctl: { [martians]: '1' } } } });
    expect(t.setting('net/ipv4/conf/all/log_martians')).toBe('1');
  });

  kernelTest(
    'that can only be written pass CHECK, lists are compared word by word',
    async ({ host, container }) => {
      const t = trial(host, container);
      const own = { sysctl: { 'net.ipv4.route.flush': '1', 'net.ipv4.ip_local_port_range': '20000 30000' } };
      await t.ok('ADD', own);
      expect(t.setting('net/ipv4/ip_local_port_range')).toBe('20000\t30000');
      await t.ok('CHECK', own);
    },
  );
});

describe('link', () => {
  kernelTest.for([
    ['promisc (tuning 11)', { promisc: true }, { promisc: true }],
    ['mtu (tuning 12)', { mtu: 1454 }, { mtu: 1454 }],
    ['allmulti (tuning 16)', { allmulti: true }, { allmulti: true }],
    ['txQLen (tuning 17)', { txQLen: 20000 }, { txQLen: 20000 }],
    ['txQLen 0 (tuning 17)', { txQLen: 0 }, { txQLen: 0 }],
  ] as const)(
    '%s is set, its former value saved, and DEL puts it back',
    async ([, own, changed], { host, container }) => {
      const t = trial(host, container);
      await t.ok('ADD', own);
      expect(t.link()).toEqual({ ...untouched, ...changed });
      const saved = JSON.parse(readFileSync(join(t.dataDir, 'cid1_eth0.json'), 'utf8'));
      const former = Object.fromEntries(Object.entries(untouched).filter(([name]) => name in changed));
      const { link, ...values } = saved;
      expect(values).toEqual({ ...former, network: 'net' });
      expect(link).toMatchObject({ netns: expect.stringMatching(/^\d+:\d+$/), mac });
      await t.ok('DEL', own);
      expect(t.link()).toEqual(untouched);
      expect(t.saved()).toEqual([]);
    },
  );

  kernelTest('mac goes into the result, in canonical text (tuning 13)', async ({ host, container }) => {
    const t = trial(host, container);
    const { result } = await t.ok('ADD', { mac: 'C2-11-22-33-44-55' });
    expect(result?.interfaces).toEqual([{ name: 'eth0', mac: tunedMac, sandbox: container.path }]);
    expect(result?.ips).toHaveLength(1);
    expect(t.link().mac).toBe(tunedMac);
    await t.ok('DEL', { mac: tunedMac });
    expect(t.link().mac).toBe(mac);
  });

  kernelTest(
    'of several MACs the last in the order of sources counts (tuning 14)',
    async ({ host, container }) => {
      const t = trial(host, container);
      const of = (n: number) => `c2:b0:57:49:47:0${n}`;
      const args = { args: `IgnoreUnknown=true;MAC=${of(2)}` };
      const steps = [
        [{ mac: of(1) }, {}, of(1)],
        [{ mac: of(1) }, args, of(2)],
        [{ mac: of(1), runtimeConfig: { mac: of(3) } }, args, of(3)],
        [{ mac: of(1), runtimeConfig: { mac: of(3) }, args: { cni: { mac: of(4) } } }, args, of(4)],
      ] as const;
      for (const [own, more, expected] of steps) {
        await t.ok('ADD', own, more);
        expect(t.link().mac).toBe(expected);
        await t.ok('DEL', own, more);
      }
      await t.ok('ADD', { mac: of(1), args: { cni: { mac: '' } } });
      expect(t.link().mac).toBe(mac);
    },
  );

  kernelTest(
    'CNI_ARGS know MAC and IgnoreUnknown, to the letter (tuning 15)',
    async ({ host, container }) => {
      const t = trial(host, container);
      for (const [args, msg] of [
        ['MAC', 'ARGS: invalid pair "MAC"'],
        [`mac=${mac}`, `ARGS: unknown args ["mac=${mac}"]`],
      ] as const) {
        expect(await t.failure('ADD', {}, { args })).toBe(msg);
        // What keeps ADD from working does not keep DEL from putting back what an earlier one changed.
        await t.ok('ADD', { mtu: 1400 });
        await t.ok('DEL', {}, { args });
        expect([t.link(), t.saved()]).toEqual([untouched, []]);
      }
    },
  );

  kernelTest('allmulti false switches it off, absent leaves it (tuning 16)', async ({ host, container }) => {
    const t = trial(host, container);
    container.sh('ip link set eth0 allmulticast on');
    await t.ok('ADD', { mtu: 1400 });
    expect(t.link().allmulti).toBe(true);
    await t.ok('ADD', { allmulti: false });
    expect(t.link().allmulti).toBe(false);
    await t.ok('DEL', { allmulti: false });
    expect(t.link().allmulti).toBe(true);
  });

  kernelTest('args.cni counts more than the configuration (tuning 18)', async ({ host, container }) => {
    const t = trial(host, container);
    const low = { promisc: false, mtu: 1300, allmulti: false, txQLen: 5 };
    const cni = { promisc: true, mtu: 1400, allmulti: true, txQLen: 6 };
    await t.ok('ADD', { ...low, args: { cni } });
    expect(t.link()).toEqual({ mac, ...cni });
  });

  kernelTest('args.cni.mtu 0 takes mtu back (tuning 19)', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', { mtu: 1400, args: { cni: { mtu: 0 } } });
    expect(t.link()).toEqual(untouched);
  });

  kernelTest(
    'the file of saved values is the reference’s, and names its network (tuning 20)',
    async ({ host, container }) => {
      const t = trial(host, container);
      await t.ok('ADD', all);
      const path = join(t.dataDir, 'cid1_eth0.json');
      const text = readFileSync(path, 'utf8');
      expect(text.slice(0, text.indexOf(',\n "link"'))).toBe(
        `{\n "mac": "${mac}",\n "promisc": false,\n "mtu": 1500,\n "allmulti": false,\n "txQLen": 1000,\n "network": "net"`,
      );
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(statSync(t.dataDir).mode & 0o777).toBe(0o700);
    },
  );

  kernelTest(
    'a directory for saved values is made with all above it (tuning 21)',
    async ({ host, container }) => {
      const t = trial(host, container);
      await t.ok('ADD', { mtu: 1400, dataDir: join(host.dir, 'a/b') });
      expect(readdirSync(join(host.dir, 'a/b'))).toEqual(['cid1_eth0.json']);
    },
  );

  kernelTest('ADD and CHECK need a prevResult, DEL does not (tuning 22)', async ({ host, container }) => {
    const t = trial(host, container);
    const none = { prevResult: undefined };
    expect(await t.failure('ADD', { mtu: 1400 }, none)).toBe('Required prevResult missing');
    expect(await t.failure('CHECK', { mtu: 1400 }, none)).toBe('Required prevResult missing');
    await t.ok('ADD', { mtu: 1400 });
    await t.ok('DEL', { mtu: 1400 }, none);
    expect(t.link()).toEqual(untouched);
  });

  kernelTest(
    'what is no MAC is refused before anything is changed (tuning 23)',
    async ({ host, container }) => {
      const t = trial(host, container);
      expect(await t.failure('ADD', { mac: 'zz', sysctl: { [martians]: '1' } })).toBe(
        'invalid args zz for MAC addr: address zz: invalid MAC address',
      );
      expect(await t.failure('ADD', { mac: '01:00:5e:00:00:01' })).toMatch(
        /^cannot assign requested address: .*eth0/,
      );
      expect(await t.failure('ADD', { mac: '02:00:00:00:00:00:00:01' })).toMatch(
        /^invalid argument: .* 8 bytes/,
      );
      expect([t.link(), t.saved(), t.setting('net/ipv4/conf/all/log_martians')]).toEqual([
        untouched,
        [],
        '0',
      ]);
    },
  );

  kernelTest(
    'an MTU the link cannot have is refused before anything is changed (tuning 24)',
    async ({ host, container }) => {
      const t = trial(host, container);
      for (const mtu of [70000, -1]) {
        expect(await t.failure('ADD', { mtu, mac: tunedMac })).toMatch(
          /^invalid argument: MTU -?\d+ of "eth0" is not/,
        );
      }
      expect([t.link(), t.saved()]).toEqual([untouched, []]);
    },
  );

  kernelTest('an interface that is not there is named', async ({ host, container }) => {
    const t = trial(host, container);
    expect(await t.failure('ADD', { mtu: 1400 }, { ifname: 'eth9' })).toContain('"eth9": Link not found');
  });

  kernelTest(
    'only the container’s interface gets the MAC in the result (tuning 35)',
    async ({ host, container }) => {
      const t = trial(host, container);
      const interfaces = [
        { name: 'eth0', mac: '02:00:00:00:00:09' },
        { name: 'eth0', mac, sandbox: container.path, mtu: 1500 },
      ];
      const prevResult = { cniVersion: '1.1.0', interfaces };
      const { result } = await t.ok('ADD', { mac: tunedMac, mtu: 1400 }, { prevResult });
      expect(result?.interfaces).toEqual([interfaces[0], { ...interfaces[1], mac: tunedMac, mtu: 1400 }]);
    },
  );
});

describe('allowlist', () => {
  const list = (host: Host, text: string) => {
    const path = join(host.dir, 'allowlist.conf');
    writeFileSync(path, text);
    return path;
  };
  const key = 'net.ipv4.conf.IFNAME.accept_local';

  kernelTest(
    'a setting that is not on it is refused and nothing written (tuning 25)',
    async ({ host, container }) => {
      const t = trial(host, container, tuningWith(list(host, '\n  ^net\\.ipv4\\.conf\\.other$ \n')));
      expect(await t.failure('ADD', { sysctl: { [key]: '1' }, mtu: 1400 })).toBe(
        `Sysctl ${key} is not allowed. Only the following sysctls are allowed: [^net\\.ipv4\\.conf\\.other$]`,
      );
      expect([t.link(), t.saved(), t.setting('net/ipv4/conf/eth0/accept_local')]).toEqual([
        untouched,
        [],
        '0',
      ]);
    },
  );

  kernelTest('patterns are found in the key as it is spelled (tuning 26)', ({ host }) => {
    const path = list(host, 'net\\.ipv4\\.ip_f');
    expect(() => checkAllowed(path, ['net.ipv4.ip_forward'])).not.toThrow();
    expect(() => checkAllowed(path, ['net/ipv4/ip_forward'])).toThrow('is not allowed');
  });

  kernelTest('an empty one allows none, a bad pattern is an error (tuning 27)', ({ host }) => {
    expect(() => checkAllowed(list(host, '\n'), [key])).toThrow('sysctls are allowed: []');
    expect(() => checkAllowed(list(host, '\n'), [])).not.toThrow();
    expect(() => checkAllowed(list(host, '['), [key])).toThrow(/^error parsing regexp: /);
    expect(() => checkAllowed(host.dir, [key])).toThrow(`read ${host.dir}: is a directory`);
    expect(() => checkAllowed(noList, [key])).not.toThrow();
  });

  kernelTest('patterns of the reference’s regular expressions work', ({ host }) => {
    for (const pattern of [
      '(?i)NET\\.IPV4',
      '\\Anet\\.',
      'accept\\_local\\z',
      '[[:alpha:]]+4',
      '(?P<x>net)',
      'a\\-b|net',
    ]) {
      expect(() => checkAllowed(list(host, pattern), [key]), pattern).not.toThrow();
    }
    for (const pattern of ['NET', '[[:digit:]]{2}', 'a\\-z']) {
      expect(() => checkAllowed(list(host, pattern), [key]), pattern).toThrow('is not allowed');
    }
  });

  kernelTest('CHECK does not ask it (tuning 28)', async ({ host, container }) => {
    const t = trial(host, container, tuningWith(list(host, '')));
    await t.ok('CHECK', { sysctl: { [key]: '0' } });
  });
});

describe('CHECK', () => {
  kernelTest('compares MACs by value (tuning 29)', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', { mac: tunedMac });
    await t.ok('CHECK', { mac: tunedMac.toUpperCase() });
    expect(await t.failure('CHECK', { mac })).toBe(
      `Error: Tuning configured Ethernet of eth0 is ${mac}, current value is ${tunedMac}`,
    );
  });

  kernelTest(
    'looks at promiscuity only where the configuration speaks of it (tuning 30)',
    async ({ host, container }) => {
      const t = trial(host, container);
      container.sh('ip link set eth0 promisc on');
      await t.ok('CHECK', { mtu: 1500 });
      expect(await t.failure('CHECK', { promisc: false })).toBe(
        'Error: Tuning link eth0 configured promisc is false, current value is 1',
      );
    },
  );

  kernelTest('names every drift at once (tuning 31)', async ({ host, container }) => {
    const t = trial(host, container);
    const own = { mtu: 1400, sysctl: { [martians]: '1' } };
    await t.ok('ADD', own);
    container.sh(`sysctl -q ${martians}=0; ip link set eth0 mtu 1500`);
    expect(await t.failure('CHECK', own)).toBe(
      'Error: Tuning configured value of /proc/sys/net/ipv4/conf/all/log_martians is 1, current value is 0 ' +
        '(and 1 more: Error: Tuning configured MTU of eth0 is 1400, current value is 1500)',
    );
    container.sh('ip link del eth0');
    expect(await t.failure('CHECK', { mtu: 1400 })).toBe('Cannot find container link eth0');
  });
});

kernelTest(
  'a dry run has a line for each thing that would change, and for a link that is not there yet',
  async ({ host, container }) => {
    const { prevResult, dataDir } = trial(host, container);
    const plan = async (own: object) => {
      const config = { cniVersion: '1.1.0', name: 'net', type: 'tuning', dataDir, ...own };
      const { stdout } = await succeed(tuning, 'PLAN', {
        config,
        container,
        containerId: 'cid1',
        prevResult,
      });
      return JSON.parse(stdout).changes;
    };
    const own = { mtu: 1400, promisc: true, sysctl: { [martians]: '1' } };
    expect(await plan(own)).toEqual([
      {
        sign: '~',
        text: 'configured value of /proc/sys/net/ipv4/conf/all/log_martians is 1, current value is 0',
      },
      { sign: '~', text: 'eth0 configured promisc is true, current value is 0' },
      { sign: '~', text: 'configured MTU of eth0 is 1400, current value is 1500' },
    ]);
    container.sh('ip link set eth0 promisc on');
    expect(await plan({ promisc: false }), 'promiscuity is never switched off').toEqual([]);
    container.sh('ip link del eth0');
    expect(await plan({ mtu: 1400 })).toEqual([{ sign: '~', text: 'mtu of eth0: 1400' }]);
  },
);

describe('DEL, GC and STATUS', () => {
  kernelTest(
    'DEL leaves no file where there is nothing to put back any more (tuning 32)',
    async ({ host, container }) => {
      const t = trial(host, container);
      const ways: [() => void, object][] = [
        [() => undefined, { container: undefined, netns: '' }],
        [() => undefined, { container: undefined, netns: '/nonexistent/netns' }],
        [() => undefined, { container: undefined, netns: host.dir }],
        [() => writeFileSync(join(t.dataDir, 'cid1_eth0.json'), '{'), {}],
        [() => container.sh('ip link del eth0'), {}],
      ];
      for (const [happens, more] of ways) {
        await t.ok('ADD', { mtu: 1400 });
        happens();
        await t.ok('DEL', { mtu: 1400 }, more);
        expect(t.saved()).toEqual([]);
        await t.ok('DEL', { mtu: 1400 }, more);
        if (more !== ways[4]?.[1]) container.succeeds('ip link set eth0 mtu 1500');
      }
    },
  );

  kernelTest(
    'after a second ADD, DEL still puts back what was before the first (tuning 33)',
    async ({ host, container }) => {
      const t = trial(host, container);
      await t.ok('ADD', all);
      await t.ok('ADD', all);
      await t.ok('DEL', all);
      expect(t.link()).toEqual(untouched);
      expect(t.saved()).toEqual([]);
    },
  );

  kernelTest(
    'an old file counts for nothing where the link is another one (tuning 33)',
    async ({ host, container }) => {
      const t = trial(host, container);
      await t.ok('ADD', all);
      container.sh('ip link del eth0');
      const other = '02:00:00:00:00:77';
      container.sh(`ip link add eth0 address ${other} mtu 1300 type veth peer name eth0p`);
      await t.ok('ADD', { mac: tunedMac, mtu: 1454 });
      await t.ok('DEL', { mac: tunedMac, mtu: 1454 });
      expect(t.link()).toMatchObject({ mac: other, mtu: 1300 });
      writeFileSync(join(t.dataDir, 'cid1_eth0.json'), 'nonsense');
      await t.ok('ADD', { mtu: 1400 });
      await t.ok('DEL', { mtu: 1400 });
      expect(t.link()).toMatchObject({ mac: other, mtu: 1300 });
    },
  );

  kernelTest(
    'DEL puts nothing back into another link, or another namespace, of that name',
    async ({ host, container }) => {
      const t = trial(host, container);
      const file = join(t.dataDir, 'cid1_eth0.json');
      const other = host.container('other');
      makeLink(other);
      const strangers: [() => void, object][] = [
        // The path of a namespace that is gone leads to another one.
        [() => undefined, { netns: other.path }],
        // A new link of the name, in the same namespace.
        [() => container.sh('ip link del eth0; ip link add eth0 mtu 1400 type veth peer name eth0p'), {}],
      ];
      for (const [happens, more] of strangers) {
        await t.ok('ADD', { mtu: 1400, txQLen: 20000 });
        happens();
        other.sh('ip link set eth0 mtu 1400');
        const { stderr } = await t.ok('DEL', { mtu: 1400, txQLen: 20000 }, more);
        expect(stderr).toContain('is not the link that was tuned for this container');
        expect(t.link()).toMatchObject({ mtu: 1400 });
        expect(other.sh('ip link show eth0')).toContain('mtu 1400');
        expect(existsSync(file)).toBe(false);
      }
    },
  );

  kernelTest(
    'a namespace with the numbers of one that is gone is told from it by the veth’s other end',
    async ({ host, container }) => {
      const t = trial(host, container);
      await t.ok('ADD', { mtu: 1400 });
      const file = join(t.dataDir, 'cid1_eth0.json');
      const saved = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(
        file,
        JSON.stringify({ ...saved, link: { ...saved.link, lower: saved.link.lower + 100 } }),
      );
      await t.ok('DEL', { mtu: 1400 });
      expect(t.link().mtu).toBe(1400);
    },
  );

  kernelTest(
    'a file of the reference is believed as far as result or configuration bear it out',
    async ({ host, container }) => {
      const t = trial(host, container);
      mkdirSync(t.dataDir);
      const write = (values: object) =>
        writeFileSync(join(t.dataDir, 'cid1_eth0.json'), JSON.stringify(values));
      const of = (mac: string) => ({ interfaces: [{ name: 'eth0', mac, sandbox: container.path }] });
      const result = (mac: string) => ({ prevResult: { cniVersion: '1.1.0', ...of(mac) } });
      const nothing = { prevResult: undefined };
      for (const [own, more, isPutBack] of [
        [{ mtu: 1400 }, result(mac), true],
        [{ mtu: 1400 }, result('02:00:00:00:00:99'), false],
        [{ mtu: 1400 }, nothing, true],
        [{ mtu: 1300 }, nothing, false],
        [{}, nothing, true],
        [{ mac: 'zz' }, nothing, true],
      ] as const) {
        container.sh('ip link set eth0 mtu 1400');
        write({ mtu: 1500 });
        await t.ok('DEL', own, more);
        expect(t.link().mtu, JSON.stringify([own, more])).toBe(isPutBack ? 1500 : 1400);
        expect(t.saved()).toEqual([]);
      }
    },
  );

  kernelTest('a disk that is full is left no half file', async ({ host, container }) => {
    const t = trial(host, container);
    mkdirSync(t.dataDir);
    host.sh(`mount -t tmpfs -o size=4k t ${t.dataDir} && head -c 4096 /dev/zero >${t.dataDir}/full`);
    try {
      expect(await t.failure('ADD', { mtu: 1400 })).toMatch(
        /^failed to save file eth0.json: .*no space left on device/,
      );
      expect([t.saved(), t.link()]).toEqual([['full'], untouched]);
    } finally {
      host.sh(`umount ${t.dataDir}`);
    }
  });

  kernelTest('what a killed process left half written goes', async ({ host, container }) => {
    const t = trial(host, container);
    mkdirSync(t.dataDir);
    const half = join(t.dataDir, 'cid1_eth0.json.new');
    writeFileSync(half, '{"mtu"');
    await t.ok('ADD', { mtu: 1400 });
    expect(t.saved()).toEqual(['cid1_eth0.json']);
    writeFileSync(half, '{"mtu"');
    await t.ok('DEL', { mtu: 1400 });
    expect(t.saved()).toEqual([]);
    const others = join(t.dataDir, 'lost_eth0.json.new');
    writeFileSync(half, '{"mtu"');
    writeFileSync(others, '{"mtu"');
    const longAgo = Date.now() / 1000 - 3600;
    utimesSync(others, longAgo, longAgo);
    await t.ok('GC', { 'cni.dev/valid-attachments': [] });
    expect(t.saved(), 'one may still be written').toEqual(['cid1_eth0.json.new']);
  });

  kernelTest('an undo of what never happened makes no noise', async ({ host, container }) => {
    const t = trial(host, container);
    onKernelWrite((what) => {
      if (what !== 'RTM_SETLINK') return;
      container.sh('ip link del eth0');
      throw new SyscallError('recv', 'ENOBUFS');
    });
    const { error } = await t.call('ADD', { mac: tunedMac });
    onKernelWrite(undefined);
    expect(`${error?.msg} ${error?.details ?? ''}`).not.toContain('could not undo');
    expect(t.saved()).toEqual([]);
  });

  kernelTest('a failed second ADD leaves the first one’s file', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', { mtu: 1400 });
    const before = readFileSync(join(t.dataDir, 'cid1_eth0.json'), 'utf8');
    onKernelWrite((what) => {
      if (what === 'RTM_SETLINK') throw new SyscallError(what, 'EBUSY');
    });
    const refusal = await t.failure('ADD', { mtu: 1300 });
    onKernelWrite(undefined);
    expect(refusal).toBe('failed to set the MTU of "eth0" to 1300: device or resource busy');
    expect(readFileSync(join(t.dataDir, 'cid1_eth0.json'), 'utf8')).toBe(before);
    expect(t.link().mtu).toBe(1400);
  });

  kernelTest('attachments have files of their own (tuning 34)', async ({ host, container }) => {
    const t = trial(host, container);
    const other = { ifname: 'eth1', prevResult: makeLink(container, 'eth1') };
    await t.ok('ADD', { mtu: 1400 });
    await t.ok('ADD', { mtu: 1300 }, other);
    expect(t.saved().sort()).toEqual(['cid1_eth0.json', 'cid1_eth1.json']);
    await t.ok('DEL', { mtu: 1300 }, other);
    expect(t.link().mtu).toBe(1400);
    expect(t.saved()).toEqual(['cid1_eth0.json']);
  });

  kernelTest('a namespace that is not there is said by its path (tuning 36)', async ({ host, container }) => {
    const t = trial(host, container);
    const gone = { container: undefined, netns: '/nonexistent/netns' };
    for (const command of ['ADD', 'CHECK'] as const) {
      expect(await t.failure(command, { mtu: 1400 }, gone)).toBe(
        'failed to Statfs "/nonexistent/netns": no such file or directory',
      );
    }
  });

  kernelTest(
    'GC removes the files of this network’s lost attachments and no others (tuning 37)',
    async ({ host, container }) => {
      const t = trial(host, container);
      for (const containerId of ['kept', 'lost']) await t.ok('ADD', { mtu: 1400 }, { containerId });
      await t.ok('ADD', { name: 'other', mtu: 1400 }, { containerId: 'elsewhere' });
      writeFileSync(join(t.dataDir, 'reference_eth0.json'), '{"mtu": 1500}');
      const valid = [{ containerID: 'kept', ifname: 'eth0' }];
      await t.ok('GC', { 'cni.dev/valid-attachments': valid }, { prevResult: undefined });
      expect(t.saved().sort()).toEqual(['elsewhere_eth0.json', 'kept_eth0.json', 'reference_eth0.json']);
    },
  );

  kernelTest('STATUS tells what keeps ADD from working (tuning 37)', async ({ host, container }) => {
    const path = join(host.dir, 'allowlist.conf');
    writeFileSync(path, '^net\\.ipv4');
    const t = trial(host, container, tuningWith(path));
    const none = { prevResult: undefined, container: undefined };
    await t.ok('STATUS', { sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': '1' }, mtu: 1400 }, none);
    const error = async (own: object) => (await t.call('STATUS', own, none)).error;
    expect(await error({ sysctl: { 'net.core.somaxconn': '1' } })).toMatchObject({
      code: 50,
      msg: expect.stringContaining('Sysctl net.core.somaxconn is not allowed'),
    });
    expect(await error({ sysctl: { 'net.ipv4.foo': '1' } })).toMatchObject({
      code: 50,
      msg: 'tuning cannot serve ADD: access /proc/sys/net/ipv4/foo: no such file or directory',
    });
    expect(await error({ mac: 'zz' })).toMatchObject({ code: 50 });
    mkdirSync(join(host.dir, 'x'));
    writeFileSync(join(host.dir, 'x/file'), '');
    expect(await error({ mtu: 1400, dataDir: join(host.dir, 'x/file/under') })).toMatchObject({ code: 50 });
    const old = await call(tuning, 'STATUS', { config: { cniVersion: '1.0.0', name: 'n', type: 'tuning' } });
    expect(old.error).toMatchObject({ code: 1, msg: 'config version does not allow STATUS' });
    await succeed(tuning, 'STATUS', { config: { cniVersion: '1.1.0', name: 'n', type: 'tuning' } });
  });
});
