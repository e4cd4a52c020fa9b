/** `npm run build [-- --target x64|arm64]`: dist/js has each plugin and the tool as a file for Node 26; dist/bin has the
 *  plugins as one compiled program under their own names, and the tool as another (dist/bin-‹target› for another
 *  processor). */
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { commandLine, Failure, refuse } from '@cni-ts/setup/command-line';
import { during } from '@cni-ts/setup/progress';
import { writeCodePages } from './code-pages.ts';
import { writeSchemas } from './config-schemas.ts';
import { installAs } from './executable.ts';
import { bundlePackages, bundlePath } from './javascript.ts';
import { foreignPackages, licenceName } from './licences.ts';
import { manualFile, writeManualPage } from './manual-page.ts';
import { bundlePrograms, compilePrograms, otherNames, pluginNames, toolName } from './programs.ts';
import { type Cpu, isCpu, quickJs } from './quickjs.ts';
import { writeRegistry } from './registry.ts';
import { packages, workspaceRoot } from './workspace.ts';

const started = performance.now();
const command = 'npm run build';
const { values } = commandLine(command, { options: { target: { type: 'string', default: process.arch } } });
const cpu = values.target;
if (!isCpu(cpu)) refuse(command, `--target ${cpu}: must be x64 or arm64`);

writeRegistry();
writeCodePages();
const projects = packages().filter(
  ({ folder, manifest }) => manifest.nx?.targets?.build && existsSync(join(folder, 'src/main.ts')),
);
say(`bundling ${projects.length} packages to dist/js`);
// What is wrong with it esbuild has said.
const bundled = await bundlePackages(projects.map(({ folder }) => folder)).catch((cause: unknown) => {
  throw new Failure('a package could not be bundled', { cause });
});
for (const { folder } of projects)
  say(`  ${size(join(workspaceRoot, bundlePath(folder)))}  ${bundlePath(folder)}`);

const bin = join(workspaceRoot, cpu === process.arch ? 'dist/bin' : `dist/bin-${cpu}`);
const work = join(workspaceRoot, 'dist/work');
say(`  ${await writeSchemas()} files in dist/schemas`);
const scripts = await bundlePrograms();
writeManualPage();
say(`  ${manualFile}`);
say(`the engine for ${cpu} (fetched and compiled the first time)`);
await during('the engine', quickJs(cpu), say);
say(`compiling the plugins' program and ${toolName} for ${cpu}`);
const compiling = compilePrograms(scripts, join(workspaceRoot, 'dist'), cpu, work);
const { plugins, tool } = await during('compiling', compiling, say);
rmSync(work, { recursive: true });
const sizes = { plugins: size(plugins), tool: size(tool) };
installAs(
  [
    { file: plugins, names: [...pluginNames, ...otherNames] },
    { file: tool, names: [toolName] },
  ],
  bin,
);
await copyLicences(cpu);
const shown = relative(workspaceRoot, bin);
say(`  ${sizes.plugins}  ${shown}/{${pluginNames.join(',')}} (one file, ${pluginNames.length} names)`);
say(`  ${sizes.tool}  ${shown}/${toolName} (with all plugins)`);
say(`built in ${((performance.now() - started) / 1000).toFixed(1)} s`);

/** Ours, and those of what is part of the programs beside our sources. */
async function copyLicences(target: Cpu): Promise<void> {
  const folder = join(workspaceRoot, 'dist/licences');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(workspaceRoot, 'LICENSE'), join(folder, 'cni-ts'));
  const all = [...bundled, ...scripts.plugins.sources, ...scripts.tool.sources];
  for (const one of foreignPackages(all, workspaceRoot))
    copyFileSync(one.file, join(folder, licenceName(one)));
  copyFileSync(join((await quickJs(target)).source, 'LICENSE'), join(folder, 'quickjs'));
  for (const [name, file] of [
    ['musl', '/usr/share/doc/musl-dev/copyright'],
    ['glibc', '/usr/share/doc/libc6/copyright'],
  ] as const) {
    if ((name === 'musl') === (target === process.arch) && existsSync(file))
      copyFileSync(file, join(folder, name));
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function size(file: string): string {
  const bytes = statSync(file).size;
  return bytes < 1e6
    ? `${Math.round(bytes / 1e3)} kB`.padStart(7)
    : `${(bytes / 1e6).toFixed(1)} MB`.padStart(7);
}
