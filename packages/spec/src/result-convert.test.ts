import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, parseIp } from '@cni-ts/address/ip';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { specVersions } from './released-versions.ts';
import type { Dns, Interface, IpConfig, Result, Route } from './result.ts';
import {
  convertResult,
  decodeResult,
  newestResult,
  printResult,
  type VersionedResult,
  versionedResult,
} from './result-version.ts';

const word = fc.stringMatching(/^[a-z]{1,8}$/);
const positive = fc.integer({ min: 1, max: 65535 });
const ip4 = fc.ipV4();
const ip6 = fc.ipV6().map((text) => {
  const ip = parseIp(text);
  return ip?.family === 6 ? formatIp(ip) : 'fd00::1';
});
const anyIp = fc.oneof(ip4, ip6);
const anyCidr = fc.oneof(
  fc.tuple(ip4, fc.nat(32)).map(([ip, prefix]) => `${ip}/${prefix}`),
  fc.tuple(ip6, fc.nat(128)).map(([ip, prefix]) => `${ip}/${prefix}`),
);

const words = fc.array(word, { minLength: 1, maxLength: 3 });
const anyInterface: fc.Arbitrary<Interface> = fc.record(
  { name: word, mac: word, mtu: positive, sandbox: word, socketPath: word, pciID: word },
  { requiredKeys: ['name'] },
);
const anyIpConfig: fc.Arbitrary<IpConfig> = fc.record(
  { address: anyCidr, gateway: anyIp, interface: fc.integer({ min: -1, max: 9 }) },
  { requiredKeys: ['address'] },
);
const anyRoute: fc.Arbitrary<Route> = fc.record(
  {
    dst: anyCidr,
    gw: anyIp,
    mtu: positive,
    advmss: positive,
    priority: positive,
    table: fc.nat(255),
    scope: fc.nat(255),
  },
  { requiredKeys: ['dst'] },
);
const anyDns: fc.Arbitrary<Dns> = fc.record(
  { nameservers: words, domain: word, search: words, options: words },
  { requiredKeys: [] },
);
const anyResult: fc.Arbitrary<Result> = fc.record({
  interfaces: fc.array(anyInterface, { maxLength: 3 }),
  ips: fc.array(anyIpConfig, { maxLength: 4 }),
  routes: fc.array(anyRoute, { maxLength: 4 }),
  dns: anyDns,
});
/** Every version can hold it. */
const withAddress = anyResult.filter((result) => (result.ips ?? []).length > 0);
const anyVersion = fc.constantFrom(...specVersions);

const since100 = ['1.0.0', '1.1.0'];
const since030 = ['0.3.0', '0.3.1', '0.4.0'];

function there(result: Result, version: string): VersionedResult {
  return convertResult(versionedResult(result), version);
}

function thereAndBack(result: Result, version: string): Result {
  return newestResult(there(result, version));
}

/** Without what the newest form leaves out when empty. */
function tidy(result: Result): Result {
  return newestResult(versionedResult(result));
}

test('by way of 1.0.0 nothing is lost', () => {
  fc.assert(
    fc.property(anyResult, fc.constantFrom(...since100), (result, version) => {
      expect(thereAndBack(result, version)).toEqual(tidy(result));
    }),
  );
});

test('by way of 0.3.0 to 0.4.0 interfaces lose mtu, socketPath and pciID, and nothing else is lost', () => {
  fc.assert(
    fc.property(anyResult, fc.constantFrom(...since030), (result, version) => {
      const interfaces = (result.interfaces ?? []).map(({ mtu, socketPath, pciID, ...kept }) => kept);
      expect(thereAndBack(result, version)).toEqual(tidy({ ...result, interfaces }));
    }),
  );
});

test('by way of 0.1.0 and 0.2.0 one address per family, its routes and dns remain', () => {
  fc.assert(
    fc.property(withAddress, fc.constantFrom('0.1.0', '0.2.0'), (result, version) => {
      const { ips = [], routes = [], dns = {} } = result;
      const isIpv6 = (text: string) => text.includes(':');
      const first4 = ips.find((ip) => !isIpv6(ip.address));
      const first6 = ips.find((ip) => isIpv6(ip.address));
      const kept = [first4, first6].filter((ip) => ip !== undefined);
      const homes = [
        ...(first4 ? routes.filter((route) => !isIpv6(route.dst)) : []),
        ...(first6 ? routes.filter((route) => isIpv6(route.dst)) : []),
      ];
      expect(thereAndBack(result, version)).toEqual(
        tidy({
          ips: kept.map(({ interface: _index, ...ip }) => ip),
          routes: homes.map(({ dst, gw }) => ({ dst, ...(gw !== undefined && { gw }) })),
          dns,
        }),
      );
    }),
  );
});

test('all pairs of versions convert, and a way round by an equal or newer form changes nothing', () => {
  fc.assert(
    fc.property(withAddress, anyVersion, anyVersion, (result, from, to) => {
      const start = there(result, from);
      const end = convertResult(start, to);
      expect(end.cniVersion).toBe(to);
      if (specVersions.indexOf(to) >= specVersions.indexOf(from)) {
        expect(convertResult(end, from)).toEqual(start);
      }
    }),
    { numRuns: 500 },
  );
});

test('what is printed in any version is read back as it was', () => {
  fc.assert(
    fc.property(withAddress, anyVersion, (result, version) => {
      const before = there(result, version);
      expect(decodeResult(version, JSON.parse(printResult(before)))).toEqual(before);
    }),
  );
});

test('addresses of read results are canonical', () => {
  fc.assert(
    fc.property(fc.ipV6(), fc.nat(128), (ip, prefix) => {
      const text = `${ip}/${prefix}`;
      const parsed = parseCidr(text);
      const read = decodeResult('1.1.0', { cniVersion: '1.1.0', ips: [{ address: text }] });
      expect(newestResult(read).ips).toEqual([{ address: parsed && formatCidr(parsed) }]);
    }),
  );
});

test('a converted result shares nothing with its source', () => {
  fc.assert(
    fc.property(withAddress, anyVersion, anyVersion, (result, from, to) => {
      const source = there(result, from);
      const untouched = structuredClone(source);
      if (from !== to) scribble(convertResult(source, to));
      scribble(newestResult(source));
      expect(source).toEqual(untouched);
    }),
  );
});

test('a result a plugin built is not changed by what happens to its versioned form', () => {
  fc.assert(
    fc.property(anyResult, (result) => {
      const untouched = structuredClone(result);
      scribble(versionedResult(result));
      expect(result).toEqual(untouched);
    }),
  );
});

test('converting to the version a result has already gives the same object', () => {
  const result = there({ ips: [{ address: '10.1.2.3/24' }] }, '0.4.0');
  expect(convertResult(result, '0.4.0')).toBe(result);
});

/** Overwrites every leaf of a value that the test owns. */
function scribble(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    scribble(inner);
    if (typeof inner !== 'object') Reflect.set(value, key, 'scribbled');
  }
  if (Array.isArray(value)) value.push('scribbled');
}
