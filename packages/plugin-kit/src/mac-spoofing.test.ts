import { parseMac } from '@cni-ts/address/mac';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { Undo } from '@cni-ts/skeleton/undo';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { addMacSpoofing, checkMacSpoofing, gcMacSpoofing, removeMacSpoofing } from './mac-spoofing.ts';

const owner = { containerId: 'c1', ifname: 'eth0' };
const mac = parseMac('02:00:00:00:00:01')!;
const emptyTable = `table bridge nat {
	chain PREROUTING {
		type filter hook prerouting priority dstnat; policy accept;
	}
}
`;

let nl: Netlink;
beforeAll(() => Netns.unshareThread());
beforeEach(() => {
  nl = Netlink.open('netfilter');
});
afterEach(() => {
  onKernelWrite(undefined);
  nl.close();
  sh('nft flush ruleset');
});

test('the rules are the reference’s, made in one transaction', () => {
  addMacSpoofing(nl, owner, 'veth1a2b', mac, new Undo());
  expect(sh('nft list ruleset')).toBe(`table bridge nat {
	chain PREROUTING {
		type filter hook prerouting priority dstnat; policy accept;
		iifname "veth1a2b" jump cni-br-iface-c1-eth0 comment "macspoofchk-c1-eth0"
	}

	chain cni-br-iface-c1-eth0 {
		jump cni-br-iface-c1-eth0-mac comment "macspoofchk-c1-eth0"
	}

	chain cni-br-iface-c1-eth0-mac {
		ether saddr 02:00:00:00:00:01 return comment "macspoofchk-c1-eth0"
		drop comment "macspoofchk-c1-eth0"
	}
}
`);
  expect(checkMacSpoofing(nl, owner, 'veth1a2b', mac)).toEqual([]);
});

test('repeated for another link it leaves one set of rules', () => {
  addMacSpoofing(nl, owner, 'veth1', mac, new Undo());
  addMacSpoofing(nl, owner, 'veth2', mac, new Undo());
  expect(sh('nft list ruleset').match(/comment/g)).toHaveLength(4);
  expect(checkMacSpoofing(nl, owner, 'veth2', mac)).toEqual([]);
  expect(checkMacSpoofing(nl, owner, 'veth1', mac)).toHaveLength(1);
});

test('removal spares other containers and leaves the shared chain; done twice it is fine', () => {
  removeMacSpoofing(nl, owner);
  expect(sh('nft list ruleset')).toBe('');
  const other = { containerId: 'c2', ifname: 'eth0' };
  addMacSpoofing(nl, owner, 'veth1', mac, new Undo());
  addMacSpoofing(nl, other, 'veth2', mac, new Undo());
  removeMacSpoofing(nl, owner);
  removeMacSpoofing(nl, owner);
  expect(sh('nft list ruleset')).not.toContain('c1-eth0');
  expect(checkMacSpoofing(nl, other, 'veth2', mac)).toEqual([]);
  removeMacSpoofing(nl, other);
  expect(sh('nft list ruleset')).toBe(emptyTable);
});

test.for([
  ['the jump deleted', 'nft flush chain bridge nat PREROUTING', 'PREROUTING'],
  ['the drop deleted', 'nft flush chain bridge nat cni-br-iface-c1-eth0-mac', 'eth0-mac'],
  ['a way round', 'nft insert rule bridge nat cni-br-iface-c1-eth0 accept', 'cni-br-iface-c1-eth0 '],
  ['everything gone', 'nft delete table bridge nat', 'missing or has no hook'],
])('the check finds %s', ([, tampering, words]) => {
  addMacSpoofing(nl, owner, 'veth1', mac, new Undo());
  sh(tampering!);
  expect(checkMacSpoofing(nl, owner, 'veth1', mac).join('\n')).toContain(words);
});

test('a failed setup has changed nothing, and undo is content with that', async () => {
  const undo = new Undo();
  onKernelWrite((what) => {
    if (what.includes('add rule')) throw new Error('injected');
  });
  expect(() => addMacSpoofing(nl, owner, 'veth1', mac, undo)).toThrow('injected');
  onKernelWrite(undefined);
  expect(await undo.run()).toEqual([]);
  expect(sh('nft list ruleset')).toBe('');
});

test('garbage collection takes the rules of links that are gone', () => {
  addMacSpoofing(nl, owner, 'veth1', mac, new Undo());
  addMacSpoofing(nl, { containerId: 'c2', ifname: 'eth0' }, 'veth2', mac, new Undo());
  gcMacSpoofing(nl, (name) => name === 'veth2');
  const left = sh('nft list ruleset');
  expect(left).not.toContain('c1-eth0');
  expect(left.match(/c2-eth0"/g)).toHaveLength(4);
});
