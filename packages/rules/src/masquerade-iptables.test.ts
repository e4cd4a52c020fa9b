import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCidr } from '@cni-ts/address/cidr';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { Undo } from '@cni-ts/skeleton/undo';
import { goPlugins } from '@cni-ts/testing/needs';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { addMasquerade, checkMasquerade } from './masquerade.ts';
import { masqueradeChain } from './masquerade-chains.ts';

/* Masquerading by rules of iptables-nft that no program writes; what holds for any way is in masquerade.test.ts. */

const path = process.env.PATH;
const cidrs = (...texts: string[]) => texts.map((text) => parseCidr(text)!);
const owner = { network: 'net1', containerId: 'c1', ifname: 'eth0' };
const chain = masqueradeChain('net1', 'c1');
const used = '-A POSTROUTING -j RETURN';
/** As after the first container on a host. */
const useTables = () => {
  for (const program of ['iptables', 'ip6tables']) sh(`${program}-nft -t nat ${used}`);
};

let nl: Netlink;
let bin: string;
beforeEach(() => {
  Netns.unshareThread();
  nl = Netlink.open('netfilter');
  bin = mkdtempSync(join(tmpdir(), 'masquerade-'));
  for (const tool of ['', '-save', '-restore']) {
    for (const name of ['iptables', 'ip6tables']) {
      symlinkSync(`/usr/sbin/${name}-nft${tool}`, join(bin, `${name}${tool}`));
    }
  }
  vi.stubEnv('PATH', `${bin}:/usr/bin:/bin`);
  useTables();
});
afterEach(() => {
  onKernelWrite(undefined);
  vi.unstubAllEnvs();
  nl.close();
  rmSync(bin, { recursive: true });
});

const add = (...addresses: string[]) => addMasquerade(nl, owner, cidrs(...addresses), 'iptables', new Undo());
const both = () =>
  sh('iptables-nft-save -t nat; ip6tables-nft-save -t nat')
    .split('\n')
    .filter((line) => line.startsWith('-A'));
/** Adds and returns what was written to the kernel. */
const written = (...addresses: string[]) => {
  const writes: string[] = [];
  onKernelWrite((what) => writes.push(what));
  add(...addresses);
  onKernelWrite(undefined);
  return writes;
};

test.for([
  ['10.1.2.2/24', '2001:db8::2/64'],
  ['10.1.17.2/20', '2001:db8::2/61'],
  ['10.1.2.130/25', '10.1.17.2/20', '2001:db8::2/112', '2001:db8:1::2/127'],
  ['10.1.2.2/8', '192.0.2.1/32', '2001:db8::2/128'],
])('%j are masqueraded by the rules that iptables-restore makes', (addresses) => {
  expect(written(...addresses)).toEqual([
    expect.stringMatching(/create chain ip nat .*create chain ip6 nat /),
  ]);
  const ours = both();
  expect(checkMasquerade(nl, owner, cidrs(...addresses), 'iptables')).toEqual([]);
  Netns.unshareThread();
  nl.close();
  nl = Netlink.open('netfilter');
  expect(written(...addresses)).toEqual(['iptables-restore', 'ip6tables-restore']);
  useTables(); // last, so that the program made the rest
  const withoutUse = (lines: readonly string[]) => lines.filter((line) => line !== used);
  expect(withoutUse(ours)).toEqual(withoutUse(both()));
  expect(checkMasquerade(nl, owner, cidrs(...addresses), 'iptables')).toEqual([]);
});

test('a family whose table nobody has used yet is left to its program', () => {
  sh('nft delete table ip6 nat');
  expect(written('10.1.2.2/24', '2001:db8::2/64')).toEqual([
    expect.stringMatching(/create chain ip nat /),
    'ip6tables-restore',
  ]);
  expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24', '2001:db8::2/64'), 'iptables')).toEqual([]);
});

test('a chain that somebody makes meanwhile is completed by the program', () => {
  let raced = false;
  onKernelWrite((what) => {
    if (!what.includes('create chain') || raced) return;
    raced = true;
    sh(`iptables-nft -t nat -N ${chain}`);
  });
  add('10.1.2.2/24', '2001:db8::2/64');
  expect(raced).toBe(true);
  expect(checkMasquerade(nl, owner, cidrs('10.1.2.2/24', '2001:db8::2/64'), 'iptables')).toEqual([]);
});

test.skipIf(!goPlugins())('the Go plugin removes the rules', () => {
  add('10.1.17.2/20', '2001:db8::2/61');
  const box = Netns.create();
  const netns = `/proc/${process.pid}/fd/${box.fd}`;
  sh(`ip link add vb type veth peer name eth0 netns ${netns}`);
  box.run(() => sh('ip addr add 10.1.17.2/20 dev eth0; ip addr add 2001:db8::2/61 dev eth0'));
  const config = {
    cniVersion: '1.0.0',
    name: 'net1',
    type: 'bridge',
    ipMasq: true,
    ipam: { type: 'static' },
  };
  execFileSync(join(goPlugins()!, 'bridge'), {
    input: JSON.stringify(config),
    env: {
      PATH: path,
      CNI_COMMAND: 'DEL',
      CNI_CONTAINERID: 'c1',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: netns,
      CNI_PATH: goPlugins(),
    },
  });
  expect(both()).toEqual([used, used]);
  expect(sh('nft list ruleset')).not.toContain('CNI-');
  box.close();
});
