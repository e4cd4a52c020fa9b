import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { link } from './link.ts';
import { workspaceRoot } from './workspace.ts';

const parts = { prelude: 'p.cjs', entry: 'a.cjs', prepared: ['d.cjs'] };

/** What the program says whose chunks are these, when it is run as the engine does, prepared or not. */
async function run(chunks: Record<string, string>, prepare = false): Promise<string[]> {
  const all = { 'p.cjs': '', 'd.cjs': 'say("d");', ...chunks };
  const list = Object.entries(all).map(([name, text]) => ({ name, text }));
  const scripts = link(list, parts);
  const said: string[] = [];
  const engine: { chunk(index: number): unknown; prepare?(): void; start?(): void } = {
    chunk: (index) => runInNewContext(scripts[index]?.text ?? '', global),
  };
  const global = { say: (...words: unknown[]) => void said.push(words.join(' ')), engine };
  engine.chunk(0);
  if (prepare) engine.prepare?.();
  engine.start?.();
  await new Promise((resolve) => setImmediate(resolve));
  return said;
}

test('chunks import from each other', async () => {
  const said = await run({
    'a.cjs': `import {\n  one,\n  b as two\n} from "./b.cjs";
import z from "./z.cjs";
import * as h from "./h.cjs";
say(one, two, z, h.two, h.$three);`,
    'b.cjs': `var one = 1, local = 2;\nexport {\n  one,\n  local as b\n};`,
    'z.cjs': `import "./h.cjs";\nimport { two } from "./h.cjs";\nexport default two + 1;`,
    'h.cjs': `say("h");\nvar two = 2, c = 3;\nexport { two, c as $three };`,
  });
  expect(said).toEqual(['h', '1 2 3 2 3']);
});

test('a chunk is evaluated when it is needed for the first time, and once', async () => {
  const said = await run({
    'a.cjs': `var again = () => import("./b.cjs");
say("start");
again().then(({ x }) => again().then((b) => say(b.x === x, __require("./z.cjs").default, $r("./z.cjs").default)));`,
    'b.cjs': `say("b");\nvar x = {};\nexport { x };`,
    'c.cjs': `say("nobody needs c");`,
    'z.cjs': `say("z");\nexport default 7;`,
  });
  expect(said).toEqual(['start', 'b', 'z', 'true 7 7']);
});

test('what is prepared is evaluated before the call, and the prelude before everything', async () => {
  const chunks = { 'p.cjs': 'say("p");', 'a.cjs': 'import "./d.cjs";\nsay("a");' };
  expect(await run(chunks, true)).toEqual(['p', 'd', 'a']);
  expect(await run({ ...chunks, 'a.cjs': 'say("a");' }, false)).toEqual(['p', 'a']);
});

test('an entry that exports what to run is run by the call', async () => {
  const text = 'say("evaluated");\nvar go = () => say("runs");\nexport { go as run };';
  expect(await run({ 'a.cjs': text })).toEqual(['evaluated', 'runs']);
});

test('what it does not know is an error, not a program that breaks when it runs', () => {
  const linked = (text: string) => () =>
    link(
      [
        { name: 'a.cjs', text },
        { name: 'p.cjs', text: '' },
      ],
      { ...parts, prepared: [] },
    );
  expect(linked('export * from "./b.cjs";')).toThrow('what to make of: export * from "./b.cjs";');
  expect(linked('import { readFileSync } from "node:fs";')).toThrow(
    'a.cjs needs node:fs, which the engine does not have',
  );
  expect(linked('import("node:fs");')).toThrow('a.cjs needs node:fs');
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
