import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, programName } from '@cni-ts/iptables/program';
import { appendRule, createChain, restore } from '@cni-ts/iptables/restore';
import { joinWords, splitWords } from '@cni-ts/iptables/words';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { accept, counter } from '@cni-ts/nftables/action';
import { addChain, chainText, listChains } from '@cni-ts/nftables/chain';
import { addRule, comment, listRules, rule, sameRule } from '@cni-ts/nftables/rule';
import { transaction } from '@cni-ts/nftables/transaction';
import { sh } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readNftChains } from './chain-rules.ts';
import { nativeChanges } from './iptables-engine.ts';
import { isRule, readRule } from './read-rule.ts';
import { accept as accepting, type RuleSpec } from './rule-spec.ts';
import { readWords } from './words-language.ts';
import { xtRule } from './xt-language.ts';

let nl: Netlink;
beforeEach(() => {
  Netns.unshareThread();
  nl = Netlink.open('netfilter');
});
afterEach(() => {
  vi.unstubAllEnvs();
  nl.close();
});

/** Words by way of the model; it lacks an action where they have none. */
const spec = (family: Family, words: readonly string[]) =>
  ({ chain: 'MINE', ...readWords(family, words) }) as RuleSpec & { whole: boolean };
const nativeRule = (family: Family, words: readonly string[]) => xtRule(family, spec(family, words));

/** Rules as iptables-save prints them, that xtRule knows. */
const common = (comment: string) => [
  `-m comment --comment "${comment}" -j ACCEPT`,
  `-p tcp -m comment --comment "${comment}" -m multiport --dports 80 -j OTHER`,
  `-p udp -m comment --comment "${comment}" -m multiport --dports ${Array.from({ length: 15 }, (_, i) => 65535 - i)} -j OTHER`,
  `-p sctp -m comment --comment "${comment}" -m multiport --dports 80,443 -j OTHER`,
  '-p tcp -m tcp --dport 8080 -j OTHER',
  '-p udp -m udp --dport 1 -j ACCEPT',
  '-p sctp -m sctp --dport 65535 -j RETURN',
  '-j MASQUERADE',
  '-m addrtype --dst-type LOCAL -j OTHER',
  '-m mark --mark 0x2000/0x2000 -j MASQUERADE',
  '-m comment --comment mark -j MARK --set-xmark 0x80000000/0x80000000',
];
const networks = {
  4: ['10.0.0.0/8', '10.1.16.0/20', '10.1.2.0/24', '10.1.2.128/25', '10.1.2.3/32', '128.0.0.0/1'],
  6: ['2001:db8::/32', '2001:db8::/61', '2001:db8::/64', '2001:db8::/65', '2001:db8::1/128', 'ff00::/8'],
} as const;
const targets = { 4: '10.2.2.2:8080', 6: '[2001:db8::2]:8080' } as const;
const lines = (family: Family) => [
  ...common('name: \\"net\\" id: \\"c1\\"'),
  ...networks[family].flatMap((network) => [
    `-s ${network} -j RETURN`,
    `-d ${network} -m comment --comment to -j ACCEPT`,
    `! -d ${network} -m comment --comment "not to" -j MASQUERADE`,
    `! -s 10.9.9.9/32 -d ${network} -p tcp -m tcp --dport 80 -j OTHER`.replace(
      '10.9.9.9/32',
      family === 4 ? '10.9.9.9/32' : '2001:db8::9/128',
    ),
  ]),
  ...['tcp', 'udp', 'sctp'].map(
    (protocol) => `-p ${protocol} -m ${protocol} --dport 80 -j DNAT --to-destination ${targets[family]}`,
  ),
];

/** Those of MINE, by the program. */
const saved = (family: Family) =>
  sh(`${programName(family, 'save')} -t nat`)
    .split('\n')
    .filter((line) => line.startsWith('-A'));
const mine = (family: Family) => ({ table: iptablesNftTable(family, 'nat'), name: 'MINE' });
const wordsOf = (family: Family) => lines(family).map(splitWords);
const rulesOf = (family: Family) => wordsOf(family).map((words) => spec(family, words));

function writeNatively(family: Family): void {
  restore(family, { nat: [createChain('OTHER')] });
  transaction(nl, nativeChanges(family, 'nat', { chains: [mine(family)], rules: rulesOf(family) })!);
}

describe.for([4, 6] as const)('rules of IPv%i by netlink', (family) => {
  const program = programName(family);

  test('are the same to iptables-save as those that iptables-restore makes of the same words', () => {
    writeNatively(family);
    const ours = saved(family);
    Netns.unshareThread();
    restore(family, {
      nat: [
        createChain('OTHER'),
        createChain('MINE'),
        ...wordsOf(family).map((words) => appendRule('MINE', words)),
      ],
    });
    expect(ours).toEqual(saved(family));
    expect(ours).toEqual(lines(family).map((line) => `-A MINE ${line}`));
  });

  test('are found and deleted by the program', () => {
    writeNatively(family);
    for (const line of lines(family)) {
      sh(`${program} -t nat -C MINE ${line}; ${program} -t nat -D MINE ${line}`);
    }
    expect(saved(family)).toEqual([]);
  });

  test.for(['netlink', 'iptables-restore'])('are read as they are saved, written by %s', (by) => {
    const texts = lines(family);
    if (by === 'netlink') writeNatively(family);
    else {
      texts.push('-m mark --mark 0x2000 -j ACCEPT', '-i eth0 -p tcp -m conntrack --ctstate NEW -j RETURN');
      const rules = texts.map((line) => appendRule('MINE', splitWords(line)));
      restore(family, { nat: [createChain('OTHER'), createChain('MINE'), ...rules] });
      expect(saved(family)).toEqual(texts.map((line) => `-A MINE ${line}`));
    }
    vi.stubEnv('PATH', '/nonexistent');
    const read = readNftChains(nl, family, 'nat', ['MINE']).rules.map(({ words }) => joinWords(words));
    expect(read).toEqual(texts.map((line) => joinWords(splitWords(line))));
  });
});

test.for([
  '-i eth0 -j ACCEPT',
  '-p icmp -j ACCEPT',
  '-p tcp -m tcp --sport 80 -j ACCEPT',
  '-p tcp -m udp --dport 80 -j ACCEPT',
  '-p tcp -m tcp --dport 80:90 -j ACCEPT',
  '-m multiport --dports 80 -j ACCEPT',
  '-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 -j ACCEPT',
  '-p tcp -m tcp --dport 65536 -j ACCEPT',
  '! -p tcp -j ACCEPT',
  '-s 10.0.0.1/32 -s 10.0.0.2/32 -j ACCEPT',
  '-s 2001:db8::1/128 -j ACCEPT',
  '-s 0.0.0.0/0 -j ACCEPT',
  '-j DNAT --to-destination 10.0.0.1',
  '-j DNAT --to-destination 10.0.0.1:80-90',
  '-j MARK --set-mark 0x1',
  '-m mark --mark 1 -j ACCEPT',
  '-m addrtype --dst-type UNICAST -j ACCEPT',
  '-s 10.0.0.1/32',
  '-s 10.0.0.1/32 -j',
  `-m comment --comment ${'x'.repeat(256)} -j ACCEPT`,
])('"%s" is left to the program', (line) => {
  expect(nativeRule(4, splitWords(line))).toBeUndefined();
});

test('a word that could end a line is left to the program, which refuses it', () => {
  expect(nativeRule(4, ['-m', 'comment', '--comment', 'a\nCOMMIT', '-j', 'ACCEPT'])).toBeUndefined();
});

test('a rule that the program alone can read is asked of it, other chains are not', () => {
  sh('iptables -t nat -N MINE; iptables -t nat -N ODD; iptables -t nat -A MINE -s 10.1.0.0/20 -j ACCEPT');
  sh('iptables -t nat -A ODD -m statistic --mode nth --every 2 --packet 0 -j ACCEPT');
  expect(readNftChains(nl, 4, 'nat', ['MINE']).rules.map(({ text }) => text)).toEqual([
    '-s 10.1.0.0/20 -j ACCEPT',
  ]);
  expect(readNftChains(nl, 4, 'nat', ['ODD']).rules[0]?.text).toContain('--mode nth --every 2');
});

test('a rule that nft has written anew has the same words, but for a comment of the program’s', () => {
  const states = ['RELATED,ESTABLISHED', 'INVALID,NEW', 'UNTRACKED', 'SNAT', 'DNAT'];
  const lines = [
    ...states.map((state) => `-d 10.1.2.3/32 -m conntrack --ctstate ${state} -j ACCEPT`),
    '-s 10.1.0.0/20 -i eth0 ! -o eth1 -p tcp -m tcp --dport 80 -j DROP',
    '-s 10.1.2.3/32 -m comment --comment "the program’s" -j ACCEPT',
  ];
  restore(4, { filter: [createChain('MINE'), ...lines.map((line) => appendRule('MINE', splitWords(line)))] });
  const mine = { table: iptablesNftTable(4, 'filter'), name: 'MINE' };
  transaction(nl, [addRule(mine, rule(counter, accept, comment('ours')))]);
  const read = () => readNftChains(nl, 4, 'filter', ['MINE']).rules.map(({ text }) => text);
  const before = [...lines.map((line) => joinWords(splitWords(line))), '-m comment --comment ours -j ACCEPT'];
  expect(read()).toEqual(before);
  sh('rules=$(nft list ruleset); nft flush ruleset; echo "$rules" | nft -f -');
  expect(read()).toEqual(before.map((text) => text.replace(/-m comment --comment ".*" /, '')));
});

test('a comment is read in both forms: userdata, and the match that iptables-restore makes of it', () => {
  sh('iptables -N MINE');
  const mine = { table: iptablesNftTable(4, 'filter'), name: 'MINE' };
  const [own, other] = ['ours', 'other'].map((comment) => ({ chain: 'MINE', action: accepting, comment }));
  const written = xtRule(4, own!, 'userdata')!;
  transaction(nl, [addRule(mine, written)]);
  const listed = () => listRules(nl, mine.table, 'MINE')[0]!;
  const look = () => [
    listed().comment,
    isRule(own!, readRule(4, listed())),
    isRule(other!, readRule(4, listed())),
    isRule({ action: accepting }, readRule(4, listed())),
  ];
  expect([...look(), sameRule('ip', written, listed())]).toEqual(['ours', true, false, false, true]);
  sh('iptables-save | iptables-restore');
  expect([...look(), sameRule('ip', written, listed())]).toEqual(['ours', true, false, false, false]);
  sh('rules=$(nft list ruleset); nft flush ruleset; echo "$rules" | nft -f -');
  expect(look()).toEqual([undefined, false, false, true]);
  expect(isRule(own!, readRule(4, listed()), true)).toBe(true);
});

test('chains of all families are listed at once, or those alone that are asked about', () => {
  sh(
    'nft add table inet a; nft add chain inet a x; nft add table bridge b; nft add chain bridge b y; nft add table arp c; nft add chain arp c z',
  );
  expect(listChains(nl).map(chainText)).toEqual(['inet a x', 'bridge b y']);
  expect(listChains(nl, undefined, [new TextEncoder().encode('y\0')]).map(chainText)).toEqual(['bridge b y']);
});

test('a chain that is there already is refused as a whole', () => {
  sh('iptables -t nat -N MINE');
  const changes = nativeChanges(4, 'nat', {
    chains: [mine(4)],
    rules: [{ chain: 'MINE', action: accepting }],
  })!;
  expect(() => transaction(nl, changes)).toThrow('could not create chain ip nat MINE: file exists');
  expect(saved(4)).toEqual([]);
  transaction(nl, [addChain({ table: iptablesNftTable(4, 'nat'), name: 'MINE' })]);
});
