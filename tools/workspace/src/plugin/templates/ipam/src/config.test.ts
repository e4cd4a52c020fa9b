import { expect, test } from 'vitest';
import { parse, schema } from './config.ts';

const read = (subnet: string) => parse(schema().parse({ ipam: { subnet } }));

test('the first address is the gateway, and the last one is not given away (__name__ 1)', () => {
  const range = read('10.1.2.0/29').sets[0]?.[0];
  expect([range?.gateway, range?.end].map((ip) => ip?.bytes[3])).toEqual([1, 6]);
});

test('a subnet that is none is refused (__name__ 2)', () => {
  expect(() => read('10.1.2.0')).toThrow('invalid CIDR address: 10.1.2.0');
});
