import { parseIp } from '@cni-ts/address/ip';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { Netlink } from '@cni-ts/netlink/socket';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { countFlows, deleteFlows, flushFlows, listFlows } from './conntrack.ts';

const ip = (text: string) => parseIp(text)!;
/** Flows as another program lists them, by protocol, destination and port. */
const flows = () =>
  ['ipv4', 'ipv6']
    .flatMap((family) => sh(`conntrack -L -f ${family} 2>/dev/null`).split('\n'))
    .flatMap((line) => /^(\w+).*? dst=(\S+).*? dport=(\d+)/.exec(line)?.slice(1).join(' ') ?? [])
    .sort();

let nl: Netlink;
beforeEach(() => {
  Netns.unshareThread();
  nl = Netlink.open('netfilter');
  // Translation of port 53 to another address; any rule with ct makes the kernel track connections at all.
  sh(`ip link set lo up; nft -f - <<'END'
table inet t {
  chain c {
    type nat hook output priority -100
    ct state new counter
    ip daddr 127.0.0.1 udp dport 53 dnat ip to 127.0.0.9:5353
    ip daddr 127.0.0.2 udp dport 53 dnat ip to 127.0.0.8:5353
  }
}
END
python3 - <<'END'
import socket
for kind, family, address, port in [(2,2,"127.0.0.1",53),(2,2,"127.0.0.2",53),(2,2,"127.0.0.1",54),(2,10,"::1",53)]:
    socket.socket(family, kind).sendto(b"x", (address, port))
listener = socket.create_server(("127.0.0.1", 53)); socket.create_connection(("127.0.0.1", 53))
END`);
});
afterEach(() => {
  onKernelWrite(undefined);
  nl.close();
});

const all = ['tcp 127.0.0.1 53', 'udp 127.0.0.1 53', 'udp 127.0.0.1 54', 'udp 127.0.0.2 53', 'udp ::1 53'];
const without = (...gone: string[]) => all.filter((one) => !gone.includes(one)).sort();

test('flows of one protocol and port are forgotten, others stay', () => {
  expect(flows()).toEqual([...all].sort());
  expect(deleteFlows(nl, 4, { protocol: 'udp', port: 53 })).toBe(2);
  expect(flows()).toEqual(without('udp 127.0.0.1 53', 'udp 127.0.0.2 53'));
  expect(deleteFlows(nl, 4, { protocol: 'udp', port: 53 })).toBe(0);
});

test('a destination narrows it', () => {
  expect(deleteFlows(nl, 4, { protocol: 'udp', port: 53, destination: ip('127.0.0.2') })).toBe(1);
  expect(flows()).toEqual(without('udp 127.0.0.2 53'));
});

test('where the flow was translated to narrows it', () => {
  expect(deleteFlows(nl, 4, { protocol: 'udp', port: 53, replySource: ip('127.0.0.7') })).toBe(0);
  expect(deleteFlows(nl, 4, { protocol: 'udp', port: 53, replySource: ip('127.0.0.9') })).toBe(1);
  expect(flows()).toEqual(without('udp 127.0.0.1 53'));
});

test('IPv6 and TCP have their own', () => {
  expect(deleteFlows(nl, 6, { protocol: 'udp', port: 53, destination: ip('::1') })).toBe(1);
  expect(deleteFlows(nl, 4, { protocol: 'tcp', port: 53 })).toBe(1);
  expect(deleteFlows(nl, 4, { protocol: 'sctp', port: 53 })).toBe(0);
  expect(flows()).toEqual(without('udp ::1 53', 'tcp 127.0.0.1 53'));
});

test('a flow tells where it came from and went to', () => {
  const [flow] = listFlows(nl, 4, {
    protocol: 'udp',
    where: ({ replyPort, replySource }) => replyPort === 5353 && replySource?.bytes[3] === 9,
  });
  expect(flow).toMatchObject({ port: 53, destination: ip('127.0.0.1'), replySource: ip('127.0.0.9') });
});

test('thousands of other flows are not touched', () => {
  sh(`python3 -c 'import socket
for port in range(10000, 12000): socket.socket(2, 2).sendto(b"x", ("127.0.0.1", port))'`);
  expect(deleteFlows(nl, 4, { protocol: 'udp', port: 53 })).toBe(2);
  expect(flows()).toHaveLength(2003);
});

test('a flow that is gone before it is deleted does not count and does not fail', () => {
  onKernelWrite(() => {
    sh('conntrack -F 2>/dev/null');
  });
  expect(deleteFlows(nl, 4, { protocol: 'udp', port: 53 })).toBe(0);
});

test('the kernel counts flows, and forgets those of IPv4 that match exactly by itself', () => {
  expect(countFlows(nl)).toBe(5);
  if (!flushFlows(nl, { protocol: 'udp', port: 53, destination: ip('127.0.0.2') })) return; // before 6.11
  expect(flows()).toEqual(without('udp 127.0.0.2 53'));
  flushFlows(nl, { protocol: 'udp', port: 53, replySource: ip('127.0.0.9') });
  expect(flows()).toEqual(without('udp 127.0.0.2 53', 'udp 127.0.0.1 53'));
  flushFlows(nl, { protocol: 'udp', port: 53, replySource: ip('127.0.0.7') });
  flushFlows(nl, { protocol: 'tcp', port: 53 });
  expect(flows()).toEqual(['udp 127.0.0.1 54', 'udp ::1 53']);
  expect(countFlows(nl)).toBe(2);
});

test('a kernel that deletes by whole tuples only is told apart, and nothing is deleted', () => {
  onKernelWrite((name) => {
    throw new SyscallError(name, 'EINVAL');
  });
  expect(flushFlows(nl, { protocol: 'udp', port: 53 })).toBe(false);
  expect(flows()).toEqual([...all].sort());
});
