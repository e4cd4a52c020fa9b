import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { link } from './link.ts';
import { workspaceRoot } from './workspace.ts';

const folder = mkdtempSync(join(tmpdir(), 'cni-link-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(chunk: string): string | undefined {
  if (chunk === 'h.cjs') return undefined;
  return chunk === 'z.cjs' ? 'z.cjs' : 'a.cjs';
}

/** What the program prints whose chunks are these, a.cjs the first, h.cjs a helper, z.cjs in a file of its own. */
function run(chunks: Record<string, string>): string {
  const list = Object.entries(chunks).map(([name, text]) => ({ name, text }));
  const files = link(list, 'a.cjs', fileOf);
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
  return execFileSync(process.execPath, [join(folder, 'a.cjs')], { encoding: 'utf8' });
}

test('chunks import from each other, across files as well, and from the engine', () => {
  const output = run({
    'a.cjs': `import {\n  one,\n  b as two\n} from "./b.cjs";
import path, { sep } from "node:path";
import * as url from "node:url";
import { three } from "./z.cjs";
console.log(one, two, three, path.sep === sep, typeof url.parse);`,
    'b.cjs': `var one = 1, local = 2;\nexport {\n  one,\n  local as b\n};`,
    'z.cjs': `import "./h.cjs";\nimport { two } from "./h.cjs";\nvar three = two + 1;\nexport { three };`,
    'h.cjs': `console.log("h");\nvar two = 2;\nexport { two };`,
  });
  expect(output).toBe('h\n1 2 3 true function\n');
});

test('a chunk is evaluated when it is needed for the first time, and once', () => {
  const output = run({
    'a.cjs': `var again = () => import("./b.cjs");
console.log("start");
again().then(({ x }) => again().then((b) => console.log(b.x === x, __require("./z.cjs").default)));`,
    'b.cjs': `console.log("b");\nvar x = {};\nexport { x };`,
    'c.cjs': `console.log("nobody needs c");`,
    'z.cjs': `export default 7;`,
  });
  expect(output).toBe('start\nb\ntrue 7\n');
});

test('what it does not know is an error, not a program that breaks when it runs', () => {
  const chunk = { name: 'a.cjs', text: 'export * from "./b.cjs";' };
  expect(() => link([chunk], 'a.cjs', fileOf)).toThrow('what to make of: export * from "./b.cjs";');
});

test('another file cannot have anything of the first: a compiled program does not find that again', () => {
  const chunks = [
    { name: 'a.cjs', text: 'import { two } from "./z.cjs";' },
    { name: 'z.cjs', text: 'import { one } from "./b.cjs";' },
    { name: 'b.cjs', text: 'var one = 1;\nexport { one };' },
  ];
  expect(() => link(chunks, 'a.cjs', fileOf)).toThrow('z.cjs needs b.cjs, which is in a.cjs');
});

/** Importers take what a chunk exports when it was evaluated: a variable that changes later would not be seen. */
test('no source exports a variable that can change', () => {
  const sources = globSync('packages/**/src/**/*.ts', { cwd: workspaceRoot });
  expect(sources.length).toBeGreaterThan(100);
  const changing = sources.filter((file) =>
    /^export (let|var) /m.test(readFileSync(join(workspaceRoot, file), 'utf8')),
  );
  expect(changing).toEqual([]);
});
