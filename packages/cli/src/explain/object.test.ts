import { parseIp } from '@cni-ts/address/ip';
import { expect, test } from 'vitest';
import { readPort } from './object.ts';

test.each([
  ['8080', 8080, undefined, undefined],
  ['8080/tcp', 8080, 'tcp', undefined],
  [':53/UDP', 53, 'udp', undefined],
  ['192.0.2.1:8080', 8080, undefined, '192.0.2.1'],
  ['[2001:db8::1]:53/sctp', 53, 'sctp', '2001:db8::1'],
])('%s is a port', (word, port, protocol, address) => {
  expect(readPort(word)).toEqual({ port, protocol, address: address && parseIp(address) });
});

test.each([
  '0',
  '65536',
  '80/icmp',
  '80/',
  'x80',
  '10.22.0.7',
  '10.22.0.7/16',
  '::1',
  '300.0.0.1:80',
  '8080x',
])('%s is none', (word) => {
  expect(readPort(word)).toBeUndefined();
});
