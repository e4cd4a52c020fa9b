import { findCniError } from '@cni-ts/spec/cni-error';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { networkConfig, readConfig } from './config.ts';

const bridge = z.object({
  ...networkConfig,
  mtu: z.optional(z.int()),
  vlanTrunk: z.optional(z.array(z.object({ minID: z.optional(z.int()) }))),
  labels: z.optional(z.record(z.string(), z.string())),
  free: z.optional(z.unknown()),
  gate: z.optional(z.union([z.boolean(), z.object({ portIsolation: z.boolean() })])),
  maybe: z.optional(z.nullable(z.string())),
});

const refusal = (schema: z.core.$ZodType, json: unknown, prefix?: string): [number, string] => {
  try {
    readConfig(schema, json, prefix);
  } catch (thrown) {
    const error = findCniError(thrown);
    if (error) return [error.code, error.message];
    throw thrown;
  }
  throw new Error('was accepted');
};

test('a configuration in exact spelling is read and unknown keys pass', () => {
  expect(readConfig(bridge, { name: 'n', mtu: 1400, whatever: [1] })).toEqual({ name: 'n', mtu: 1400 });
});

test('keys match without regard to letter case wherever the schema models them', () => {
  const json = { MTU: 1400, VlanTrunk: [{ minid: 5 }], GATE: { PortIsolation: true } };
  expect(readConfig(bridge, json)).toEqual({
    mtu: 1400,
    vlanTrunk: [{ minID: 5 }],
    gate: { portIsolation: true },
  });
  expect(json).toEqual({ MTU: 1400, VlanTrunk: [{ minid: 5 }], GATE: { PortIsolation: true } });
});

test('of several spellings of one key the last that is not null wins', () => {
  expect(readConfig(bridge, { mtu: 1, MTU: 2 })).toEqual({ mtu: 2 });
  expect(readConfig(bridge, { MTU: 2, mtu: 1 })).toEqual({ mtu: 1 });
  expect(readConfig(bridge, { mtu: 1, MTU: null })).toEqual({ mtu: 1 });
});

test('null is the same as absent for a modelled key and stays where the schema admits it', () => {
  const read = readConfig(bridge, { mtu: null, vlanTrunk: [{ minID: null }], free: null, maybe: null });
  expect(read).toEqual({ vlanTrunk: [{}], free: null, maybe: null });
});

test('keys of a free-form object keep their letter case', () => {
  expect(readConfig(bridge, { labels: { A: 'x', a: 'y' } })).toEqual({ labels: { A: 'x', a: 'y' } });
});

test('a wrong kind of value is named by path, with what was expected and found', () => {
  expect(refusal(bridge, { mtu: 'x' })).toEqual([
    7,
    'failed to load netconf: mtu: expected a number, got the string "x"',
  ]);
  expect(refusal(bridge, { vlanTrunk: [{}, { MINID: 1.5 }] })[1]).toBe(
    'failed to load netconf: vlanTrunk[1].minID: expected a whole number, got 1.5',
  );
  expect(refusal(bridge, [], 'could not read')[1]).toBe(
    'could not read: expected an object, got a list of 0',
  );
});

test('a capability that is not a boolean is refused (protocol 38)', () => {
  expect(refusal(bridge, { capabilities: { mac: 'true' } })).toEqual([
    7,
    'failed to load netconf: capabilities.mac: expected true or false, got the string "true"',
  ]);
  expect(readConfig(bridge, { capabilities: { mac: true } })).toEqual({ capabilities: { mac: true } });
});

test('a configuration of nothing but a type reads back with no dns and an ipam that reads as absent (protocol 37)', () => {
  const read = readConfig(z.object({ ...networkConfig }), { type: 'a', ipam: {} });
  expect(read).toEqual({ type: 'a', ipam: {} });
  expect(readConfig(z.object({ ...networkConfig }), { type: 'a' })).toEqual({ type: 'a' });
});

test.each<[string, z.core.$ZodType, unknown, string]>([
  [
    'a required key that is missing',
    z.object({ type: z.string() }),
    {},
    'type: expected a string, got nothing',
  ],
  [
    'an enumeration',
    z.object({ m: z.enum(['a', 'b']) }),
    { m: 'c' },
    'm: expected "a" or "b", got the string "c"',
  ],
  ['alternatives', z.union([z.string(), z.boolean()]), 5, 'expected a string or true or false, got 5'],
  [
    'the inside of an alternative',
    z.object({ g: z.union([z.boolean(), z.object({ p: z.boolean() })]) }),
    { g: { p: 3 } },
    'g.p: expected true or false, got 3',
  ],
  [
    'a number below its limit',
    z.object({ t: z.int().check(z.gte(1)) }),
    { t: 0 },
    't: expected a number at least 1, got 0',
  ],
  [
    'a list that is too long',
    z.array(z.int()).check(z.maxLength(1)),
    [1, 2],
    'expected at most 1 entry, got a list of 2',
  ],
  [
    'an empty string',
    z.string().check(z.minLength(1)),
    '',
    'expected a string that is not empty, got the string ""',
  ],
  [
    'a sentence of the schema itself',
    z.string().check(z.refine((text) => text === 'b', 'must be b')),
    'a',
    'must be b',
  ],
  [
    'an expectation of the schema itself',
    z.string().check(z.refine((text) => text === 'b', 'expected a MAC address')),
    'a',
    'expected a MAC address, got the string "a"',
  ],
  ['a pattern', z.string().check(z.regex(/^a$/)), 'b', 'expected a string like /^a$/, got the string "b"'],
])('%s reads well in the error', (_name, schema, json, text) => {
  expect(refusal(schema, json)[1]).toBe(`failed to load netconf: ${text}`);
});
