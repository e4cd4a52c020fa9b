import { expect, test } from 'vitest';
import { pluginEnvironment } from './environment.ts';
import { type SpanContext, traceVariables } from './trace-context.ts';

const span: SpanContext = {
  traceId: '0AF7651916CD43DD8448EB211C80319C',
  spanId: 'b7ad6b7169203331',
  sampled: true,
};
const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';
const inherited = {
  PATH: '/bin',
  TRACEPARENT: 'inherited',
  TRACESTATE: 'a=b',
  BAGGAGE: 'c=d',
  CNI_IFNAME: 'stale',
};
const conf = { containerId: 'c1', netns: '/ns', ifname: 'eth0' };

test('a span replaces the inherited one and leaves the CNI variables alone (protocol 109)', () => {
  expect(pluginEnvironment(inherited, 'ADD', ['/x'], conf, span)).toEqual({
    PATH: '/bin',
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/ns',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: '',
    CNI_PATH: '/x',
    TRACEPARENT: `${parent}-01`,
    TRACESTATE: 'a=b',
    BAGGAGE: 'c=d',
  });
});

test('without a valid span what is inherited passes, and baggage alone is not sent (protocol 109)', () => {
  const baggage = [{ key: 'k', value: 'v' }];
  const invalid = { ...span, spanId: '0000000000000000', baggage };
  for (const given of [
    undefined,
    invalid,
    { ...span, traceId: '0'.repeat(32) },
    { ...span, traceId: 'zz' },
  ]) {
    const env = pluginEnvironment(inherited, 'ADD', ['/x'], conf, given);
    expect(env).toMatchObject({ TRACEPARENT: 'inherited', TRACESTATE: 'a=b', BAGGAGE: 'c=d' });
  }
});

test('a span that is not sampled says so', () => {
  expect(traceVariables({ ...span, sampled: false })).toEqual({ TRACEPARENT: `${parent}-00` });
});

test('trace state keeps its order', () => {
  const traceState = [
    ['b', '1'],
    ['a', '2'],
  ] as const;
  expect(traceVariables({ ...span, traceState }).TRACESTATE).toBe('b=1,a=2');
});

test('baggage values are percent-encoded, members with a key that is no token are dropped', () => {
  const baggage = [
    { key: 'user', value: 'a b"c,d;e\\f%gé', properties: [{ key: 'ttl', value: '1 h' }, { key: 'flag' }] },
    { key: 'not a token', value: 'x' },
    { key: 'plain', value: 'y=z' },
  ];
  expect(traceVariables({ ...span, baggage }).BAGGAGE).toBe(
    'user=a%20b%22c%2Cd%3Be%5Cf%25g%C3%A9;ttl=1%20h;flag,plain=y=z',
  );
});
