import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findingCodes } from '@cni-ts/spec/finding-codes';
import { expect, test } from 'vitest';
import { codePages, codesFolder } from './code-pages.ts';
import { workspaceRoot } from './workspace.ts';

test('docs/codes has the pages of the table, and no others: `npm run build` writes them', () => {
  const folder = join(workspaceRoot, codesFolder);
  expect(readdirSync(folder).sort()).toEqual([...codePages().keys()].sort());
  for (const [name, text] of codePages()) expect(readFileSync(join(folder, name), 'utf8'), name).toBe(text);
});

test.each(Object.entries(findingCodes))('%s is told in whole sentences', (code, { title, ...sentences }) => {
  expect(code).toMatch(/^CNI[1-4]\d{3}$/);
  expect(title).toMatch(/^[A-Zc].*[^.]$/);
  for (const sentence of Object.values(sentences)) expect(sentence).toMatch(/[.?]$/);
});

test('every code is found by something', () => {
  const sources = globSync('packages/**/src/**/*.ts', { cwd: workspaceRoot })
    .filter((file) => !file.endsWith('.test.ts') && !file.endsWith('/finding-codes.ts'))
    .map((file) => readFileSync(join(workspaceRoot, file), 'utf8'))
    .join('');
  expect(Object.keys(findingCodes).filter((code) => !sources.includes(`'${code}'`))).toEqual([]);
});
