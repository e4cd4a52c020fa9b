/** What is taken out of an archive, and what stays in it. */
import { isSecretKey } from '@cni-ts/spec/secret-key';
import { describe, expect, test } from 'vitest';
import { Masker, masked } from './mask.ts';

const clean = (text: string, masker = new Masker()) => masker.everywhere('f', masker.text('f', text));

describe('keys', () => {
  test.each([
    'password',
    'apiKey',
    'API_KEY',
    'client-secret',
    'authToken',
    'tls.crt-certificate',
    'privateKey',
    'key',
    'env',
    'etcd_cert_file',
    'K8S_AUTH',
    'serviceaccounttoken',
    'psk',
    'private',
  ])('%s is a secret', (key) => expect(isSecretKey(key)).toBe(true));
  test.each([
    'name',
    'type',
    'keyboard',
    'monkey',
    'author',
    'passthru',
    'isGateway',
    'bridge',
    'capabilities',
    'mode',
    'K8S_POD_NAME',
    'portMappings',
  ])('%s is none', (key) => expect(isSecretKey(key)).toBe(false));
});

describe('in JSON', () => {
  test('a whole number too great for a double keeps its digits, and goes where it is a secret', () => {
    const text = clean('{"mark":12345678901234567890,"token":98765432109876543210}');
    expect(JSON.parse(text)).toEqual({ mark: '12345678901234567890', token: masked });
  });

  test('values of such keys go, with all that is in them; what tells how a network works stays', () => {
    const masker = new Masker();
    const config = {
      name: 'web',
      plugins: [
        {
          type: 'bridge',
          mtu: 1400,
          token: 'tok-1234567',
          tls: { key: ['k-aaaaaa'], mode: 1 },
          auth: { user: 'u-bbbbbb' },
        },
      ],
    };
    const text = masker.text('config/a', JSON.stringify(config));
    expect(JSON.parse(text)).toEqual({
      name: 'web',
      plugins: [{ type: 'bridge', mtu: 1400, token: masked, tls: { key: masked, mode: 1 }, auth: masked }],
    });
    expect(masker.found).toEqual([
      { file: 'config/a', what: '/plugins/0/token' },
      { file: 'config/a', what: '/plugins/0/tls/key' },
      { file: 'config/a', what: '/plugins/0/auth' },
    ]);
  });

  test('arguments stay where they only name a pod; others go', () => {
    const text = clean(
      JSON.stringify({
        cniArgs: [
          ['K8S_POD_NAME', 'cart'],
          ['VENDOR_THING', 'v-123456'],
        ],
        args: { cni: { PIN: 'p-654321' }, K8S_POD_NAMESPACE: 'shop' },
      }),
    );
    expect(text).toContain('cart');
    expect(text).toContain('shop');
    expect(text).not.toContain('v-123456');
  });

  test('credentials go by their form: in addresses, headers, parameters, PEM, tokens', () => {
    const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----';
    const text = clean(
      JSON.stringify({
        a: 'https://admin:hunter2@etcd.example:2379/v2',
        b: 'etcd://us@er:p@ss@10.0.0.1/',
        c: 'Authorization: Bearer abc.def-123456',
        d: 'https://x.example/?token=qwerty&net=web',
        e: pem,
        f: 'eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl',
        g: JSON.stringify({ password: 'inner-secret' }),
      }),
    );
    for (const secret of [
      'hunter2',
      'admin',
      'p@ss',
      'abc.def',
      'qwerty',
      'MIIabc',
      'c2lnbmF0dXJl',
      'inner-secret',
    ]) {
      expect(text).not.toContain(secret);
    }
    expect(text).toContain('etcd.example:2379/v2');
    expect(text).toContain('net=web');
  });

  test('numbers and nothing: a number goes, an empty text and a switch tell more than they hide', () => {
    expect(JSON.parse(clean('{"key":12345678901234567890,"token":"","auth":false,"secret":null}'))).toEqual({
      key: masked,
      token: '',
      auth: false,
      secret: null,
    });
  });
});

describe('in what is no JSON', () => {
  test('the values of such keys go, and after one whose end is not known all that follows', () => {
    const text = clean(
      '{ "name": "web", "token": "abcdefg", "x": 1,\n "mtu": 1500\n "auth": {\n  "user": "root",\n  "x": "seven"\n}',
    );
    expect(text).not.toMatch(/abcdefg|root|seven/);
    expect(text).toContain('"mtu": 1500');
    expect(text).toContain('3 lines after it left out');
  });

  test('rules and addresses stay as they are', () => {
    const rules =
      'table inet t {\n  chain c {\n    ip6 daddr fd00:ca:fe::1 ether saddr 02:ca:fe:00:00:01 tcp dport 80 dnat to 10.0.0.2:80 comment "id: c1"\n  }\n}';
    expect(clean(rules)).toBe(rules);
  });
});

test('what is secret in one file goes from all; names of networks stay though somebody uses one as a password', () => {
  const masker = new Masker(['production']);
  masker.text('a', '{"password":"s3cr3t-value","token":"production"}');
  expect(masker.everywhere('b', 'refused: s3cr3t-value on production')).toBe(
    `refused: ${masked} on production`,
  );
});
