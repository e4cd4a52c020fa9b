/** `npm run build [-- --target x64|arm64]`: dist/js has each plugin and the tool as a file for Node 26, dist/bin has
 *  all of them as one compiled program under their own names (dist/bin-‹target› for another processor). */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { compile, installAs, isCpu } from './executable.ts';
import { bundleMulticall, bundlePath } from './javascript.ts';
import { writeRegistry } from './registry.ts';
import { rehearse } from './rehearsal.ts';
import { hasSource, packages, pluginFolders, workspaceRoot } from './workspace.ts';

const started = performance.now();
const { values } = parseArgs({ options: { target: { type: 'string', default: process.arch } } });
const cpu = values.target;
if (!isCpu(cpu)) throw new Error(`--target ${cpu}: must be x64 or arm64`);

writeRegistry();
const projects = packages().filter(
  ({ folder, manifest }) => manifest.nx?.targets?.build && existsSync(join(folder, 'src/main.ts')),
);
say(`bundling ${projects.length} packages to dist/js`);
const names = projects.map(({ project }) => project).join(',');
const bundled = await execa('nx', ['run-many', '-t', 'build', '-p', names, '--outputStyle=stream'], {
  cwd: workspaceRoot,
  preferLocal: true,
  all: true,
  reject: false,
  env: { NX_TUI: 'false', FORCE_COLOR: '0' },
});
if (bundled.exitCode !== 0) {
  process.stderr.write(`${bundled.all}\n`);
  throw new Error('a package could not be bundled: see above');
}
for (const { folder } of projects)
  say(`  ${size(join(workspaceRoot, bundlePath(folder)))}  ${bundlePath(folder)}`);

const bin = join(workspaceRoot, cpu === process.arch ? 'dist/bin' : `dist/bin-${cpu}`);
const work = join(workspaceRoot, 'dist/work');
mkdirSync(work, { recursive: true });
say(`compiling the multi-call program for ${cpu}`);
const chunks = join(work, 'chunks');
const program = join(work, `multicall-${cpu}`);
await bundleMulticall(chunks);
await compile(chunks, program, cpu);
const all = [
  'cnitool',
  ...pluginFolders()
    .filter(hasSource)
    .map(({ name }) => name),
];
if (cpu === process.arch) {
  const trial = join(work, 'bin');
  installAs(all, program, trial);
  const records = await rehearse(trial, join(work, 'records'));
  if (records.length) await compile(chunks, program, cpu, records);
  else
    say(
      '  could not rehearse calls in namespaces of their own: the bytecode stays in the order of the source',
    );
}
const programSize = size(program);
installAs(all, program, bin);
rmSync(work, { recursive: true });
say(`  ${programSize}  ${relative(workspaceRoot, bin)}/{${all.join(',')}} (one file, ${all.length} names)`);
say(`built in ${((performance.now() - started) / 1000).toFixed(1)} s`);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function size(file: string): string {
  const bytes = statSync(file).size;
  return bytes < 1e6
    ? `${Math.round(bytes / 1e3)} kB`.padStart(7)
    : `${Math.round(bytes / 1e6)} MB`.padStart(7);
}
