import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verbs } from '@cni-ts/cli/verbs';
import { expect, test } from 'vitest';
import { manualFile, manualPageText, writeManualPage } from './manual-page.ts';

test('the page has every command with its options and examples, and no hidden one', () => {
  const page = manualPageText().replaceAll('\\-', '-').replaceAll('\\(aq', "'").replaceAll('\\(ti', '~');
  for (const [name, verb] of Object.entries(verbs)) {
    if (verb.hidden) {
      expect(page).not.toContain(name);
      continue;
    }
    expect(page).toContain(`\n.SS ${name}`);
    for (const { name: option } of verb.options ?? []) expect(page).toContain(`--${option}`);
    for (const { call } of verb.examples ?? []) expect(page).toContain(`\n${call.replaceAll('\\', '\\e')}\n`);
  }
});

test('is of the release, so that it is the same whenever it is built', () => {
  expect(manualPageText()).toBe(manualPageText());
  expect(manualPageText('# C\n\n## 7.8.9 (2001-02-03)\n')).toContain(
    '.TH CNITOOL 8 "2001-02-03" "cni\\-ts 7.8.9"',
  );
  const root = mkdtempSync(join(tmpdir(), 'cni-man-'));
  writeManualPage(root);
  expect(readFileSync(join(root, manualFile), 'utf8')).toBe(manualPageText());
  rmSync(root, { recursive: true });
});

test('every line is one that man(7) takes: none begins with a dot or quote that is meant as text', () => {
  const requests = /^\.(TH|SH|SS|PP|TP|B|BR|br|RS|RE|nf|fi|\\")( |$)/;
  const odd = manualPageText()
    .split('\n')
    .filter((line) => /^[.']/.test(line) && !requests.test(line));
  expect(odd).toEqual([]);
});

const has = (program: string) => existsSync(`/usr/bin/${program}`);
for (const program of ['mandoc', 'man']) {
  if (!has(program)) process.stderr.write(`skipped: ${program} is not there (apt-get install ${program})\n`);
}

test.skipIf(!has('mandoc'))('mandoc finds nothing to say against it', () => {
  const { stdout, status } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
    input: manualPageText(),
    encoding: 'utf8',
  });
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
});

test.skipIf(!has('man'))('man shows it', () => {
  const root = mkdtempSync(join(tmpdir(), 'cni-man-'));
  writeManualPage(root);
  const shown = execFileSync('man', ['-l', '--warnings', join(root, manualFile)], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '80', MAN_KEEP_FORMATTING: '', LC_ALL: 'C.UTF-8' },
  });
  rmSync(root, { recursive: true });
  expect(shown).toMatch(/CNITOOL\(8\)\s+System Administration\s+CNITOOL\(8\)/);
  expect(shown).toContain('cnitool gc web --keep c1/eth0 c2/eth0');
});
