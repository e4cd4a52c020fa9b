import { parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { readWords } from '@cni-ts/rules/words-language';
import { expect, test } from 'vitest';
import { type HostRule, hostRules } from '../node/rules-here.ts';
import { droppingChains, verdictOf } from './forwarding.ts';

const table = 'ip filter';

/** Rules as iptables-save has them, in a chain FORWARD that drops. */
function rulesOf(lines: readonly string[]) {
  const rules = lines.map((line, at): HostRule => {
    const [chain = '', ...words] = line.split(' ');
    const spec = readWords(4, words);
    return { table, chain, at, handle: at, comment: spec.comment, spec, text: words.join(' ') };
  });
  const chain = { comment: undefined, type: 'filter', priority: 0 };
  return hostRules({
    chains: [
      { ...chain, table, name: 'FORWARD', families: [4], hook: 'forward', policy: 'drop' },
      { ...chain, table, name: 'INPUT', families: [4], hook: 'input', policy: 'drop' },
    ],
    rules,
    elements: [],
    unread: [],
  });
}

const packet = { from: parseIp('10.22.0.7'), to: undefined, input: 'cni0', output: 'uplink' };

function verdict(...lines: string[]) {
  const rules = rulesOf(lines);
  const [base] = droppingChains(rules, 4);
  if (!base) throw new Error('no chain drops');
  expect(base.name).toBe('FORWARD');
  return verdictOf(packet, base, rules);
}

test.each([
  ['nothing', [], 'drop'],
  ['its address', ['FORWARD -s 10.22.0.7/32 -j ACCEPT'], 'accept'],
  ['its subnet', ['FORWARD -s 10.22.0.0/16 -j ACCEPT'], 'accept'],
  ['another subnet', ['FORWARD -s 10.23.0.0/16 -j ACCEPT'], 'drop'],
  ['what goes to it alone', ['FORWARD -d 10.22.0.0/16 -j ACCEPT'], 'drop'],
  ['its link', ['FORWARD -i cni0 -j ACCEPT'], 'accept'],
  ['the beginning of its name', ['FORWARD -i cni+ -j ACCEPT'], 'accept'],
  ['another link', ['FORWARD -i docker0 ! -o docker0 -j ACCEPT'], 'drop'],
  ['answers alone', ['FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'], 'drop'],
  ['a port alone', ['FORWARD -p tcp -m tcp --dport 80 -j ACCEPT'], 'drop'],
  [
    'a chain that it is led to',
    ['FORWARD -j CNI-FORWARD', 'CNI-FORWARD -s 10.22.0.7/32 -j ACCEPT'],
    'accept',
  ],
  ['what stands behind a rule that drops', ['FORWARD -s 10.22.0.0/16 -j DROP', 'FORWARD -j ACCEPT'], 'drop'],
  ['a chain that returns first', ['FORWARD -j A', 'A -j RETURN', 'A -j ACCEPT'], 'drop'],
  ['what is not understood', ['FORWARD -m set --match-set some src -j ACCEPT'], 'unknown'],
  [
    'a chain behind what is not understood',
    ['FORWARD -m set --match-set some src -j A', 'A -j ACCEPT'],
    'unknown',
  ],
] as const)('where %s is accepted: %j is %s', (_what, lines, expected) => {
  expect(verdict(...lines)).toBe(expected);
});

test('of a packet within a bridge both links are known', () => {
  const rules = rulesOf(['FORWARD -i br0 -o br0 -j ACCEPT']);
  const [base] = droppingChains(rules, 4);
  const within = { from: packet.from, to: parseCidr('10.22.0.8/16')?.ip, input: 'br0', output: 'br0' };
  if (!base) throw new Error('no chain drops');
  expect(verdictOf(within, base, rules)).toBe('accept');
  expect(verdictOf({ ...within, output: 'uplink' }, base, rules)).toBe('drop');
  expect(droppingChains(rules, 6)).toEqual([]);
});
