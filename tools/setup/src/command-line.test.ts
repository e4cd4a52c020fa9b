import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');

/** Calls a command's program as its script in package.json does, without what with-tools does before. */
function call(script: string, ...args: string[]) {
  const { scripts } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));
  const line = String(scripts[script]).replace(/^.*--for \w+ node /, '');
  return spawnSync(process.execPath, [...line.split(' '), ...args], { cwd: root, encoding: 'utf8' });
}

test.for([
  ['build', ['--taget', 'arm64'], 'npm run build: there is no option --taget (what there is: --target)'],
  ['build', ['--target', 'vax'], 'npm run build: --target vax: must be x64 or arm64'],
  ['build', ['--target'], 'npm run build: --target needs a value after it'],
  ['build', ['arm64'], 'npm run build: arm64 is not an option (what there is: --target)'],
  ['demo', ['--fast'], 'npm run demo: there is no option --fast (it has none)'],
  ['test', ['tets'], 'npm test: no stage is called tets: there are lint, types, build'],
  ['test', ['--watch'], 'npm test: there is no option --watch (it has none)'],
  ['fresh', [], 'npm run fresh: which release? npm run fresh -- bookworm|trixie'],
  ['fresh', ['sid'], 'npm run fresh: no release is called sid: there are bookworm, trixie'],
  ['fresh', ['trixie', 'tets'], 'npm run fresh: no stage is called tets: there are demo, lint, types'],
  ['bench', ['--round', '3'], 'npm run bench: there is no option --round (what there is: --only, --rounds'],
  ['bench', ['--rounds', 'many'], 'npm run bench: --rounds many: must be a whole number'],
  ['bench', ['--only', 'brigde'], 'npm run bench: no scenario is called brigde: there are version, bridge'],
  ['bench', ['--ours', '/nonexistent'], 'npm run bench: /nonexistent has no plugins: npm run build'],
  ['bench', ['--theirs', '/nonexistent'], 'npm run bench: --theirs /nonexistent: there is no such folder'],
  ['bench', ['--json', '/nonexistent/out.json'], 'npm run bench: --json /nonexistent/out.json: there is no'],
] as const)('%s %j is refused in one sentence with exit status 2', ([script, args, sentence]) => {
  const { status, stdout, stderr } = call(script, ...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr.trimEnd()).toContain(sentence);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('what with-tools does not know is refused before anything is installed', () => {
  const { status, stderr } = spawnSync(
    'bash',
    [resolve(root, 'tools/setup/with-tools'), '--for', 'tset', 'true'],
    {
      encoding: 'utf8',
    },
  );
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: 'setup: --for tset: must be build, bench, demo, cluster, test, fresh or lint\n',
  });
});
