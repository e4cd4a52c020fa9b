import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { bytecodeCompiler, engineObject, programOptions } from './engine-objects.ts';
import type { Program } from './javascript.ts';
import { type Cpu, gcc, quickJs, strip } from './quickjs.ts';
import { readManifest, workspaceRoot } from './workspace.ts';

/** A program (javascript.ts), and the file it is to be compiled to. */
export interface Compiled extends Pick<Program, 'script'> {
  readonly file: string;
}

/**
 * A program as one executable, `file`, for `cpu`: the engine with all that its script makes when it is evaluated. It
 * needs nothing of the host but the kernel. `work`: a folder for what is only needed meanwhile. `largePagesFor`: the name
 * by which it is called when what is prepared is to lie in one large page (engine.c has both).
 */
export async function compile(
  { script }: Pick<Program, 'script'>,
  file: string,
  cpu: Cpu,
  work: string,
  options: { largePagesFor?: string } = {},
): Promise<void> {
  await compileTogether([{ script, file }], cpu, work, options);
}

/**
 * Programs of one build, as `compile` makes each: with one engine, and with one mark, by which each takes a file of
 * another for what it could do itself (`isThisProgram`). So a plugin in one must be the same as in the others.
 */
export async function compileTogether(
  programs: readonly Compiled[],
  cpu: Cpu,
  work: string,
  { largePagesFor = '' } = {},
): Promise<void> {
  mkdirSync(work, { recursive: true });
  const [compiler, engine] = [await bytecodeCompiler(), await engineObject(cpu, largePagesFor)];
  const scripts = programs.map(({ script, file }) => {
    const folder = join(work, basename(file));
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'program.js');
    writeFileSync(path, script);
    return { path, folder, file };
  });
  const { objects } = await quickJs(cpu);
  const made = [...scripts.map(({ path }) => path), engine, ...objects];
  const { version } = readManifest(workspaceRoot);
  const mark = markOf(version, buildOf(made, [cpu, ...programOptions]));
  const link = async (assembly: string, program: string): Promise<void> => {
    // The bytecode comes last: the prepared program goes without it, and all else stays where it is.
    const sections = [
      '-Wl,--wrap=gettimeofday',
      '-Wl,--gc-sections',
      `-Wl,--section-start=.arena=${arenaAddress}`,
      `-Wl,--section-start=.bytecode=${bytecodeAddress}`,
    ];
    await gcc(cpu, [...programOptions, ...sections, engine, assembly, ...objects, '-lm', '-o', program]);
  };
  await Promise.all(
    scripts.map(async ({ path, folder, file }) => {
      await execa(compiler, [path]);
      await prepared(path, folder, file);
    }),
  );

  async function prepared(path: string, folder: string, file: string): Promise<void> {
    const bytecode = `.balign 8\n.global program_start, program_end\nprogram_start: .incbin "${path}.bytecode"\nprogram_end:\n`;
    const linked = async (name: string, arena: string): Promise<string> => {
      const assembly = join(folder, `${name}.S`);
      writeFileSync(assembly, arena);
      const program = join(folder, name);
      await link(assembly, program);
      return program;
    };
    const first = await linked(
      'unprepared',
      arenaOf('%nobits', `.space ${arenaSize}`) + bytecodeOf(bytecode) + mark,
    );
    const memory = join(folder, 'memory');
    await execa(...runOn(cpu, first, ['--prepare', memory]));
    const second = await linked(
      'prepared',
      arenaOf('%progbits', `.incbin "${memory}"\n.balign 4096`) +
        bytecodeOf('.global program_start, program_end\nprogram_start: .byte 0\nprogram_end:\n') +
        mark,
    );
    if ((await addresses(second)) !== (await addresses(first))) {
      throw new Error(
        'the linker put the prepared program elsewhere: what refers to addresses would be wrong',
      );
    }
    await strip(cpu, second, file);
  }
}

/** A program for `cpu` as a command: of another processor than this machine's it is emulated. */
export function runOn(cpu: Cpu, program: string, args: string[]): [string, string[]] {
  return cpu === process.arch ? [program, args] : [emulators[cpu], [program, ...args]];
}

/** Names a build by all that goes into it, in the 32 characters that engine.c has room for: two programs of one name
 *  do the same. */
function buildOf(files: readonly string[], options: readonly string[]): string {
  const hash = createHash('sha256').update(options.join('\0'));
  for (const file of files) hash.update('\0').update(readFileSync(file));
  return hash.digest('hex').slice(0, 32);
}

/** Where what is prepared lies: far from everything else in a program of a few megabytes. */
const arenaAddress = '0x10000000';
const arenaSize = 16 * 2 ** 20;
/** What is read when the program is prepared and never again. */
const bytecodeAddress = '0x20000000';

/** Debian's qemu-user. */
const emulators: Record<Cpu, string> = { x64: 'qemu-x86_64', arm64: 'qemu-aarch64' };

export function arenaOf(type: '%nobits' | '%progbits', content: string): string {
  return `.section .arena, "aw", ${type}
.balign 4096
.global arena_start, arena_end
arena_start:
${content}
arena_end:
${noStack}`;
}

export function bytecodeOf(content: string): string {
  return `.section .bytecode, "a", %progbits\n${content}${noStack}`;
}

/** `struct mark` of engine.c: three texts, each in 32 bytes, the last of them empty. */
export function markOf(version: string, build: string): string {
  const texts = [`cni-ts program v${version}`, build, ''];
  const room = texts.map((text) => `.ascii "${text.padEnd(32, '\0').replaceAll('\0', '\\0')}"\n`);
  return `.section .mark, "a", %progbits\n.global mark\nmark:\n${room.join('')}`;
}

/** Says that the code needs no executable stack. */
const noStack = '.section .note.GNU-stack, "", %progbits\n';

/** All symbols of a program with their addresses, but for the ends of what differs. */
async function addresses(program: string): Promise<string> {
  const { stdout } = await execa('nm', [program]);
  return (
    stdout
      .split('\n')
      // `$x` and `$d` say where code and data are, in programs for arm64.
      .filter((line) => !/ (?:arena_end|program_end|\$.*)$/.test(line))
      .map((line) => line.replace(/ \w /, ' '))
      .join('\n')
  );
}

/** Puts each file into `folder` under its names, as hard links: they cost no space, and all are the same program to the
 *  page cache. Each name changes in one step, so a plugin can be called meanwhile. Other names are removed. */
export function installAs(
  programs: readonly { readonly file: string; readonly names: readonly string[] }[],
  folder: string,
): void {
  mkdirSync(folder, { recursive: true });
  for (const { file, names } of programs) {
    for (const name of names) {
      const fresh = join(folder, `.${name}.new`);
      rmSync(fresh, { force: true });
      linkSync(file, fresh);
      renameSync(fresh, join(folder, name));
    }
    rmSync(file, { force: true });
  }
  const all = programs.flatMap(({ names }) => names);
  for (const entry of readdirSync(folder)) if (!all.includes(entry)) rmSync(join(folder, entry));
}
