import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundleMulticall, bundleTool, sourcesOfBundles } from './javascript.ts';
import { foreignPackages, licenceName } from './licences.ts';
import { packages, workspaceRoot } from './workspace.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cni-licences-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function install(name: string, ...files: string[]): void {
  const folder = join(root, 'node_modules', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, license: 'MIT' }));
  for (const file of files) writeFileSync(join(folder, file), 'the text');
}

test('every package with code in a bundle is told, once, with the file of its licence', () => {
  install('zod', 'LICENSE');
  install('@scope/kit', 'licence.md');
  install('zod/node_modules/inner', 'COPYING');
  const sources = [
    ...['packages/address/src/cidr.ts', 'node_modules/zod/v4/mini.js', 'node_modules/zod/v4/core.js'],
    ...['node_modules/@scope/kit/index.js', 'node_modules/zod/node_modules/inner/a.js', 'cni-ts:zod'],
  ];
  expect(foreignPackages(sources, root)).toEqual([
    { name: '@scope/kit', file: join(root, 'node_modules/@scope/kit/licence.md') },
    { name: 'inner', file: join(root, 'node_modules/zod/node_modules/inner/COPYING') },
    { name: 'zod', file: join(root, 'node_modules/zod/LICENSE') },
  ]);
  expect(licenceName({ name: '@scope/kit', file: '' })).toBe('scope-kit');
});

test('one without a licence that could be handed on ends the build', () => {
  install('bare');
  expect(() => foreignPackages(['node_modules/bare/index.js'], root)).toThrow(
    "bare (MIT) is in the bundles and has no file with its licence's text",
  );
});

test('zod is in the programs and in the plugins’ JavaScript files', async () => {
  const names = (sources: string[]) => foreignPackages(sources, workspaceRoot).map(({ name }) => name);
  for (const { sources } of [await bundleMulticall(), await bundleTool()]) {
    expect(names([...sources])).toContain('zod');
  }
  const bridge = packages().find(({ project }) => project === 'bridge');
  expect(names(await sourcesOfBundles([bridge!.folder]))).toContain('zod');
});
