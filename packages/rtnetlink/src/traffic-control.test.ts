import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Netns } from '@cni-ts/libc/netns';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { Netlink } from '@cni-ts/netlink/socket';
import { Writer } from '@cni-ts/netlink/writer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { filterMessage, ingressRedirects, redirectIngress } from './filter.ts';
import { createLink, deleteLink, getLink, type Link } from './link.ts';
import {
  addIngress,
  addTokenBucket,
  deleteQdisc,
  findQdisc,
  ingress,
  linksWithIngress,
  qdiscMessage,
  rootBucket,
  tcParent,
  tick,
} from './qdisc.ts';

let netns: Netns;
let nl: Netlink;
let veth: Link;
let ifb: Link;

beforeEach(() => {
  netns = Netns.create();
  nl = Netlink.open('route', netns);
  createLink(nl, { name: 'v0', info: { kind: 'veth', data: { peer: { ifname: 'v1' } } } });
  createLink(nl, { name: 'i0', txQueueLength: 0, info: { kind: 'ifb' } });
  veth = getLink(nl, 'v0');
  ifb = getLink(nl, 'i0');
});
afterEach(() => {
  nl.close();
  netns.close();
});

/** The kernel's state through another program's eyes. */
function tc(...args: string[]) {
  const { stdout, stderr, status } = netns.run(() => spawnSync('tc', args, { encoding: 'utf8' }));
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const slow = { rate: 2_000_000n, limit: 1_050_000, buffer: 7_812_500 };

describe('token buckets', () => {
  test('tc shows rate, burst and latency as asked', () => {
    addTokenBucket(nl, veth, slow);
    expect(tc('qdisc', 'show', 'dev', 'v0')).toMatch(
      /^qdisc tbf 1: root .*rate 16Mbit burst 1000000b lat 25ms/,
    );
    expect(findQdisc(nl, veth)).toEqual({ kind: 'tbf', handle: 0x10000, tokenBucket: slow });
  });

  test('a rate over 32 bits is sent and read in 64', () => {
    const fast = { rate: 10_000_000_000n, limit: 249_999_998, buffer: 6_710_875 };
    addTokenBucket(nl, veth, fast);
    expect(tc('qdisc', 'show', 'dev', 'v0')).toContain('rate 80Gbit');
    expect(findQdisc(nl, veth)?.tokenBucket).toEqual(fast);
  });

  test('a time over 32 bits of ticks is sent as bytes; what is told of it are its low bits', () => {
    const long = { rate: 125_000n, limit: 268_438_580, buffer: 3_489_660_803, burst: 268_435_455 };
    addTokenBucket(nl, veth, long);
    const { burst, ...told } = long;
    expect(findQdisc(nl, veth)?.tokenBucket).toEqual(told);
    expect(burst).toBeGreaterThan(0);
  });

  test('a tick is what the kernel says', () => {
    const [perMicrosecond, ns] = readFileSync('/proc/net/psched', 'utf8').split(' ');
    expect([perMicrosecond, ns]).toEqual(['000003e8', tick.toString(16).padStart(8, '0')]);
  });

  test('what tc made is read the same way', () => {
    tc(
      'qdisc',
      'add',
      'dev',
      'v0',
      'root',
      'handle',
      '1:',
      'tbf',
      'rate',
      '16mbit',
      'burst',
      '1000000',
      'latency',
      '25ms',
    );
    expect(findQdisc(nl, veth)?.tokenBucket).toEqual(slow);
  });

  test("the kernel's default is no qdisc of anybody; a second root is EEXIST, an empty bucket EINVAL", () => {
    expect(findQdisc(nl, veth)).toBeUndefined();
    expect(refusal(() => addTokenBucket(nl, veth, { ...slow, buffer: 0 }))).toBe('EINVAL');
    addTokenBucket(nl, veth, slow);
    expect(refusal(() => addTokenBucket(nl, veth, slow))).toBe('EEXIST');
  });

  test("deleting tells whether there was one, and spares another's", () => {
    expect(deleteQdisc(nl, veth, rootBucket)).toBe(false);
    addTokenBucket(nl, veth, slow);
    expect(deleteQdisc(nl, veth, rootBucket)).toBe(true);
    expect(findQdisc(nl, veth)).toBeUndefined();
    tc('qdisc', 'add', 'dev', 'v0', 'root', 'handle', '7:', 'pfifo');
    expect(deleteQdisc(nl, veth, rootBucket)).toBe(false);
    expect(findQdisc(nl, veth)).toMatchObject({ kind: 'pfifo' });
  });
});

describe('ingress', () => {
  test('is redirected whole to another link', () => {
    addIngress(nl, veth);
    redirectIngress(nl, veth, ifb);
    expect(tc('qdisc', 'show', 'dev', 'v0', 'ingress')).toContain('qdisc ingress ffff: parent ffff:fff1');
    const shown = tc('filter', 'show', 'dev', 'v0', 'parent', 'ffff:');
    expect(shown).toMatch(/protocol all pref 1 u32 .*flowid 1:1/);
    expect(shown).toContain('match 00000000/00000000 at 0');
    expect(shown).toContain('mirred (Egress Redirect to device i0) stolen');
    expect(ingressRedirects(nl, veth)).toEqual([ifb.index]);
    expect(findQdisc(nl, veth, tcParent.ingress)?.kind).toBe('ingress');
  });

  test('a redirection with a second action, as the reference plugin makes it, is read', () => {
    addIngress(nl, veth);
    const redirect = ['action', 'mirred', 'egress', 'redirect', 'dev', 'i0'];
    const match = ['u32', 'match', 'u32', '0', '0', 'flowid', '1:1'];
    tc('filter', 'add', 'dev', 'v0', 'parent', 'ffff:', 'prio', '1', ...match, ...redirect, ...redirect);
    expect(ingressRedirects(nl, veth)).toEqual([ifb.index]);
  });

  test('that leads to a link which is gone leads to none, and stays', () => {
    addIngress(nl, veth);
    redirectIngress(nl, veth, ifb);
    deleteLink(nl, ifb);
    expect(ingressRedirects(nl, veth)).toEqual([0]);
  });

  test('of a link that is gone leads to none', () => {
    deleteLink(nl, veth);
    expect(ingressRedirects(nl, veth)).toEqual([]);
    expect(findQdisc(nl, veth)).toBeUndefined();
  });

  test('goes with its filters, and none is none', () => {
    expect(ingressRedirects(nl, veth)).toEqual([]);
    addIngress(nl, veth);
    redirectIngress(nl, veth, ifb);
    expect(refusal(() => addIngress(nl, veth))).toBe('EEXIST');
    expect(linksWithIngress(nl)).toEqual([veth.index]);
    expect(deleteQdisc(nl, veth, ingress)).toBe(true);
    expect(deleteQdisc(nl, veth, ingress)).toBe(false);
    expect(tc('filter', 'show', 'dev', 'v0', 'parent', 'ffff:')).toBe('');
  });
});

/** Bodies the kernel sent for `tc qdisc add … tbf rate 16mbit burst 1000000 latency 25ms` and for the redirection. */
test.each([
  ['qdisc', qdiscMessage, () => addTokenBucket(nl, veth, slow)],
  ['filter', filterMessage, () => [addIngress(nl, veth), redirectIngress(nl, veth, ifb)]],
] as const)('a %s written, read and written again is the same bytes', (_name, message, make) => {
  make();
  const read = nl.dump({
    name: 'dump',
    type: message === qdiscMessage ? 38 : 46,
    flags: 0,
    message,
    value: { index: veth.index, parent: 0xffff0000, kind: '' },
  });
  for (const value of read) {
    const [once, twice] = [new Writer(), new Writer()];
    message.write(once, value as never); // reason: the union of both messages is read and written by its own one
    message.write(twice, message.read(once.result()) as never);
    expect(Buffer.from(twice.result()).toString('hex')).toBe(Buffer.from(once.result()).toString('hex'));
  }
  expect(read.length).toBeGreaterThan(0);
});

function refusal(work: () => void): string | undefined {
  try {
    work();
  } catch (error) {
    return errnoOf(error);
  }
  return undefined;
}
