import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { compile } from './executable.ts';
import { bundleForEngine } from './javascript.ts';
import { gcc, ownCpu, quickJs } from './quickjs.ts';
import { workspaceRoot } from './workspace.ts';

const folder = mkdtempSync(join(tmpdir(), 'engine-'));
const engineSources = join(workspaceRoot, 'packages/engine/src');
afterAll(() => rmSync(folder, { recursive: true }));

async function program(source: string): Promise<string> {
  const name = source.replace(/\W/g, '-');
  const file = join(folder, name);
  await compile(await bundleForEngine(source), file, ownCpu(), join(folder, `${name}.work`));
  return file;
}

/** A program of these lines. */
function lines(name: string, text: string): Promise<string> {
  const source = join(folder, `${name}.ts`);
  writeFileSync(source, text);
  return program(source);
}

/** Bytes that are UTF-8, nearly, or not at all; the same in every run. */
function samples(): Uint8Array[] {
  let state = 1;
  const random = (end: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
  const characters = ['a', 'ä', '€', '😀', '\ufeff', '\0', '\ud7ff', '\u{10ffff}'];
  const mixed = Array.from({ length: 400 }, () => {
    const bytes = [...Buffer.from(Array.from({ length: random(12) }, () => characters[random(8)]).join(''))];
    for (let times = random(3); times > 0; times--)
      bytes.splice(random(bytes.length + 1), random(2), random(256));
    return Uint8Array.from(bytes);
  });
  const long = [111, 112, 127, 128, 129, 240, 5000].map((length) => new Uint8Array(length).fill(97));
  return [...mixed, ...long].filter((bytes) => bytes.length > 0);
}

test('text and hashes are what they are everywhere', async () => {
  const probe = await program(fileURLToPath(new URL('fixtures/engine-probe.ts', import.meta.url)));
  const given = samples();
  const input = given.map((bytes) => Buffer.from(bytes).toString('hex')).join('\n');
  const answers = JSON.parse(execFileSync(probe, { input, encoding: 'utf8' }));
  const units = (text: string) => Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
  expect(answers).toEqual(
    given.map((bytes) => {
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      return {
        decoded: units(text),
        marked: units(new TextDecoder().decode(bytes)),
        encoded: [...new TextEncoder().encode(text.slice(1))],
        hash: createHash('sha512').update(text).digest('hex'),
      };
    }),
  );
});

test('an error that nobody catches is told and is status 1, thrown at once or later', async () => {
  const thrown = spawnSync(await lines('thrown', 'throw new Error("no way");'), { encoding: 'utf8' });
  expect(thrown).toMatchObject({ status: 1, stderr: expect.stringContaining('Error: no way') });
  const later =
    'void (async () => { await null; throw new Error("later"); })(); setTimeout(() => {}, 60_000);';
  const rejected = spawnSync(await lines('rejected', later), { encoding: 'utf8' });
  expect(rejected).toMatchObject({ status: 1, stderr: expect.stringContaining('Error: later') });
  const caught =
    'void (async () => { try { await Promise.reject(new Error("x")); } catch {} process.exit(7); })();';
  expect(spawnSync(await lines('caught', caught)).status).toBe(7);
});

test('timers run in their order, and the program ends after the last', async () => {
  const text = `const say = (text) => process.stdout.write(text);
setTimeout(() => say('c'), 30); setTimeout(() => say('b'), 10); setImmediate(() => say('a'));
clearTimeout(setTimeout(() => say('never'), 20)); process.exitCode = 3;`;
  expect(spawnSync(await lines('timers', text), { encoding: 'utf8' })).toMatchObject({
    status: 3,
    stdout: 'abc',
  });
});

test('chance and time are those of the call, not of the build', async () => {
  const file = await lines(
    'chance',
    'process.stdout.write([Math.random(), process.env.WHO, process.argv[2]].join(" "));',
  );
  const call = (who: string) =>
    execFileSync(file, [`${who}!`], { env: { WHO: who }, encoding: 'utf8' }).split(' ');
  const [[first, ...one], [second, ...two]] = [call('one'), call('two')];
  expect(first).not.toBe(second);
  expect([one, two]).toEqual([
    ['one', 'one!'],
    ['two', 'two!'],
  ]);
});

describe('what a source must not do when it is evaluated, since all calls would share it', () => {
  test.for([
    ['chance', 'Math.random();', 'chance asked for while the program is prepared'],
    ['the time', 'performance.now();', 'the time asked for while the program is prepared'],
    ['a date', 'new Date();', 'Date asked for while a source is evaluated'],
    ['the date as a number', 'Date.now();', 'Date asked for while a source is evaluated'],
    ['the kernel', 'process.pid;', 'getpid asked for while the program is prepared'],
    ['the environment', 'process.env.HOME;', 'the environment asked for while the program is prepared'],
    ['the command line', 'process.argv;', 'the command line asked for while the program is prepared'],
    ['a block that is not in the arena', 'globalThis.kept = new Uint8Array(200_000);', 'more than 128 KiB'],
  ])('%s', async ([what = '', text = '', why = '']) => {
    const name = what.replaceAll(' ', '-');
    const prelude = (await bundleForEngine(join(engineSources, 'prelude.ts'))).script.split(
      'engine.start = ',
    )[0];
    const script = `${prelude}engine.start = () => {};\n${text}\n`;
    const built = compile({ script }, join(folder, name), ownCpu(), join(folder, `${name}.work`));
    await expect(built).rejects.toThrow(why);
  });

  test('a large block that is let go is none', async () => {
    const file = await lines('large', 'process.stdout.write(String(new Uint8Array(200_000).length));');
    expect(execFileSync(file, { encoding: 'utf8' })).toBe('200000');
  });
});

test('two builds give the same bytes', async () => {
  const { script } = await bundleForEngine(
    fileURLToPath(new URL('fixtures/engine-probe.ts', import.meta.url)),
  );
  const built = await Promise.all(
    ['once', 'twice'].map(async (name) => {
      await compile({ script }, join(folder, name), ownCpu(), join(folder, `${name}.work`));
      return readFileSync(join(folder, name));
    }),
  );
  expect(built[0]?.equals(built[1] ?? new Uint8Array())).toBe(true);
});

test('memory of all sizes keeps what is in it', async () => {
  const { source } = await quickJs(ownCpu());
  const file = join(folder, 'memory-test');
  await gcc(ownCpu(), [
    '-O1',
    '-g',
    '-D_GNU_SOURCE',
    '-I',
    source,
    join(engineSources, 'memory-test.c'),
    '-o',
    file,
  ]);
  expect(execFileSync(file, { encoding: 'utf8' })).toBe('ok\n');
});
