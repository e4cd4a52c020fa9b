import { expect, test } from 'vitest';
import { parse, schema } from './config.ts';

const read = (json: object) => parse(schema().parse(json));

test('an MTU of 0 is that of the kernel (__name__ 1)', () => {
  expect([read({ mtu: 0 }).mtu, read({}).mtu, read({ mtu: 1400 }).mtu]).toEqual([undefined, undefined, 1400]);
});

test('a network without IPAM has no addresses (__name__ 2)', () => {
  expect([read({}).ipam, read({ ipam: { type: 'host-local' } }).ipam]).toEqual(['', 'host-local']);
});
