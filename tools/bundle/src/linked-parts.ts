/**
 * Everything in a compiled program that is not ours, with its version and its licence: for who hands the program on. The
 * npm packages are those that the bundler took code from; engine and C library are what the build fetched and linked.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '@cni-ts/setup/command-line';
import { execa } from 'execa';
import type { Program } from './javascript.ts';
import { foreignPackages } from './licences.ts';
import { type Cpu, compilerOf, quickJs, quickJsVersion } from './quickjs.ts';
import { workspaceRoot } from './workspace.ts';

export interface Part {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly licence: string;
  /** The text of its licence; undefined where it asks for no copy beside the program. */
  readonly text: string | undefined;
  /** What it is in the program. */
  readonly role: string;
  /** As a package URL. */
  readonly purl: string;
}

/** The parts of `program` as it is compiled for `cpu` on this machine, by name. Throws a Failure where one cannot be told. */
export async function linkedParts(program: Pick<Program, 'sources'>, cpu: Cpu): Promise<Part[]> {
  const parts = [...npmParts(program), await engine(cpu), await cLibrary(cpu), await compilerLibrary(cpu)];
  return parts.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function npmParts({ sources }: Pick<Program, 'sources'>): Part[] {
  return foreignPackages(sources, workspaceRoot).map(({ name, file }) => {
    const { version, license } = JSON.parse(readFileSync(join(dirname(file), 'package.json'), 'utf8'));
    const purl = `pkg:npm/${name.replace(/^@/, '%40')}@${version}`;
    const text = readFileSync(file, 'utf8');
    return { name, version, licence: license, text, role: 'npm package in the program’s script', purl };
  });
}

async function engine(cpu: Cpu): Promise<Part> {
  const { source } = await quickJs(cpu);
  return {
    name: 'quickjs',
    version: quickJsVersion,
    licence: 'MIT',
    text: readFileSync(join(source, 'LICENSE'), 'utf8'),
    role: 'JavaScript engine, with the patches of Debian and of packages/engine/patches',
    purl: `pkg:deb/debian/quickjs@${quickJsVersion}?arch=source`,
  };
}

/** musl for a processor like this machine's, glibc for another (quickjs.ts). */
async function cLibrary(cpu: Cpu): Promise<Part> {
  const own = cpu === process.arch;
  const name = own ? 'musl' : 'glibc';
  const from = own ? 'musl-dev' : `libc6-dev-${cpu === 'arm64' ? 'arm64' : 'amd64'}-cross`;
  const file = `/usr/share/doc/${own ? from : 'libc6'}/copyright`;
  if (!existsSync(file))
    throw new Failure(`${file} is missing: the licence of ${name} goes with every program`);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is dpkg's template
  const format = '--showformat=${Version}';
  const { stdout: version, failed } = await execa('dpkg-query', ['--show', format, from], { reject: false });
  if (failed) throw new Failure(`dpkg knows no ${from}: the version of ${name} cannot be told`);
  return {
    name,
    version,
    licence: own ? 'MIT' : 'LGPL-2.1-or-later',
    text: readFileSync(file, 'utf8'),
    role: 'C library, linked statically',
    purl: `pkg:deb/debian/${from}@${encodeURIComponent(version)}`,
  };
}

async function compilerLibrary(cpu: Cpu): Promise<Part> {
  const { stdout: version } = await execa(compilerOf(cpu), ['-dumpfullversion']);
  return {
    name: 'libgcc',
    version,
    licence: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    text: undefined,
    role: 'support functions of the compiler, linked statically',
    purl: `pkg:generic/libgcc@${version}`,
  };
}
