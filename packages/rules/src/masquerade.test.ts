import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseCidr } from '@cni-ts/address/cidr';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { Undo } from '@cni-ts/skeleton/undo';
import { sh, writeProgram } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  addMasquerade,
  checkMasquerade,
  gcMasquerade,
  type MasqueradeOwner,
  removeMasquerade,
} from './masquerade.ts';
import { masqueradeChain } from './masquerade-chains.ts';
import { masqueradeComment } from './masquerade-nftables.ts';

const path = process.env.PATH;
const cidrs = (...texts: string[]) => texts.map((text) => parseCidr(text)!);
const owner: MasqueradeOwner = { network: 'net1', containerId: 'c1', ifname: 'eth0' };
const chain = 'CNI-c2d892b58e87e28a12fe6479';

/** Everything there is, without dates, handles, counters. */
const rules = () =>
  sh('nft list ruleset; iptables-legacy-save; ip6tables-legacy-save')
    .replace(/^#.*$/gm, '')
    .replace(/packets \d+ bytes \d+ |\[\d+:\d+\]/g, '');
const saved = (program = 'iptables') =>
  sh(`${program}-save -t nat`)
    .split('\n')
    .filter((line) => line.startsWith('-A'));
const nft = () => sh('nft list chain inet cni_plugins_masquerade masq_checks').match(/ip6? saddr .*/g) ?? [];

let nl: Netlink;
let bin: string;
beforeEach(() => {
  Netns.unshareThread(); // one per test: what legacy iptables has touched stays in a namespace
  nl = Netlink.open('netfilter');
  bin = mkdtempSync(join(tmpdir(), 'masquerade-'));
});
afterEach(() => {
  onKernelWrite(undefined);
  vi.unstubAllEnvs();
  nl.close();
  rmSync(bin, { recursive: true });
});

/** A PATH whose iptables is one variant. */
function onlyPrograms(variant: 'nft' | 'legacy' | 'none'): void {
  for (const tool of variant === 'none' ? [] : ['', '-save', '-restore']) {
    for (const name of ['iptables', 'ip6tables']) {
      symlinkSync(`/usr/sbin/${name}-${variant}${tool}`, join(bin, `${name}${tool}`));
    }
  }
  vi.stubEnv('PATH', `${bin}:/usr/bin:/bin`);
}

/** Counts the programs that are started by their traces in a file. `variant`: what their names are links to. */
function countPrograms(variant = 'unknown'): () => string[] {
  const log = join(bin, 'log');
  writeFileSync(log, '');
  for (const name of ['iptables', 'ip6tables']) {
    for (const tool of ['', '-save', '-restore', '-legacy', '-legacy-save', '-legacy-restore']) {
      const script = `#!/bin/sh\necho ${name}${tool} >> ${log}\nexec /usr/sbin/${name}${tool} "$@"\n`;
      const file = join(bin, `${name}${tool}-${variant}-counted`);
      writeProgram(file, script);
      symlinkSync(file, join(bin, `${name}${tool}`));
    }
  }
  vi.stubEnv('PATH', `${bin}:/usr/bin:/bin`);
  return () => sh(`cat ${log}`).split('\n').filter(Boolean);
}

describe('names', () => {
  test.for([
    ['test', '1234', 'CNI-2bbe0c48b91a7d1b8a6753a8'],
    ['testalongnamethatdoesnotmakesense', '1234', 'CNI-374f33fe84ab0ed84dcdebe3'],
    ['net1', 'c1', chain],
  ])('of the chain for %s and %s are the reference’s', ([network, id, name]) => {
    expect(masqueradeChain(network!, id!)).toBe(name);
  });

  test.for([
    ['net1', 'eth0', 'c1', '8e48f37d5de60467-f4d01f2ef4b92245, net: net1, if: eth0, id: c1'],
    ['unit-test', 'eth0', 'one', '6fd94d501e58f0aa-287fc69eff0574a2, net: unit-test, if: eth0, id: one'],
    ['alternate', 'net1', 'three', '82783ef24bdc7036-acb19d111858e348, net: alternate, if: net1, id: three'],
  ])('in the comment for %s, %s, %s are the reference’s', ([network, ifname, containerId, text]) => {
    expect(masqueradeComment({ network: network!, ifname: ifname!, containerId: containerId! })).toBe(text);
  });

  test('too long for nft are cut in the readable part', () => {
    const long = masqueradeComment({ ...owner, containerId: 'x'.repeat(300) });
    expect(long).toHaveLength(128);
  });
});

describe('by nftables', () => {
  const add = (who: MasqueradeOwner, ...addresses: string[]) =>
    addMasquerade(nl, who, cidrs(...addresses), 'nftables', new Undo());

  test('table, chains and rules are the reference’s', () => {
    add(owner, '10.1.2.2/24', '2001:db8::2/64');
    expect(sh('nft list ruleset')).toBe(`table inet cni_plugins_masquerade {
	comment "Masquerading for plugins from github.com/containernetworking/plugins"
	chain masq_checks {
		comment "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet"
		ip saddr 10.1.2.2 ip daddr != 10.1.2.0/24 masquerade comment "8e48f37d5de60467-f4d01f2ef4b92245, net: net1, if: eth0, id: c1"
		ip6 saddr 2001:db8::2 ip6 daddr != 2001:db8::/64 masquerade comment "8e48f37d5de60467-f4d01f2ef4b92245, net: net1, if: eth0, id: c1"
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip daddr 224.0.0.0/4 return
		ip6 daddr ff00::/8 return
		goto masq_checks
	}
}
`);
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24', '2001:db8::2/64'), 'nftables')).toEqual([]);
  });

  test('what the reference’s own way of writing made is recognised', () => {
    sh(`nft -f - <<'END'
add table inet cni_plugins_masquerade
add chain inet cni_plugins_masquerade masq_checks
add chain inet cni_plugins_masquerade postrouting { type nat hook postrouting priority 100 ; }
add rule inet cni_plugins_masquerade postrouting ip daddr == 224.0.0.0/4 return
add rule inet cni_plugins_masquerade postrouting ip6 daddr == ff00::/8 return
add rule inet cni_plugins_masquerade postrouting goto masq_checks
add rule inet cni_plugins_masquerade masq_checks ip saddr == 10.1.2.2 ip daddr != 10.1.2.0/24 masquerade comment "${masqueradeComment(owner)}"
END`);
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'nftables')).toEqual([]);
    removeMasquerade(nl, owner);
    expect(nft()).toEqual([]);
  });

  test('repeated with another address it replaces the rule, and repeated unchanged it writes nothing', () => {
    add(owner, '10.1.2.2/24');
    add(owner, '10.1.2.3/24');
    expect(nft()).toHaveLength(1);
    expect(nft()[0]).toContain('10.1.2.3');
    onKernelWrite((what) => {
      throw new Error(`written: ${what}`);
    });
    add(owner, '10.1.2.3/24');
  });

  test('a chain that somebody emptied is filled again by the next', () => {
    add(owner, '10.1.2.2/24');
    sh('nft flush chain inet cni_plugins_masquerade postrouting');
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'nftables')).toEqual([
      'chain postrouting of table inet cni_plugins_masquerade does not lead to masq_checks',
    ]);
    add({ ...owner, containerId: 'c2' }, '10.1.2.3/24');
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'nftables')).toEqual([]);
  });

  test('two interfaces of one container are told apart', () => {
    add(owner, '10.1.2.2/24', '10.1.3.2/24');
    add({ ...owner, ifname: 'eth1' }, '10.1.2.3/24');
    removeMasquerade(nl, owner);
    expect(nft()).toHaveLength(1);
    expect(nft()[0]).toContain('10.1.2.3');
  });

  test('garbage collection keeps valid attachments and other networks', () => {
    add(owner, '10.1.2.2/24');
    add({ ...owner, containerId: 'c2' }, '10.1.2.3/24');
    add({ ...owner, network: 'net2', containerId: 'c3' }, '10.9.0.2/24');
    gcMasquerade(nl, 'net1', [{ containerId: 'c2', ifname: 'eth0' }]);
    expect(nft().map((line) => line.split(' ')[2])).toEqual(['10.1.2.3', '10.9.0.2']);
  });

  test.for(['wrong address', 'missing'])('the check finds a rule that is %s', (what) => {
    add(owner, '10.1.2.2/24');
    if (what === 'missing') removeMasquerade(nl, owner);
    const address = what === 'missing' ? '10.1.2.2/24' : '10.1.2.9/24';
    const found = checkMasquerade(nl, owner, cidrs(address), 'nftables');
    expect(found).toHaveLength(what === 'missing' ? 1 : 2);
    expect(found[0]).toContain(`ip saddr ${address.slice(0, -3)}`);
  });

  test('a failure leaves nothing', () => {
    const undo = new Undo();
    onKernelWrite((what) => {
      if (what.includes('add rule')) throw new Error('injected');
    });
    expect(() => addMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'nftables', undo)).toThrow(
      'could not masquerade 10.1.2.2/24 by nftables: injected',
    );
    expect(rules().trim()).toBe('');
  });
});

describe.for(['nft', 'legacy'] as const)('by iptables (%s)', (variant) => {
  const program = `iptables-${variant}`;
  beforeEach(() => onlyPrograms(variant));
  const add = (who: MasqueradeOwner, ...addresses: string[]) =>
    addMasquerade(nl, who, cidrs(...addresses), 'iptables', new Undo());
  const comment = '-m comment --comment "name: \\"net1\\" id: \\"c1\\""';
  const all = (...texts: string[]) => {
    expect(saved(program)).toEqual(texts);
  };

  test('chain and rules are the reference’s', () => {
    add(owner, '10.1.2.2/24', '2001:db8::2/64');
    all(
      `-A POSTROUTING -s 10.1.2.2/32 ${comment} -j ${chain}`,
      `-A ${chain} -d 10.1.2.0/24 ${comment} -j ACCEPT`,
      `-A ${chain} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
    );
    expect(saved(`ip6tables-${variant}`)).toEqual([
      `-A POSTROUTING -s 2001:db8::2/128 ${comment} -j ${chain}`,
      `-A ${chain} -d 2001:db8::/64 ${comment} -j ACCEPT`,
      `-A ${chain} ! -d ff00::/8 ${comment} -j MASQUERADE`,
    ]);
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24', '2001:db8::2/64'), 'iptables')).toEqual([]);
    removeMasquerade(nl, owner);
    expect([...saved(program), ...saved(`ip6tables-${variant}`)]).toEqual([]);
    expect(rules()).not.toContain('CNI-');
  });

  test('two subnets of one family both pass unmasqueraded, and both go', () => {
    add(owner, '10.1.2.2/24', '10.1.3.2/24');
    all(
      `-A POSTROUTING -s 10.1.2.2/32 ${comment} -j ${chain}`,
      `-A POSTROUTING -s 10.1.3.2/32 ${comment} -j ${chain}`,
      `-A ${chain} -d 10.1.2.0/24 ${comment} -j ACCEPT`,
      `-A ${chain} -d 10.1.3.0/24 ${comment} -j ACCEPT`,
      `-A ${chain} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
    );
    removeMasquerade(nl, owner);
    all();
  });

  test('repeated it changes nothing', () => {
    add(owner, '10.1.2.2/24');
    const before = rules();
    add(owner, '10.1.2.2/24');
    expect(rules()).toBe(before);
  });

  test('two interfaces share the chain; it goes with the second', () => {
    const eth1 = { ...owner, ifname: 'eth1' };
    add(owner, '10.1.2.2/24');
    add(eth1, '10.7.0.2/16');
    const second = [
      `-A POSTROUTING -s 10.7.0.2/32 ${comment} -j ${chain}`,
      `-A ${chain} -d 10.7.0.0/16 ${comment} -j ACCEPT`,
      `-A ${chain} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
    ];
    all(
      `-A POSTROUTING -s 10.1.2.2/32 ${comment} -j ${chain}`,
      second[0]!,
      `-A ${chain} -d 10.1.2.0/24 ${comment} -j ACCEPT`,
      second[1]!,
      second[2]!,
    );
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'iptables')).toEqual([]);
    removeMasquerade(nl, owner, cidrs('10.1.2.2/24'));
    all(...second);
    removeMasquerade(nl, eth1, cidrs('10.7.0.2/16'));
    removeMasquerade(nl, eth1, cidrs('10.7.0.2/16'));
    all();
  });

  test('the reference’s own order of rules is removed without a remnant', () => {
    const words = `-m comment --comment 'name: "net1" id: "c1"'`;
    sh(`${program} -t nat -N ${chain}
${program} -t nat -A ${chain} -d 10.1.2.0/24 -j ACCEPT ${words}
${program} -t nat -A ${chain} ! -d 224.0.0.0/4 -j MASQUERADE ${words}
${program} -t nat -A POSTROUTING -s 10.1.2.2 -j ${chain} ${words}
${program} -t nat -A POSTROUTING -s 10.1.2.0/24 -j ${chain} ${words}`);
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'iptables')).toEqual([]);
    removeMasquerade(nl, owner, cidrs('10.1.2.2/24'));
    all();
  });

  test('owners whose names run together to the same have a chain each, whoever goes first', () => {
    const [first, second] = [
      { network: 'net1', containerId: '1abc', ifname: 'eth0' },
      { network: 'net11', containerId: 'abc', ifname: 'eth0' },
    ];
    const check = (who: MasqueradeOwner, address: string) =>
      checkMasquerade(nl, who, cidrs(address), 'iptables');
    for (const gone of [first, second]) {
      add(first, '10.1.2.2/24');
      add(second, '10.9.0.2/24');
      add(second, '10.9.0.2/24');
      expect(check(first, '10.1.2.2/24')).toEqual([]);
      expect(check(second, '10.9.0.2/24')).toEqual([]);
      gcMasquerade(nl, 'net1', [first]);
      gcMasquerade(nl, 'net11', [second]);
      expect(check(first, '10.1.2.2/24')).toEqual([]);
      const [other, address] = gone === first ? [second, '10.9.0.2/24'] : [first, '10.1.2.2/24'];
      if (gone === first) removeMasquerade(nl, gone);
      else gcMasquerade(nl, gone.network, []);
      removeMasquerade(nl, gone, cidrs('10.1.2.2/24', '10.9.0.2/24'));
      expect(check(other, address)).toEqual([]);
      removeMasquerade(nl, other);
      all();
    }
  });

  test('what the reference made for owners whose names run together goes one by one', () => {
    const shared = masqueradeChain('net1', '1abc');
    const words = (text: string) => `-m comment --comment '${text}'`;
    const [theirs, own] = ['name: "net11" id: "abc"', 'name: "net1" id: "1abc"'];
    sh(`${program} -t nat -N ${shared}
${program} -t nat -A ${shared} ! -d 224.0.0.0/4 -j MASQUERADE ${words(own)}
${program} -t nat -A POSTROUTING -s 10.1.2.2 -j ${shared} ${words(own)}
${program} -t nat -A POSTROUTING -s 10.9.0.2 -j ${shared} ${words(theirs)}`);
    removeMasquerade(nl, { network: 'net1', containerId: '1abc', ifname: 'eth0' });
    expect(saved(program).filter((line) => line.startsWith('-A POSTROUTING'))).toHaveLength(1);
    removeMasquerade(nl, { network: 'net11', containerId: 'abc', ifname: 'eth0' }, cidrs('10.9.0.2/24'));
    all();
  });

  test('garbage collection keeps valid containers, other networks and foreign rules', () => {
    add(owner, '10.1.2.2/24');
    add({ ...owner, containerId: 'c2' }, '10.1.2.3/24');
    add({ ...owner, network: 'net2', containerId: 'c3' }, '10.9.0.2/24');
    sh(`${program} -t nat -A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE`);
    gcMasquerade(nl, 'net1', [{ containerId: 'c2', ifname: 'eth0' }]);
    const left = saved(program).filter((line) => line.startsWith('-A POSTROUTING'));
    expect(left.map((line) => line.split(' ')[3])).toEqual(['10.1.2.3/32', '10.9.0.2/32', '10.99.0.0/16']);
    expect(rules()).not.toContain(chain);
  });

  test.for(['jump', 'chain', 'masquerade rule'])('the check finds a missing %s', (what) => {
    add(owner, '10.1.2.2/24');
    if (what !== 'masquerade rule') sh(`${program} -t nat -F POSTROUTING`);
    if (what === 'chain') sh(`${program} -t nat -F ${chain}; ${program} -t nat -X ${chain}`);
    if (what === 'masquerade rule') sh(`${program} -t nat -D ${chain} 2`);
    const [found] = checkMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'iptables');
    expect(found).toContain(
      { jump: '-s 10.1.2.2/32', chain: `chain ${chain} is missing`, 'masquerade rule': 'MASQUERADE' }[what],
    );
  });

  test('a name that could end the line is refused', () => {
    const evil = { ...owner, network: 'a\nCOMMIT' };
    expect(() => add(evil, '10.1.2.2/24')).toThrow('cannot stand in an iptables rule');
  });
});

describe('programs', () => {
  test('ADD starts one per family, DEL none, and neither where there is nothing to do', () => {
    const started = countPrograms();
    removeMasquerade(nl, owner);
    addMasquerade(nl, owner, [], undefined, new Undo());
    expect(started()).toEqual([]);
    addMasquerade(nl, owner, cidrs('10.1.2.2/24', '2001:db8::2/64'), undefined, new Undo());
    expect(started()).toEqual(['iptables-restore', 'ip6tables-restore']);
    removeMasquerade(nl, owner, cidrs('10.1.2.2/24', '2001:db8::2/64'));
    expect(started()).toHaveLength(2);
    expect(rules()).not.toContain('CNI-');
  });

  test('of the kind that writes to nf_tables are started for the first container alone', () => {
    const started = countPrograms('nft');
    const addresses = cidrs('10.1.2.2/24', '2001:db8::2/64');
    addMasquerade(nl, owner, addresses, undefined, new Undo());
    expect(started()).toEqual(['iptables-restore', 'ip6tables-restore']);
    const second = { ...owner, containerId: 'c2' };
    addMasquerade(nl, second, cidrs('10.1.2.3/24', '2001:db8::3/64'), undefined, new Undo());
    expect(checkMasquerade(nl, second, cidrs('10.1.2.3/24', '2001:db8::3/64'), undefined)).toEqual([]);
    expect(checkMasquerade(nl, owner, addresses, undefined)).toEqual([]);
    removeMasquerade(nl, second, cidrs('10.1.2.3/24', '2001:db8::3/64'));
    removeMasquerade(nl, owner, addresses);
    expect(started()).toHaveLength(2);
    expect(rules()).not.toContain('CNI-');
  });

  test('a DEL where nothing was makes no table', () => {
    removeMasquerade(nl, owner);
    gcMasquerade(nl, 'net1', []);
    expect(sh('nft list ruleset')).toBe('');
  });

  test('that are not there leave it to nftables, unless iptables was asked for by name', () => {
    onlyPrograms('none');
    addMasquerade(nl, owner, cidrs('10.1.2.2/24'), null, new Undo());
    expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24'), null)).toEqual([]);
    const attempt = () => addMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'iptables', new Undo());
    expect(attempt).toThrow(/failed to locate iptables: exec: .*: executable file not found in \$PATH/);
    vi.unstubAllEnvs();
    expect(nft()).toHaveLength(1);
  });

  test('that fail leave it to nftables, unless iptables was asked for by name', () => {
    for (const name of ['iptables', 'iptables-restore']) {
      writeProgram(join(bin, name), '#!/bin/sh\necho no such kernel >&2\nexit 3\n');
    }
    vi.stubEnv('PATH', `${bin}:${path}`);
    const undo = new Undo();
    expect(() => addMasquerade(nl, owner, cidrs('10.1.2.2/24'), 'iptables', undo)).toThrow('no such kernel');
    addMasquerade(nl, owner, cidrs('10.1.2.2/24'), undefined, undo);
    vi.unstubAllEnvs();
    expect(nft()).toHaveLength(1);
  });

  test('of an unknown backend are not looked for', () => {
    const attempt = (backend: string) => () => addMasquerade(nl, owner, [], backend, new Undo());
    expect(attempt('pf')).toThrow('unknown ipmasq backend "pf"');
    expect(attempt('')).toThrow('unknown ipmasq backend ""');
  });
});

test.for(['nftables', 'iptables'])('undo of a finished ADD by %s takes all back', async (backend) => {
  const undo = new Undo();
  addMasquerade(nl, owner, cidrs('10.1.2.2/24', '2001:db8::2/64'), backend, undo);
  expect(await undo.run()).toEqual([]);
  expect(rules()).not.toMatch(/CNI-|c1/);
});

test.for(['nftables', 'iptables', 'iptables without a process'])(
  'traffic by %s has the host’s address outside, its own inside',
  async (how) => {
    const backend = how.split(' ')[0];
    if (how !== backend) sh('iptables-nft -t nat -A POSTROUTING -s 192.0.2.77 -j RETURN');
    // container 10.1.2.2 – host (this namespace) – outside 192.0.2.9
    const host = Netns.current();
    const [box, out] = [Netns.create(), Netns.create()];
    const at = (netns: Netns) => `/proc/${process.pid}/fd/${netns.fd}`;
    sh(`ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward
ip link add vb type veth peer name eth0 netns ${at(box)}; ip link add vo type veth peer name eth0 netns ${at(out)}
ip addr add 10.1.2.1/24 dev vb; ip link set vb up; ip addr add 192.0.2.1/24 dev vo; ip link set vo up`);
    box.run(() =>
      sh('ip addr add 10.1.2.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.1.2.1'),
    );
    out.run(() => sh('ip addr add 192.0.2.9/24 dev eth0; ip link set eth0 up'));
    /** The source of a datagram from the container, as the receiver sees it. */
    const seenIn = async (netns: Netns, address: string) => {
      const receiver = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 9999)); s.settimeout(5)
print("ready", flush=True); print(s.recvfrom(9)[1][0], flush=True)`;
      let child!: ReturnType<typeof spawn>;
      netns.run(() => {
        child = spawn('python3', ['-c', receiver], { stdio: ['ignore', 'pipe', 'inherit'] });
      });
      const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
      await lines.next();
      const sender = `import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("${address}", 9999))`;
      box.run(() => sh(`python3 -c '${sender}'`));
      return (await lines.next()).value;
    };
    expect(await seenIn(out, '192.0.2.9')).toBe('10.1.2.2');
    addMasquerade(nl, owner, cidrs('10.1.2.2/24'), backend, new Undo());
    expect(await seenIn(out, '192.0.2.9')).toBe('192.0.2.1');
    expect(await seenIn(host, '10.1.2.1')).toBe('10.1.2.2');
    removeMasquerade(nl, owner);
    expect(await seenIn(out, '192.0.2.9')).toBe('10.1.2.2');
    for (const netns of [host, box, out]) netns.close();
  },
);
