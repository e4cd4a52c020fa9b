/**
 * QuickJS, the engine of the compiled program, from the source package of the distribution: fetched once, checked
 * against what is pinned here, and compiled once for each processor. All of it lies in .cache.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { workspaceRoot } from './workspace.ts';

/** A processor the executables can be built for, as Node names it in process.arch. */
export type Cpu = 'x64' | 'arm64';

/** Debian's source package: suite, version, and SHA-256 of the upstream source in it. */
const pinned = {
  suite: 'trixie',
  version: '2025.04.26-1',
  file: 'quickjs_2025.04.26.orig.tar.xz',
  sha256: 'ec81da5b3249ed648dbc7df4a1654988910e66a118d9b71cb63534216efcfbbe',
};

const sources = ['quickjs', 'cutils', 'dtoa', 'libregexp', 'libunicode'];
const options = ['-O3', '-fwrapv', '-D_GNU_SOURCE', '-DCONFIG_VERSION="2025-04-26"'];

/**
 * For this machine with musl: a program with glibc in it asks the processor for its properties before anything else,
 * which in a virtual machine takes longer (0.3 ms) than the rest of its start. For another processor with glibc, since
 * Debian has cross compilers for no other libc.
 */
const compilers: Record<Cpu, string> = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' };
const ownCompiler = 'musl-gcc';

export function isCpu(text: string): text is Cpu {
  return Object.hasOwn(compilers, text);
}

/** The processor this machine has. */
export function ownCpu(): Cpu {
  const { arch } = process;
  if (!isCpu(arch)) throw new Error(`the build runs on x64 and arm64, not on ${arch}`);
  return arch;
}

export interface QuickJs {
  /** Folder with quickjs.h and the licence. */
  readonly source: string;
  /** Object files of the engine. */
  readonly objects: readonly string[];
}

/** The engine for `cpu`, built now if it is not there yet. */
export async function quickJs(cpu: Cpu): Promise<QuickJs> {
  const source = await fetchSource();
  const key = createHash('sha256')
    .update([pinned.sha256, compilerOf(cpu), ...options].join())
    .digest('hex')
    .slice(0, 12);
  const folder = join(workspaceRoot, '.cache', `quickjs-${cpu}-${key}`);
  if (!existsSync(folder)) {
    const fresh = freshFolder();
    await Promise.all(
      sources.map((name) =>
        gcc(cpu, [...options, '-c', join(source, `${name}.c`), '-o', join(fresh, `${name}.o`)]),
      ),
    );
    moveInto(fresh, folder);
  }
  return { source, objects: sources.map((name) => join(folder, `${name}.o`)) };
}

function compilerOf(cpu: Cpu): string {
  return cpu === process.arch ? ownCompiler : compilers[cpu];
}

/** Runs the C compiler for `cpu`. Its own words are in the error when it fails. */
export async function gcc(cpu: Cpu, args: readonly string[]): Promise<void> {
  const own = cpu === process.arch;
  const { failed, code, stderr } = await execa(compilerOf(cpu), args, { reject: false });
  if (code === 'ENOENT') {
    const names = own ? 'gcc musl-tools' : `gcc-${cpu === 'arm64' ? 'aarch64' : 'x86-64'}-linux-gnu`;
    const library = own ? '' : ` libc6-dev-${cpu === 'arm64' ? 'arm64' : 'amd64'}-cross`;
    throw new Error(`building for ${cpu} needs a C compiler: apt-get install ${names}${library}`);
  }
  if (failed) throw new Error(`the C compiler failed:\n${stderr}`);
}

/** Writes the program without symbols. */
export async function strip(cpu: Cpu, program: string, file: string): Promise<void> {
  const own = cpu === process.arch;
  await execa(own ? 'strip' : compilers[cpu].replace(/gcc$/, 'strip'), ['--strip-all', '-o', file, program]);
}

/** The unpacked source. */
async function fetchSource(): Promise<string> {
  const folder = join(workspaceRoot, '.cache', `quickjs-${pinned.sha256.slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const fresh = freshFolder();
  const lists = join(fresh, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  writeFileSync(join(fresh, 'quickjs.sources'), sourcesOfSuite());
  const apt = [
    ...['-qq', '-o', `Dir::Etc::sourceparts=${fresh}`, '-o', 'Dir::Etc::sourcelist=/dev/null'],
    ...['-o', `Dir::State::Lists=${lists}`, '-o', 'Dir::Cache::pkgcache=', '-o', 'Dir::Cache::srcpkgcache='],
    ...['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3', '-o', 'Acquire::Languages=none'],
  ];
  const run = { cwd: fresh, env: { LC_ALL: 'C' } };
  try {
    await execa('apt-get', [...apt, 'update'], run);
    await execa('apt-get', [...apt, 'source', '--download-only', `quickjs=${pinned.version}`], run);
  } catch (cause) {
    const what = `the source of QuickJS ${pinned.version} (Debian ${pinned.suite}) could not be fetched`;
    throw new Error(
      `${what}: is the package archive reachable? ${cause instanceof Error ? cause.message : ''}`,
      {
        cause,
      },
    );
  }
  const archive = join(fresh, pinned.file);
  const found = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (found !== pinned.sha256)
    throw new Error(`${pinned.file} is not what is pinned: its SHA-256 is ${found}`);
  const unpacked = join(fresh, 'source');
  mkdirSync(unpacked);
  await execa('tar', ['-xf', archive, '--strip-components=1', '-C', unpacked]);
  moveInto(unpacked, folder);
  rmSync(fresh, { recursive: true });
  return folder;
}

/** The machine's own package source, for source packages of the suite that has the engine. */
function sourcesOfSuite(): string {
  const [deb822, lines] = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];
  const suite = `Suites: ${pinned.suite}`;
  if (existsSync(deb822)) {
    const stanza = readFileSync(deb822, 'utf8')
      .split(/\n\s*\n/)
      .find((text) => /^Types:.*\bdeb\b/m.test(text) && !text.includes('security'));
    if (stanza) return stanza.replace(/^Types:.*$/m, 'Types: deb-src').replace(/^Suites:.*$/m, suite);
  }
  const archive = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s/m.exec(
    existsSync(lines) ? readFileSync(lines, 'utf8') : '',
  );
  if (!archive)
    throw new Error(`no Debian package source in ${deb822} or ${lines}: the engine comes from there`);
  return `Types: deb-src\nURIs: ${archive[1]}\n${suite}\nComponents: main\n`;
}

function freshFolder(): string {
  mkdirSync(join(workspaceRoot, '.cache'), { recursive: true });
  return mkdtempSync(join(workspaceRoot, '.cache', 'fresh-'));
}

/** In one step; who was faster wins. */
function moveInto(fresh: string, folder: string): void {
  try {
    renameSync(fresh, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(fresh, { recursive: true });
  }
}
