/** CONTRIBUTING.md, followed to the letter in a copy of the workspace. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { changed, stepsOf } from './contributing.ts';
import { copyWorkspace, removeCopy } from './workspace-copy.ts';

const page = readFileSync(join(workspaceRoot, 'CONTRIBUTING.md'), 'utf8');

// A build, the tests of a plugin, and a chain: half a minute on a quiet machine.
test('who does what stands in CONTRIBUTING.md has a plugin that works in a chain', {
  timeout: 240_000,
}, async ({ onTestFinished }) => {
  const [clone, ...steps] = stepsOf(page);
  expect(clone, 'a clone and an installation come first, which the copy stands for').toMatchObject({
    text: expect.stringMatching(/^git clone .*\nnpm run setup\n$/),
  });
  const root = copyWorkspace();
  onTestFinished(() => removeCopy(root));
  let said = '';
  for (const step of steps) {
    if (step.kind === 'change') {
      const file = join(root, step.file);
      writeFileSync(file, changed(readFileSync(file, 'utf8'), step));
      continue;
    }
    const { exitCode, all } = await execa('bash', ['-e', '-c', step.text], {
      cwd: root,
      all: true,
      reject: false,
      extendEnv: false,
      // As somebody has it who has just cloned: none of the workspace's own programs.
      env: { HOME: root, PATH: outsidePath(), NX_TUI: 'false', FORCE_COLOR: '0' },
    });
    expect(exitCode, `${step.text}\n${all}`).toBe(0);
    said += all;
  }
  expect(said).toMatch(/ip daddr 10\.22\.0\.3 tcp dport 25 drop/);
  expect(said.match(/^hello$/gm), 'port 80 is reached, port 25 is not').toHaveLength(1);
  expect(said).toMatch(/^nothing reaches port 25$/m);
});

function outsidePath(): string {
  const folders = (process.env.PATH ?? '').split(':');
  return folders.filter((folder) => !folder.endsWith('node_modules/.bin')).join(':');
}

test('the attribute table that it shows is one that there is', () => {
  const [, shown = ''] = page.match(/```ts\n([\s\S]*?)```/) ?? [];
  const source = readFileSync(join(workspaceRoot, 'packages/rtnetlink/src/kinds/macvlan.ts'), 'utf8');
  const lines = shown.trim().split('\n');
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.filter((line) => !source.includes(line))).toEqual([]);
});

test.for([
  ['```diff\nx\n-a\n+b\n```', 'a diff begins with a line "# path/of/the/file", not with "x"'],
  ['```diff\n# a.ts\n a\n```', 'a diff of a.ts changes nothing'],
] as const)('a block that cannot be followed is told: %#', ([block, sentence]) => {
  expect(() => stepsOf(block)).toThrow(sentence);
});

test('a change is made where its text stands once, and nowhere else', () => {
  const [step] = stepsOf('```diff\n# a.ts\n one\n-two\n+2\n```\n');
  if (step?.kind !== 'change') throw new Error('no change was read');
  expect(changed('one\ntwo\nthree\n', step)).toBe('one\n2\nthree\n');
  expect(() => changed('one\ntwo\none\ntwo\n', step)).toThrow('a.ts has 2 times, and should have once');
  expect(() => changed('three\n', step)).toThrow('a.ts has 0 times');
});
