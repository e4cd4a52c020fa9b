import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { peersVersion } from './peers.ts';

let root: string;
let plugins: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cni-peers-'));
  plugins = join(root, 'usr/lib/cni');
  mkdirSync(plugins, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

/** A program that says this of itself, with what Go's linker leaves in its own. */
function program(says: string, built = '\xff Go buildinf:\x08\x02 \x08go1.26.5\0'): void {
  writeFileSync(join(plugins, 'bridge'), `#!/bin/sh\necho '${says}' >&2\nexit 0\n${built}`, 'latin1');
  chmodSync(join(plugins, 'bridge'), 0o755);
}

test('the version of a package is that of its changelog, for the program does not know it', () => {
  program('CNI bridge plugin version unknown');
  const documents = join(root, 'usr/share/doc/containernetworking-plugins');
  mkdirSync(documents, { recursive: true });
  const changelog = 'containernetworking-plugins (1.9.1+ds1-2) unstable; urgency=medium\n\n  * …\n';
  writeFileSync(join(documents, 'changelog.Debian.gz'), gzipSync(changelog));
  expect(peersVersion(plugins)).toBe('Go plugins 1.9.1+ds1-2 (go1.26.5)');
});

test('another folder’s is what its plugins say', () => {
  program('CNI bridge plugin v1.7.1');
  expect(peersVersion(plugins)).toBe('Go plugins 1.7.1 (go1.26.5)');
});

test('what no Go compiler made is not called so', () => {
  program('CNI plugin bridge v0.1.0', '');
  expect(peersVersion(plugins)).toBe(`plugins 0.1.0 in ${plugins}`);
});
