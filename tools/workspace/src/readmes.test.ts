/** Every package says in a README what it is for and how it is used, and the code in it is right. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packages, workspaceRoot } from '@cni-ts/bundle/workspace';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const readmes = packages().map(({ path, project, folder }) => {
  const file = join(folder, 'README.md');
  return { path, project, text: existsSync(file) ? readFileSync(file, 'utf8') : '' };
});

test.each(readmes)('$path has a README with a use of it', ({ path, text }) => {
  expect(text, `write ${path}/README.md: what the package is for, and one use in a block of code`).toMatch(
    /^# \S.*\n[\s\S]*^```/m,
  );
});

test('the TypeScript in READMEs fits the sources', async ({ onTestFinished }) => {
  const cache = join(workspaceRoot, '.cache');
  mkdirSync(cache, { recursive: true });
  // In the workspace, so that its packages are found.
  const folder = mkdtempSync(join(cache, 'readmes-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const files = readmes.flatMap(({ project, text }) =>
    [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = ''], i) => {
      writeFileSync(join(folder, `${project}-${i}.ts`), `${code}export {};\n`);
      return project;
    }),
  );
  expect(files.length).toBeGreaterThan(10);
  const config = { extends: '../../tsconfig.base.json', include: ['*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const { exitCode, stdout } = await execa('tsc', ['--noEmit', '-p', folder], {
    cwd: workspaceRoot,
    preferLocal: true,
    localDir: workspaceRoot,
    reject: false,
  });
  expect(exitCode, stdout).toBe(0);
});

test.each(readmes)('$path names no file that is not there', ({ path, text }) => {
  const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
  expect(links.filter((link) => !existsSync(join(workspaceRoot, path, link)))).toEqual([]);
});
