import { parseIp } from '@cni-ts/address/ip';
import { expect, test } from 'vitest';
import { firstPacket } from './packet.ts';
import { type RulePlace, runChain, type Step } from './walk-rules.ts';

const place = (chainName: string): RulePlace => ({
  chain: chainName,
  chainName,
  rule: 1,
  comment: undefined,
});
const address = parseIp('10.0.0.9')!;

/** A packet for 10.0.0.1, a chain that may be gone into, and one that translates there. */
function run(matches: Step['matches']) {
  const [source, destination] = [parseIp('10.0.0.2')!, parseIp('10.0.0.1')!];
  const packet = firstPacket({ protocol: 'tcp', source, destination, destinationPort: 80 });
  const chains: Readonly<Record<string, readonly Step[]>> = {
    first: [{ matches, deed: { kind: 'jump', chain: 'second' }, place: place('first') }],
    second: [{ matches: 'yes', deed: { kind: 'dnat', address, port: 8080 }, place: place('second') }],
  };
  const unsure: RulePlace[] = [];
  const ended = runChain('first', (name) => chains[name] ?? [], packet, unsure);
  return { ended: ended.kind, unsure: unsure.map(({ chainName }) => chainName), packet };
}

test('a rule that matches leads to one that translates', () => {
  const { ended, unsure, packet } = run('yes');
  expect({ ended, unsure }).toEqual({ ended: 'dnat', unsure: [] });
  expect(packet).toMatchObject({ destination: address, destinationPort: 8080 });
  expect(packet.translated).toEqual({ source: false, destination: true });
});

test('one that may match is told, and leaves the packet as it was in all', () => {
  const { ended, unsure, packet } = run('perhaps');
  expect({ ended, unsure }).toEqual({ ended: 'end', unsure: ['first'] });
  expect(packet).toMatchObject({ destination: parseIp('10.0.0.1'), destinationPort: 80 });
  expect(packet.translated).toEqual({ source: false, destination: false });
});
