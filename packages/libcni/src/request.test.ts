import type { Input } from '@cni-ts/invoke/input';
import { decodeResult } from '@cni-ts/spec/result-version';
import { expect, test } from 'vitest';
import { type JsonObject, parseJson } from './json.ts';
import { parsePluginConfig } from './plugin-config.ts';
import { attachmentRequest, gcRequest, statusRequest } from './request.ts';

const network = { name: 'net', cniVersion: '1.1.0' };
const conf = { containerId: 'c1', ifname: 'eth0' };
const plugin = (json: object) => parsePluginConfig(Buffer.from(JSON.stringify({ type: 'p', ...json })));
const parsed = ({ text }: Input) => JSON.parse(text) as JsonObject; // requests are objects

test("the list's name and version replace the plugin's own, the rest stays (protocol 72)", () => {
  const own = {
    name: 'inner',
    cniVersion: '0.1.0',
    capabilities: { mac: true },
    args: { a: 1 },
    odd: { deep: [null] },
  };
  expect(parsed(attachmentRequest(network, plugin(own), conf, undefined))).toEqual({
    ...own,
    type: 'p',
    name: 'net',
    cniVersion: '1.1.0',
  });
});

test('runtimeConfig holds the given capabilities that the plugin marks true (protocol 73)', () => {
  const capable = plugin({ capabilities: { mac: true, portMappings: false } });
  const capabilityArgs = { mac: '02:00:00:00:00:01', portMappings: [], other: 1 };
  const request = parsed(attachmentRequest(network, capable, { ...conf, capabilityArgs }, undefined));
  expect(request.runtimeConfig).toEqual({ mac: '02:00:00:00:00:01' });
});

test('without a matching capability there is no runtimeConfig (protocol 73)', () => {
  const capabilityArgs = { mac: 'x', toString: 'y' };
  const request = parsed(attachmentRequest(network, plugin({}), { ...conf, capabilityArgs }, undefined));
  expect(request).not.toHaveProperty('runtimeConfig');
});

test('a capability given as null is passed as null', () => {
  const capable = plugin({ capabilities: { mac: true } });
  const request = attachmentRequest(network, capable, { ...conf, capabilityArgs: { mac: null } }, undefined);
  expect(parsed(request).runtimeConfig).toEqual({ mac: null });
});

test('a list without a version sends an empty one (protocol 74)', () => {
  const request = attachmentRequest(
    { name: 'net', cniVersion: '' },
    plugin({ cniVersion: '1.0.0' }),
    conf,
    undefined,
  );
  expect(parsed(request).cniVersion).toBe('');
});

test('prevResult and runtimeConfig of the configuration pass unless they are injected', () => {
  const own = plugin({ prevResult: { own: 1 }, runtimeConfig: { own: 2 }, capabilities: { mac: true } });
  expect(parsed(attachmentRequest(network, own, conf, undefined))).toMatchObject({
    prevResult: { own: 1 },
    runtimeConfig: { own: 2 },
  });
  const result = decodeResult('1.1.0', { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] });
  const injected = attachmentRequest(network, own, { ...conf, capabilityArgs: { mac: 'm' } }, result);
  expect(parsed(injected)).toMatchObject({
    prevResult: { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] },
    runtimeConfig: { mac: 'm' },
  });
});

test('whole numbers beyond 53 bits are passed on as written, from the configuration and from the runtime', () => {
  const text =
    '{"type":"p","capabilities":{"big":true},"rate":18446744073709551615,"list":[-9007199254740993,1.5]}';
  const capabilityArgs = { big: parseJson('9007199254740993') };
  const given = { ...conf, capabilityArgs };
  const request = attachmentRequest(network, parsePluginConfig(Buffer.from(text)), given, undefined).text;
  expect(request).toContain('"rate":18446744073709551615,"runtimeConfig":{"big":9007199254740993}');
  expect(request).toContain('"list":[-9007199254740993,1.5]');
});

test('keys are sorted at every level', () => {
  expect(statusRequest(network, plugin({ z: { b: 1, a: 2 }, a: 3 })).text).toBe(
    '{"a":3,"cniVersion":"1.1.0","name":"net","type":"p","z":{"a":2,"b":1}}',
  );
});

test('GC names what is valid under both keys, null when nobody said, no key when there is nothing to say', () => {
  const valid = [{ containerId: 'c1', ifname: 'eth0' }];
  const told = [{ containerID: 'c1', ifname: 'eth0' }];
  expect(parsed(gcRequest(network, plugin({}), valid))).toMatchObject({
    'cni.dev/valid-attachments': told,
    'cni.dev/attachments': told,
  });
  expect(parsed(gcRequest(network, plugin({}), null))).toMatchObject({
    'cni.dev/valid-attachments': null,
    'cni.dev/attachments': null,
  });
  expect(Object.keys(parsed(gcRequest(network, plugin({}), undefined)))).toEqual([
    'cniVersion',
    'name',
    'type',
  ]);
});
