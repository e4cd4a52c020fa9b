import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { definitions } from '../../../packages/libc/src/internal/calls.ts';
import type { Script } from './link.ts';
import { type Cpu, gcc, ownCpu, quickJs, strip } from './quickjs.ts';
import { workspaceRoot } from './workspace.ts';

const engineFolder = join(workspaceRoot, 'packages/engine/src');

/**
 * The scripts of a program (link.ts) as one executable, `file`, for `cpu`: the engine with their bytecode in it. It
 * needs nothing of the host but the kernel. `work`: a folder for what is only needed meanwhile. `prepared`: what is the
 * same for every call is done now, where the program can be run. `largePageFor`: the name by which it is called when
 * that is to lie in one large page (engine.c has both).
 */
export async function compile(
  scripts: readonly Script[],
  file: string,
  cpu: Cpu,
  work: string,
  { prepared = true, largePageFor = '' } = {},
): Promise<void> {
  mkdirSync(work, { recursive: true });
  const paths = scripts.map(({ text }, index) => {
    const path = join(work, `${index}.js`);
    writeFileSync(path, text);
    return path;
  });
  await execa(await bytecodeCompiler(work), paths);
  writeFileSync(
    join(work, 'chunks.inc'),
    scripts.map(({ name }, index) => `CHUNK(${JSON.stringify(name)}, chunk${index})\n`).join(''),
  );
  writeFileSync(
    join(work, 'chunks.S'),
    `.section .rodata\n${paths.map((path, index) => dataOf(`chunk${index}`, `${path}.bytecode`)).join('')}${noStack}`,
  );
  writeFileSync(
    join(work, 'calls.inc'),
    Object.entries(definitions)
      .map(([name, parameters]) => `CALL(${name}, ${parameters === '' ? 0 : parameters.split(' ').length})\n`)
      .join(''),
  );
  const { source, objects } = await quickJs(cpu);
  // At fixed addresses and with libc in it: nothing is looked up or moved when a plugin starts.
  const options = ['-O2', '-static', '-no-pie', '-Wall', '-Werror', '-Wno-cast-function-type'];
  const engine = join(work, 'engine.o');
  const includes = ['-I', source, '-I', work];
  const names = largePageFor ? [`-DLARGE_PAGES_FOR="${largePageFor}"`] : [];
  await gcc(cpu, [...options, ...includes, ...names, '-c', join(engineFolder, 'engine.c'), '-o', engine]);
  const linked = async (name: string, arena: string): Promise<string> => {
    const assembly = join(work, `${name}.S`);
    writeFileSync(assembly, arena);
    const program = join(work, name);
    const parts = [engine, join(work, 'chunks.S'), assembly, ...objects, '-lm'];
    await gcc(cpu, [...options, `-Wl,--section-start=.arena=${arenaAddress}`, ...parts, '-o', program]);
    return program;
  };
  let program = await linked('unprepared', arenaOf('%nobits', `.space ${arenaSize}`));
  if (prepared && cpu === process.arch) {
    const memory = join(work, 'memory');
    await execa(program, ['--prepare', memory]);
    const unprepared = await addresses(program);
    program = await linked('prepared', arenaOf('%progbits', `.incbin "${memory}"\n.balign 4096`));
    if ((await addresses(program)) !== unprepared) {
      throw new Error(
        'the linker put the prepared program elsewhere: what refers to addresses would be wrong',
      );
    }
  }
  await strip(cpu, program, file);
}

/** Where what is prepared lies: far from everything else in a program of a few megabytes. */
const arenaAddress = '0x10000000';
const arenaSize = 16 * 2 ** 20;

function arenaOf(type: '%nobits' | '%progbits', content: string): string {
  return `.section .arena, "aw", ${type}
.balign 4096
.global arena_start, arena_end
arena_start:
${content}
arena_end:
${noStack}`;
}

/** Says that the code needs no executable stack. */
const noStack = '.section .note.GNU-stack, "", %progbits\n';

/** All symbols of a program with their addresses, but for the end of what is prepared. */
async function addresses(program: string): Promise<string> {
  const { stdout } = await execa('nm', [program]);
  return stdout
    .split('\n')
    .filter((line) => !line.endsWith(' arena_end'))
    .map((line) => line.replace(/ \w /, ' '))
    .join('\n');
}

function dataOf(symbol: string, file: string): string {
  return `.balign 8\n.global ${symbol}_start, ${symbol}_end\n${symbol}_start: .incbin "${file}"\n${symbol}_end:\n`;
}

/** Bytecode is the same for all processors we build for, so it is made here. */
async function bytecodeCompiler(work: string): Promise<string> {
  const cpu = ownCpu();
  const { source, objects } = await quickJs(cpu);
  const compiler = join(work, 'compiler');
  await gcc(cpu, ['-O2', '-I', source, join(engineFolder, 'compiler.c'), ...objects, '-lm', '-o', compiler]);
  return compiler;
}

/** Puts `file` into `folder` under every name, as hard links: they cost no space, and all are the same program to the
 *  page cache. Each name changes in one step, so a plugin can be called meanwhile. Other names are removed. */
export function installAs(names: readonly string[], file: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of names) {
    const fresh = join(folder, `.${name}.new`);
    rmSync(fresh, { force: true });
    linkSync(file, fresh);
    renameSync(fresh, join(folder, name));
  }
  for (const entry of readdirSync(folder)) if (!names.includes(entry)) rmSync(join(folder, entry));
  rmSync(file, { force: true });
}
