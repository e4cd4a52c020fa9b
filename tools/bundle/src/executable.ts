import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { alignSegments, writeInLargePages } from './large-pages.ts';
import { workspaceRoot } from './workspace.ts';

/** A processor the executables can be built for, as Node names it in process.arch. */
export type Cpu = 'x64' | 'arm64';

/** The compiler, and the engine that becomes part of each executable. Plain registry packages with a program inside. */
const bunPackages: Record<Cpu, string> = {
  x64: '@oven/bun-linux-x64-baseline', // no AVX2 needed: runs on every x86-64 machine
  arm64: '@oven/bun-linux-aarch64',
};

export function isCpu(text: string): text is Cpu {
  return Object.hasOwn(bunPackages, text);
}

/** CommonJS files of one folder, main.cjs the first, as one new executable, `file`, for `cpu`. `records`: of what calls
 *  of the program used (rehearsal.ts). */
export async function compile(
  folder: string,
  file: string,
  cpu: Cpu,
  records: readonly string[] = [],
  root: string = workspaceRoot,
): Promise<void> {
  if (!isCpu(process.arch)) throw new Error(`the compiler runs on x64 and arm64, not on ${process.arch}`);
  const compiler = engineOf(process.arch, root);
  if (!existsSync(compiler)) throw new Error(`${compiler} is missing: run \`npm ci\``);
  const options = [
    '--compile',
    '--target=bun',
    '--format=cjs',
    '--external=node:ffi',
    // They require each other at run time: bundled into one they would be loaded as one.
    '--external=./*',
    // A plugin is started in whatever directory the runtime is in; files found there must not change what it does.
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    // Measured on a program with two plugins: without bytecode 14 ms to the answer, with it 5.8, minified as well
    // 5.6. A plugin lives for milliseconds: compiling to machine code put off by this factor saves another.
    '--bytecode',
    '--minify',
    '--compile-jit-policy=16',
    ...(records.length ? [`--bytecode-order=${records.join(',')}`] : []),
    ...(cpu === process.arch ? [] : [`--compile-executable-path=${await fetchEngine(cpu, root)}`]),
  ];
  const others = readdirSync(folder).filter((name) => name.endsWith('.cjs') && name !== 'main.cjs');
  const unaligned = `${file}.unaligned`;
  await execa(compiler, ['build', ...options, 'main.cjs', ...others.sort(), `--outfile=${unaligned}`], {
    cwd: folder,
    stderr: 'pipe',
    stdout: 'pipe',
  });
  writeInLargePages(file, alignSegments(readFileSync(unaligned)));
  rmSync(unaligned);
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

/** The file of the engine, which is the compiler as well, that npm installed. */
export function engineOf(cpu: Cpu, root: string = workspaceRoot): string {
  return join(root, 'node_modules', bunPackages[cpu], 'bin/bun');
}

/** The engine for another processor: npm installs only this machine's, so it is fetched once, in the same version. */
async function fetchEngine(cpu: Cpu, root: string): Promise<string> {
  const installed = engineOf(cpu, root);
  if (existsSync(installed)) return installed;
  const manifest: { optionalDependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const version = manifest.optionalDependencies[bunPackages[cpu]];
  const folder = join(root, '.cache', `bun-${cpu}-${version}`);
  const program = join(folder, 'package/bin/bun');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    const { stdout } = await execa('npm', ['pack', '--silent', `${bunPackages[cpu]}@${version}`], {
      cwd: folder,
    });
    await execa('tar', ['-xzf', stdout.trim()], { cwd: folder });
    rmSync(join(folder, stdout.trim()));
  }
  return program;
}
