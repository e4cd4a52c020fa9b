/**
 * QuickJS, the engine of the compiled program, from the source package of the distribution: fetched once, checked
 * against what is pinned here, patched, and compiled once for each processor. All of it lies in .cache.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { applyPatch } from './patch.ts';
import { workspaceRoot } from './workspace.ts';

/** A processor the executables can be built for, as Node names it in process.arch. */
export type Cpu = 'x64' | 'arm64';

/** A return address that was overwritten ends the program. */
export const hardening = ['-fstack-protector-strong'];
/** Of the interpreter itself only functions with arrays of bytes look: all that -strong means would be three in a hundred
 *  instructions. */
const hardeningOf: Record<string, readonly string[]> = { quickjs: ['-fstack-protector'] };
/** What a call uses little or not at all: expressions, Unicode, numbers as text. */
const small = '-Os';

/** The upstream source, as it is in Debian's source package. The distribution's own patches come with whatever revision
 *  of the package a suite has; apt vouches for those. */
const pinned = {
  version: '2025.04.26',
  file: 'quickjs_2025.04.26.orig.tar.xz',
  sha256: 'ec81da5b3249ed648dbc7df4a1654988910e66a118d9b71cb63534216efcfbbe',
};
export const quickJsVersion = pinned.version;
/** Where it is looked for, in this order: a suite moves on, and the next still has it. */
const suites = ['trixie', 'forky', 'sid'];
/** Ours, after the distribution's. */
const ownPatches = join(workspaceRoot, 'packages/engine/patches');

const sources = ['quickjs', 'cutils', 'dtoa', 'libregexp', 'libunicode'];
// -O3 makes it a quarter larger, for 3 of 100 instructions. Tables for unwinding are of use to C++ and to debuggers. Each
// function is a section of its own, so that a program goes without those that it cannot reach, as the whole parser.
const options = [
  '-O2',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-asynchronous-unwind-tables',
  '-fno-unwind-tables',
  '-fwrapv',
  '-D_GNU_SOURCE',
  '-DCONFIG_VERSION="2025-04-26"',
];

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

/** What this process has asked for already: builds for two processors go on side by side. */
const engines = new Map<Cpu, Promise<QuickJs>>();
let sourceFolder: Promise<string> | undefined;

/** The engine for `cpu`, built now if it is not there yet. */
export function quickJs(cpu: Cpu): Promise<QuickJs> {
  const engine = engines.get(cpu) ?? builtEngine(cpu);
  engines.set(cpu, engine);
  return engine;
}

async function builtEngine(cpu: Cpu): Promise<QuickJs> {
  sourceFolder ??= fetchSource();
  const source = await sourceFolder;
  // By what is compiled and how, not by where: what is compiled is the same in every folder.
  const how = [...options, small, hardening, JSON.stringify(hardeningOf), withoutFolder('')];
  const key = createHash('sha256')
    .update([basename(source), compilerOf(cpu), ...how].join())
    .digest('hex')
    .slice(0, 12);
  const folder = join(workspaceRoot, '.cache', `quickjs-${cpu}-${key}`);
  if (!existsSync(folder)) {
    const fresh = freshFolder();
    await Promise.all(
      sources.map((name) =>
        gcc(cpu, [
          ...options,
          ...(name === 'quickjs' ? [] : [small]),
          ...(hardeningOf[name] ?? hardening),
          withoutFolder(source),
          '-c',
          join(source, `${name}.c`),
          '-o',
          join(fresh, `${name}.o`),
        ]),
      ),
    );
    moveInto(fresh, folder);
  }
  return { source, objects: sources.map((name) => join(folder, `${name}.o`)) };
}

/** The C compiler for `cpu`; on a machine of another processor it links glibc, else musl. */
export function compilerOf(cpu: Cpu): string {
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

/** Option for gcc that keeps the folder out of what is compiled: assertions have the names of their files. */
export function withoutFolder(folder: string): string {
  return `-ffile-prefix-map=${folder}=.`;
}

/** Writes the program without symbols. */
export async function strip(cpu: Cpu, program: string, file: string): Promise<void> {
  const own = cpu === process.arch;
  await execa(own ? 'strip' : compilers[cpu].replace(/gcc$/, 'strip'), ['--strip-all', '-o', file, program]);
}

/** The unpacked source, patched. */
async function fetchSource(): Promise<string> {
  const own = patchesIn(ownPatches);
  const key = createHash('sha256').update(pinned.sha256).update(own.join('\0')).digest('hex').slice(0, 12);
  const folder = join(workspaceRoot, '.cache', `quickjs-source-${key}`);
  if (existsSync(folder)) return folder;
  const fresh = freshFolder();
  const { archive, packaging } = await download(fresh);
  const found = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (found !== pinned.sha256)
    throw new Error(`${pinned.file} is not what is pinned: its SHA-256 is ${found}`);
  const unpacked = join(fresh, 'source');
  await unpack(archive, unpacked);
  if (packaging !== undefined) {
    const debian = join(fresh, 'debian');
    await unpack(packaging, debian);
    for (const patch of patchesIn(join(debian, 'patches'))) applyPatch(unpacked, patch);
  }
  for (const patch of own) applyPatch(unpacked, patch);
  moveInto(unpacked, folder);
  rmSync(fresh, { recursive: true });
  return folder;
}

async function unpack(archive: string, folder: string): Promise<void> {
  mkdirSync(folder);
  await execa('tar', ['-xf', archive, '--strip-components=1', '-C', folder]);
}

/** The texts of a folder's patches, in the order that its `series` gives. */
function patchesIn(folder: string): string[] {
  const series = join(folder, 'series');
  if (!existsSync(series)) return [];
  return readFileSync(series, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s/)[0] ?? '')
    .filter((name) => name !== '')
    .map((name) => readFileSync(join(folder, name), 'utf8'));
}

interface Downloaded {
  readonly archive: string;
  /** The distribution's part of the package; undefined for a source that was put into .cache by hand. */
  readonly packaging: string | undefined;
}

/** From the first suite that has the pinned version; one in .cache is taken before. */
async function download(fresh: string): Promise<Downloaded> {
  const kept = join(workspaceRoot, '.cache', pinned.file);
  if (existsSync(kept)) return { archive: kept, packaging: undefined };
  const failures: string[] = [];
  for (const suite of suites) {
    const folder = join(fresh, suite);
    mkdirSync(folder);
    try {
      const revision = await fromSuite(suite, folder);
      if (revision !== undefined)
        return { archive: join(folder, pinned.file), packaging: debianPart(folder) };
      failures.push(`${suite} has another version`);
    } catch (cause) {
      failures.push(`${suite}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  const what = `the source of QuickJS ${pinned.version} could not be fetched from Debian`;
  throw new Error(
    `${what}: is the package archive reachable? Where it has it no more, put ${pinned.file} into .cache. ${failures.join('; ')}`,
  );
}

/** Fetches the package from a suite; the revision, or undefined where it has another version. */
async function fromSuite(suite: string, folder: string): Promise<string | undefined> {
  const lists = join(folder, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  writeFileSync(join(folder, 'quickjs.sources'), sourcesOfSuite(suite));
  const apt = [
    ...['-qq', '-o', `Dir::Etc::sourceparts=${folder}`, '-o', 'Dir::Etc::sourcelist=/dev/null'],
    ...['-o', `Dir::State::Lists=${lists}`, '-o', 'Dir::Cache::pkgcache=', '-o', 'Dir::Cache::srcpkgcache='],
    ...['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3', '-o', 'Acquire::Languages=none'],
  ];
  const run = { cwd: folder, env: { LC_ALL: 'C' } };
  await execa('apt-get', [...apt, 'update'], run);
  const { stdout } = await execa('apt-cache', [...apt, 'showsrc', 'quickjs'], run);
  const revisions = [...stdout.matchAll(/^Version: (.*)$/gm)].map(([, version = '']) => version);
  const revision = revisions.find((one) => one.replace(/-[^-]*$/, '') === pinned.version);
  if (revision === undefined) return undefined;
  await execa('apt-get', [...apt, 'source', '--download-only', `quickjs=${revision}`], run);
  return revision;
}

function debianPart(folder: string): string {
  const name = readdirSync(folder).find((one) => /\.debian\.tar\.\w+$/.test(one));
  if (name === undefined)
    throw new Error(`the source package in ${folder} has no patches of the distribution`);
  return join(folder, name);
}

/** The machine's own package source, for source packages of a suite. */
function sourcesOfSuite(name: string): string {
  const [deb822, lines] = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];
  const suite = `Suites: ${name}`;
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

/** A folder of .cache for what is being made. */
export function freshFolder(): string {
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
