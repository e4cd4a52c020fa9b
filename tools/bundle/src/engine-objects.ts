/** What is the same in every program that is built, compiled once: the engine's own C, and what makes bytecode. */
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { definitions } from '../../../packages/libc/src/internal/calls.ts';
import {
  type Cpu,
  compilerOf,
  freshFolder,
  gcc,
  hardening,
  ownCpu,
  quickJs,
  withoutFolder,
} from './quickjs.ts';
import { workspaceRoot } from './workspace.ts';

const engineFolder = join(workspaceRoot, 'packages/engine/src');

/** At fixed addresses and with libc in it: nothing is looked up or moved when a plugin starts. */
export const programOptions = [
  ...['-O2', ...hardening, '-static', '-no-pie'],
  ...['-Wall', '-Werror', '-Wno-cast-function-type'],
];

/** engine.c for `cpu`, as an object file. `largePagesFor`: as of `compile`. */
export function engineObject(cpu: Cpu, largePagesFor: string): Promise<string> {
  const name = largePagesFor ? [`-DLARGE_PAGES_FOR="${largePagesFor}"`] : [];
  return once(cpu, 'engine.o', [...programOptions, ...name, libcCalls], async (file, folder) => {
    const { source } = await quickJs(cpu);
    writeFileSync(join(folder, 'calls.inc'), libcCalls);
    const folders = [engineFolder, source, folder];
    await gcc(cpu, [
      ...programOptions,
      ...name,
      ...folders.map(withoutFolder),
      ...['-I', source, '-I', folder, '-c', join(engineFolder, 'engine.c'), '-o', file],
    ]);
  });
}

/** The program that makes bytecode of a script. That is the same for all processors we build for, so it is made here. */
export function bytecodeCompiler(): Promise<string> {
  const cpu = ownCpu();
  return once(cpu, 'compiler', [], async (file) => {
    const { source, objects } = await quickJs(cpu);
    const from = join(engineFolder, 'compiler.c');
    await gcc(cpu, ['-O2', '-I', source, from, ...objects, '-lm', '-o', file]);
  });
}

/** For engine.c: `CALL(‹name›, ‹how many parameters›)` for each function of libc that it gives to JavaScript. */
export const libcCalls = Object.entries(definitions)
  .map(([name, parameters]) => `CALL(${name}, ${parameters === '' ? 0 : parameters.split(' ').length})\n`)
  .join('');

/** A file of .cache that `make` makes, in a folder of its own, where none of the same sources and options is there. */
async function once(
  cpu: Cpu,
  name: string,
  how: readonly string[],
  make: (file: string, folder: string) => Promise<void>,
): Promise<string> {
  const inTree = (path: string) => relative(workspaceRoot, path);
  const { objects } = await quickJs(cpu);
  const sources = globSync('*.[ch]', { cwd: engineFolder }).sort();
  const hash = createHash('sha256').update([compilerOf(cpu), ...objects.map(inTree), ...how].join('\0'));
  for (const source of sources) hash.update('\0').update(readFileSync(join(engineFolder, source)));
  const kept = join(workspaceRoot, '.cache', `${cpu}-${hash.digest('hex').slice(0, 12)}-${name}`);
  if (existsSync(kept)) return kept;
  const folder = freshFolder();
  const file = join(folder, name);
  await make(file, folder);
  // In one step: others may make it at the same time.
  renameSync(file, kept);
  rmSync(folder, { recursive: true });
  return kept;
}
