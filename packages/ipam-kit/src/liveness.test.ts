import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCidr } from '@cni-ts/address/cidr';
import { formatIp } from '@cni-ts/address/ip';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Folder } from './folder-store.ts';
import { livenessOf, livenessText } from './liveness.ts';
import { rangeSets } from './ranges.ts';

let dir: string;
const before = process.env.CNI_CACHE_DIR;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'liveness-'));
  process.env.CNI_CACHE_DIR = dir;
  for (const folder of ['results', 'net']) mkdirSync(join(dir, folder));
});
afterEach(() => {
  if (before === undefined) delete process.env.CNI_CACHE_DIR;
  else process.env.CNI_CACHE_DIR = before;
  rmSync(dir, { recursive: true });
});

const [set] = rangeSets([[{ subnet: parseCidr('10.0.0.0/29') }]], '1.0.0');
const reserve = (address: string, id: string) => writeFileSync(join(dir, 'net', address), `${id}\r\neth0`);
const remember = (id: string, netns: string) =>
  writeFileSync(join(dir, 'results', `net-${id}-eth0`), JSON.stringify({ kind: 'cniCacheV1', netns }));
const told = () =>
  livenessText(livenessOf(new Folder(join(dir, 'net'), undefined).peek(), set!, 'net'), 'net');

test('who holds an address lives while a namespace is at the path that the runtime remembers', () => {
  expect(formatIp(set![0]!.end)).toBe('10.0.0.6');
  reserve('10.0.0.2', 'living');
  reserve('10.0.0.3', 'gone');
  reserve('10.0.0.4', 'nobody');
  reserve('10.0.1.9', 'outside');
  remember('living', '/proc/self/ns/net');
  remember('gone', '/run/netns/that-never-was');
  expect(told()).toBe(
    '. Used are 1 live, 1 whose network namespace is gone, 1 of attachments that nobody remembers: 1 stale; ' +
      '"cnitool ipam show net" tells which, "cnitool gc net --stale --yes" releases them',
  );
});

test('where all live the range is too small, which is said', () => {
  reserve('10.0.0.2', 'living');
  remember('living', '/proc/self/ns/net');
  expect(told()).toBe(
    '. Used are 1 live; "cnitool ipam show net" tells which, and the network needs a larger range',
  );
});

test('where nothing is known nothing is said', () => {
  reserve('10.0.0.2', 'nobody');
  expect(told()).toBe('');
});
