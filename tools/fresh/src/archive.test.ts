import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sourcesFor, sourcesText } from './archive.ts';

let apt: string;
beforeEach(() => {
  apt = mkdtempSync(join(tmpdir(), 'cni-apt-'));
  mkdirSync(join(apt, 'sources.list.d'));
});
afterEach(() => rmSync(apt, { recursive: true }));

const put = (name: string, text: string) => writeFileSync(join(apt, name), text);

test('the archives of this machine are those of the other release', () => {
  put(
    'sources.list.d/debian.sources',
    `Types: deb
# a comment
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb
URIs: http://archive.example/debian-security
Suites: bookworm-security
Components: main
`,
  );
  expect(sourcesFor('trixie', 'bookworm', apt)).toEqual([
    { uri: 'http://archive.example/debian', suites: ['trixie', 'trixie-updates'] },
    { uri: 'http://archive.example/debian-security', suites: ['trixie-security'] },
  ]);
  expect(sourcesFor('bookworm', 'bookworm', apt)[0]?.suites).toEqual(['bookworm', 'bookworm-updates']);
  expect(sourcesText(sourcesFor('trixie', 'bookworm', apt))).toContain(
    'URIs: http://archive.example/debian\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: /usr/',
  );
});

test('archives of others, and those that are switched off, are left out', () => {
  put(
    'sources.list',
    `# deb http://old.example/debian bookworm main
deb [arch=amd64] http://archive.example/debian bookworm main
deb-src http://archive.example/debian bookworm main
deb http://archive.example/debian bookworm-backports main
deb [signed-by=/usr/share/keyrings/other.gpg] http://other.example/linux bookworm main
deb http://other.example/cloud cloud-bookworm main
`,
  );
  put(
    'sources.list.d/other.sources',
    'Types: deb\nURIs: http://x.example\nSuites: bookworm\nComponents: main\nSigned-By: /x.gpg\n\n' +
      'Types: deb\nURIs: http://y.example\nSuites: bookworm\nComponents: main\nEnabled: no\n',
  );
  put('sources.list.d/off.list.disabled', 'deb http://z.example/debian bookworm main\n');
  expect(sourcesFor('trixie', 'bookworm', apt)).toEqual([
    { uri: 'http://archive.example/debian', suites: ['trixie'] },
  ]);
});

test('a machine without archives of Debian’s is told so', () => {
  put('sources.list', 'deb http://archive.example/ubuntu noble main\n');
  expect(() => sourcesFor('trixie', 'noble', apt)).not.toThrow();
  expect(() => sourcesFor('trixie', 'bookworm', apt)).toThrow(
    /names no archive of Debian's packages for bookworm/,
  );
});
