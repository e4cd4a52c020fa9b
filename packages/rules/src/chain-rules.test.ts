import { findVariant } from '@cni-ts/iptables/program';
import { appendRule, createChain, restore } from '@cni-ts/iptables/restore';
import { save } from '@cni-ts/iptables/save';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readNftChains } from './chain-rules.ts';
import { chainVariants, listJumps, removeChains } from './jump.ts';

let nl: Netlink;
beforeEach(() => {
  Netns.unshareThread();
  nl = Netlink.open('netfilter');
});
afterEach(() => {
  onKernelWrite(undefined);
  vi.unstubAllEnvs();
  nl.close();
});

describe.for(['nft', 'legacy'] as const)('a restore by iptables-%s', (variant) => {
  const program = () => findVariant(4, 'restore', variant);
  const saved = () => save(4, 'filter', findVariant(4, 'save', variant));

  test('lets a chain and what leads there be found and removed', () => {
    const comment = ['-m', 'comment', '--comment', 'of "mine"'];
    restore(
      4,
      {
        filter: [
          createChain('MINE'),
          createChain('OTHER'),
          appendRule('MINE', ['-j', 'ACCEPT']),
          appendRule('FORWARD', ['-s', '10.0.0.1/32', ...comment, '-j', 'MINE']),
          appendRule('FORWARD', ['-s', '10.1.0.0/16', '-j', 'MINE']),
          appendRule('FORWARD', ['-j', 'OTHER']),
        ],
      },
      program(),
    );
    expect(chainVariants(nl, 4, 'filter', 'MINE')).toEqual([variant]);
    const jumps = listJumps(nl, 4, 'filter', 'FORWARD', ['MINE']);
    expect(jumps).toMatchObject([
      { variant, from: 'FORWARD', to: 'MINE', comment: 'of "mine"', source: { prefix: 32 } },
      { variant, from: 'FORWARD', to: 'MINE', comment: undefined, source: { prefix: 16 } },
    ]);
    expect([...jumps[1]!.source!.ip.bytes]).toEqual([10, 1, 0, 0]);
    expect(removeChains(nl, 4, 'filter', ['MINE', 'NEVER'], ['FORWARD'])).toEqual(['MINE']);
    expect(removeChains(nl, 4, 'filter', ['MINE', 'NEVER'], ['FORWARD'])).toEqual([]);
    expect(saved().rules.map(({ chain, text }) => `${chain} ${text}`)).toEqual(['FORWARD -j OTHER']);
  });
});

describe('rules of iptables-nft by netlink', () => {
  const lines = [
    '-s 10.0.0.2/32 -m comment --comment "what for" -j RETURN',
    '-d 10.0.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-s 10.0.0.2/32 -j ACCEPT',
  ];

  test('are read as the program would list them, without starting it', () => {
    const more = ['-i br0 ! -o br0 -j OTHER', '-o br0 -j DROP', '-j RETURN'];
    sh(
      [
        'iptables-nft -N MINE; iptables-nft -N OTHER',
        ...[...lines, ...more].map((line) => `iptables-nft -A MINE ${line}`),
      ].join('\n'),
    );
    vi.stubEnv('PATH', '/nonexistent');
    const read = readNftChains(nl, 4, 'filter', ['FORWARD', 'MINE', 'NEVER']);
    expect(read.chains).toEqual(['MINE']);
    expect(read.rules.map(({ text }) => text)).toEqual([...lines, ...more]);
    expect(read.rules.every(({ handle }) => handle !== undefined)).toBe(true);
  });
});

test('chains that are not there are removed without a write', () => {
  onKernelWrite((what) => {
    throw new Error(`written: ${what}`);
  });
  expect(removeChains(nl, 4, 'nat', ['CNI-x'], ['POSTROUTING'])).toEqual([]);
});
