import { onKernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { accept, counter, toCaller } from '@cni-ts/nftables/action';
import { daddr, saddr } from '@cni-ts/nftables/match';
import { addRule, rule } from '@cni-ts/nftables/rule';
import { transaction } from '@cni-ts/nftables/transaction';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultBackend, iptablesWorks, nftablesWorks } from './backend.ts';
import { xtComment, xtState } from './native-match.ts';
import { findProgram, findVariant, IptablesError, programName, runProgram, variantOf } from './program.ts';
import {
  appendRule,
  createChain,
  deleteChain,
  deleteRule,
  flushChain,
  insertRule,
  resetChain,
  restore,
  retryOvertaken,
} from './restore.ts';
import { parseSaved, save } from './save.ts';
import { joinWords, splitWords, wordAfter } from './words.ts';

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

describe('words', () => {
  test.for([
    [['-s', '10.0.0.0/8', '-j', 'ACCEPT'], '-s 10.0.0.0/8 -j ACCEPT'],
    [['--comment', 'name: "a" id: "b\\c"'], '--comment "name: \\"a\\" id: \\"b\\\\c\\""'],
    [['!', '-d', 'ff00::/8'], '! -d ff00::/8'],
    [['--to-destination', '[2001:db8::2]:80'], '--to-destination [2001:db8::2]:80'],
    [['--comment', ''], '--comment ""'],
  ] as const)('%j are written %s and read back', ([words, line]) => {
    expect(joinWords(words)).toBe(line);
    expect(splitWords(line)).toEqual(words);
  });

  test('with a line break are refused', () => {
    expect(() => joinWords(['a\nCOMMIT'])).toThrow('cannot stand in an iptables rule');
  });

  test('after an option are found', () => {
    expect(wordAfter(['-s', 'a', '-j', 'B'], '-j')).toBe('B');
    expect(wordAfter(['-s', 'a'], '-j')).toBeUndefined();
  });
});

test('a saved table is read with its chains and rules', () => {
  const { chains, rules } = parseSaved(
    '# Generated\n*nat\n:PREROUTING ACCEPT [0:0]\n:MINE - [0:0]\n-A MINE -m comment --comment "a b" -j ACCEPT\nCOMMIT\n',
  );
  expect(chains).toEqual(['PREROUTING', 'MINE']);
  expect(rules).toEqual([
    {
      chain: 'MINE',
      words: ['-m', 'comment', '--comment', 'a b', '-j', 'ACCEPT'],
      text: '-m comment --comment "a b" -j ACCEPT',
    },
  ]);
});

describe('programs', () => {
  test('that end without reading their input are judged by their status', () => {
    const much = 'x'.repeat(1_000_000);
    expect(() => runProgram('/bin/sh', ['-c', 'echo no >&2; exit 3'], much)).toThrow('exit status 3: no');
    expect(runProgram('/bin/echo', ['yes'], much)).toBe('yes\n');
    expect(() => runProgram('/bin/no-such-program', [])).toThrow('no such file');
  });

  test('are named by family, variant and action', () => {
    expect(programName(4)).toBe('iptables');
    expect(programName(6, 'restore')).toBe('ip6tables-restore');
    expect(programName(4, 'save', 'legacy')).toBe('iptables-legacy-save');
  });

  test('are known by what their name leads to', () => {
    expect(variantOf(findProgram('iptables-legacy')!)).toBe('legacy');
    expect(variantOf(findProgram('iptables-nft')!)).toBe('nft');
    expect(findVariant(6, 'save', 'legacy')).toMatch(/ip6tables-legacy-save$/);
    vi.stubEnv('PATH', '/nowhere');
    expect(findProgram('iptables')).toBeUndefined();
    expect(findVariant(6, 'save', 'legacy')).toBeUndefined();
  });

  test('that are absent make nftables the default', () => {
    expect(defaultBackend(nl)).toBe('iptables');
    vi.stubEnv('PATH', '/nowhere');
    expect(defaultBackend(nl)).toBe('nftables');
    expect(iptablesWorks()).toBe(false);
  });

  test('are asked whether they work, and the kernel without leaving anything', () => {
    expect(nftablesWorks(nl)).toBe(true);
    expect(nftablesWorks(nl, 'bridge')).toBe(true);
    expect(sh('nft list ruleset')).toBe('');
    expect(iptablesWorks()).toBe(true);
  });
});

describe.for(['nft', 'legacy'] as const)('a restore by iptables-%s', (variant) => {
  const program = () => findVariant(4, 'restore', variant);
  const saved = () => save(4, 'filter', findVariant(4, 'save', variant));
  const mine = () =>
    saved()
      .rules.filter(({ chain }) => chain === 'MINE')
      .map(({ text }) => text);

  test('creates, appends, inserts, deletes, empties and removes', () => {
    const change = (...changes: Parameters<typeof restore>[1]['filter'] & object) =>
      restore(4, { filter: changes }, program());
    change(createChain('MINE'), appendRule('MINE', ['-s', '10.0.0.1/32', '-j', 'ACCEPT']));
    change(insertRule('MINE', ['-s', '10.0.0.2/32', '-j', 'DROP']), appendRule('FORWARD', ['-j', 'MINE']));
    expect(mine()).toEqual(['-s 10.0.0.2/32 -j DROP', '-s 10.0.0.1/32 -j ACCEPT']);
    change(deleteRule('MINE', ['-s', '10.0.0.2/32', '-j', 'DROP']));
    expect(mine()).toEqual(['-s 10.0.0.1/32 -j ACCEPT']);
    change(appendRule('MINE', ['-j', 'RETURN']), resetChain('MINE'));
    expect(mine()).toEqual(['-j RETURN']);
    expect(saved().rules.filter(({ chain }) => chain === 'FORWARD')).toHaveLength(1);
    change(deleteRule('FORWARD', ['-j', 'MINE']), flushChain('MINE'), deleteChain('MINE'));
    expect(saved().chains).not.toContain('MINE');
  });

  test('is all or nothing, and names the line that failed', () => {
    const attempt = () =>
      restore(
        4,
        { filter: [createChain('MINE'), deleteRule('FORWARD', ['-s', '10.9.9.9/32', '-j', 'ACCEPT'])] },
        program(),
      );
    expect(attempt).toThrow(/exit status \d.*the line is: -D FORWARD -s 10\.9\.9\.9\/32 -j ACCEPT/s);
    expect(saved().chains).not.toContain('MINE');
  });
});

describe('rules of iptables-nft by netlink', () => {
  const table = { family: 'ip', name: 'filter' } as const;
  const ip = { family: 4, bytes: Uint8Array.of(10, 0, 0, 2) } as const;
  const lines = [
    '-s 10.0.0.2/32 -m comment --comment "what for" -j RETURN',
    '-d 10.0.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-s 10.0.0.2/32 -j ACCEPT',
  ];

  test('are what the program takes for its own', () => {
    sh('iptables-nft -N MINE');
    transaction(nl, [
      addRule({ table, name: 'MINE' }, rule(saddr(ip), xtComment('what for'), counter, toCaller)),
      addRule({ table, name: 'MINE' }, rule(daddr(ip), xtState(['related', 'established']), counter, accept)),
      addRule({ table, name: 'MINE' }, rule(saddr(ip), counter, accept)),
    ]);
    expect(sh('iptables-nft -S MINE')).toBe(
      ['-N MINE', ...lines.map((line) => `-A MINE ${line}`), ''].join('\n'),
    );
    for (const line of lines) sh(`iptables-nft -D MINE ${line}`);
  });
});

test('no change starts no program', () => {
  onKernelWrite((what) => {
    throw new Error(`written: ${what}`);
  });
  restore(4, { nat: [], filter: [] });
});

test('what was taken out by another meanwhile is looked for again, a few times', () => {
  let calls = 0;
  const overtaken = (times: number, status?: number) =>
    retryOvertaken(() => {
      if (++calls <= times) throw new IptablesError('line 2 failed', status);
      return calls;
    });
  expect(overtaken(2, 1)).toBe(3);
  calls = 0;
  expect(() => overtaken(9, 1)).toThrow('line 2 failed');
  expect(calls).toBe(5);
  calls = 0;
  // It did not run at all.
  expect(() => overtaken(9)).toThrow('line 2 failed');
  expect(calls).toBe(1);
});
