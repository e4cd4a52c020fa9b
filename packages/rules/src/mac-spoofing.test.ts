import { parseMac } from '@cni-ts/address/mac';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { Undo } from '@cni-ts/skeleton/undo';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addMacSpoofing, checkMacSpoofing, gcMacSpoofing, removeMacSpoofing } from './mac-spoofing.ts';

const owner = { network: 'net1', containerId: 'c1', ifname: 'eth0' };
const marked = '8e48f37d5de60467-f4d01f2ef4b92245, net: net1, if: eth0, id: c1';
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
		comment "${marked}"
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
  expect(sh('nft list ruleset').match(/comment "macspoofchk/g)).toHaveLength(4);
  expect(checkMacSpoofing(nl, owner, 'veth2', mac)).toEqual([]);
  expect(checkMacSpoofing(nl, owner, 'veth1', mac)).toHaveLength(1);
});

test('removal spares other containers and leaves the shared chain; done twice it is fine', () => {
  removeMacSpoofing(nl, owner);
  expect(sh('nft list ruleset')).toBe('');
  const other = { ...owner, containerId: 'c2' };
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

describe('garbage collection', () => {
  const exists = () => true;
  const chains = () =>
    [...sh('nft list ruleset').matchAll(/chain (cni-br-iface-\S+(?<!-mac)) \{/g)].map(([, name]) => name);

  test('takes the rules of links that are gone', () => {
    const other = { network: 'net2', containerId: 'c2', ifname: 'eth0' };
    addMacSpoofing(nl, owner, 'veth1', mac, new Undo());
    addMacSpoofing(nl, other, 'veth2', mac, new Undo());
    gcMacSpoofing(nl, 'net3', [], (name) => name === 'veth2');
    const left = sh('nft list ruleset');
    expect(left).not.toContain('c1-eth0');
    expect(checkMacSpoofing(nl, other, 'veth2', mac)).toEqual([]);
  });

  test('takes the rules of attachments that are not valid while their links live, of its own network alone', () => {
    const all = [
      owner,
      { ...owner, ifname: 'eth1' },
      { ...owner, containerId: 'c2' },
      { ...owner, network: 'net2', containerId: 'c3' },
    ];
    for (const [i, one] of all.entries()) addMacSpoofing(nl, one, `veth${i}`, mac, new Undo());
    gcMacSpoofing(nl, 'net1', [{ containerId: 'c1', ifname: 'eth1' }], exists);
    expect(chains()).toEqual(['cni-br-iface-c1-eth1', 'cni-br-iface-c3-eth0']);
    expect(sh('nft list chain bridge nat PREROUTING').match(/jump/g)).toHaveLength(2);
  });

  test('keeps what the reference made as long as its link lives', () => {
    asTheReference();
    gcMacSpoofing(nl, 'net1', [], exists);
    expect(checkMacSpoofing(nl, owner, 'veth9', mac)).toEqual([]);
    gcMacSpoofing(nl, 'net1', [], () => false);
    expect(sh('nft list ruleset')).toBe(emptyTable);
  });
});

/** The reference writes no comments at chains. */
function asTheReference(): void {
  sh(`nft -f - <<'END'
table bridge nat {
  chain PREROUTING { type filter hook prerouting priority dstnat; policy accept; }
  chain cni-br-iface-c1-eth0-mac {
    ether saddr 02:00:00:00:00:01 return comment "macspoofchk-c1-eth0"
    drop comment "macspoofchk-c1-eth0"
  }
  chain cni-br-iface-c1-eth0 { jump cni-br-iface-c1-eth0-mac comment "macspoofchk-c1-eth0"; }
}
add rule bridge nat PREROUTING iifname "veth9" jump cni-br-iface-c1-eth0 comment "macspoofchk-c1-eth0"
END`);
}

test('what the reference made is replaced by ADD and removed by DEL', () => {
  asTheReference();
  addMacSpoofing(nl, owner, 'veth1', mac, new Undo());
  expect(checkMacSpoofing(nl, owner, 'veth1', mac)).toEqual([]);
  expect(sh('nft list ruleset').match(/jump cni-br-iface-c1-eth0 /g)).toHaveLength(1);
  removeMacSpoofing(nl, owner);
  asTheReference();
  removeMacSpoofing(nl, owner);
  expect(sh('nft list ruleset')).toBe(emptyTable);
});

test.for([
  [
    'container and interface',
    { network: 'net1', containerId: 'a-b', ifname: 'c' },
    { network: 'net1', containerId: 'a', ifname: 'b-c' },
  ],
  [
    'networks',
    { network: 'net1', containerId: 'a', ifname: 'c' },
    { network: 'net2', containerId: 'a', ifname: 'c' },
  ],
] as const)('owners whose names run together (%s) have rules each', ([, first, second]) => {
  for (const one of [first, second]) {
    addMacSpoofing(nl, one, 'veth1', mac, new Undo());
    addMacSpoofing(nl, one, one === first ? 'veth1' : 'veth2', mac, new Undo());
  }
  expect(checkMacSpoofing(nl, first, 'veth1', mac)).toEqual([]);
  expect(checkMacSpoofing(nl, second, 'veth2', mac)).toEqual([]);
  expect(sh('nft list chain bridge nat PREROUTING').match(/jump/g)).toHaveLength(2);
  removeMacSpoofing(nl, first);
  removeMacSpoofing(nl, first);
  expect(checkMacSpoofing(nl, second, 'veth2', mac)).toEqual([]);
  // The name is free again: what was under the other one goes.
  addMacSpoofing(nl, second, 'veth3', mac, new Undo());
  expect(checkMacSpoofing(nl, second, 'veth3', mac)).toEqual([]);
  expect(sh('nft list chain bridge nat PREROUTING').match(/jump/g)).toHaveLength(1);
  removeMacSpoofing(nl, second);
  expect(sh('nft list ruleset')).toBe(emptyTable);
});
