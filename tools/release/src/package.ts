/**
 * `npm run package [-- --into ‹folder›]`: everything a release consists of, into dist/release. The archives of both
 * processors, each with its bill of materials; the container image; the packages for Node; and the checksums of each.
 * Built from the sources alone: in another folder, and on another day, the same bytes come out.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isCpu } from '@cni-ts/bundle/quickjs';
import { writeRegistry } from '@cni-ts/bundle/registry';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { commandLine } from '@cni-ts/setup/command-line';
import { during } from '@cni-ts/setup/progress';
import { writeArchive } from './archive.ts';
import { billOfMaterials } from './bill-of-materials.ts';
import { triedText, tryPlugins } from './emulated.ts';
import { writeImage } from './image.ts';
import { layOut, packAll } from './node-packages.ts';
import { type Built, build } from './programs.ts';
import { currentRelease } from './release-notes.ts';
import { writeChecksums } from './tar.ts';

const { values } = commandLine('npm run package', {
  options: { into: { type: 'string', default: join(workspaceRoot, 'dist/release') } },
});
const into = resolve(values.into);
const say = (line: string) => void process.stdout.write(`${line}\n`);

const started = performance.now();
const release = currentRelease();
mkdirSync(into, { recursive: true });
for (const name of packed()) rmSync(join(into, name));
const work = mkdtempSync(`${into}.work-`);
try {
  writeRegistry();
  say('building for x64 and arm64');
  const cpus = ['x64', 'arm64'].filter(isCpu);
  const building = Promise.all(cpus.map((cpu) => build(cpu, join(work, cpu))));
  const all = await during('building', building, say);
  await during('packing', Promise.all([...all.map(archive), image(all), forNode()]), say);
  for (const built of all.filter(({ cpu }) => cpu !== process.arch)) {
    say(`what is for ${built.cpu}, in an emulator; whatever it does not do there is not tried at all:`);
    for (const line of triedText(tryPlugins(built, archiveFolder(built)))) say(line);
  }
} finally {
  rmSync(work, { recursive: true });
}
for (const name of packed()) {
  writeChecksums(join(into, name));
  say(`${(statSync(join(into, name)).size / 1e6).toFixed(3).padStart(8)} MB  ${name}`);
}
say(`packed in ${((performance.now() - started) / 1000).toFixed(1)} s`);

/** What is in the folder of this release or another; whatever else lies there is somebody's. */
function packed(): string[] {
  return readdirSync(into)
    .filter((name) => /^cni-ts-.+\.(tgz|tar|cdx\.json)(\.sha\d+)?$/.test(name))
    .sort();
}

function archiveFolder({ cpu }: Built): string {
  return join(work, `archive-${cpu}`);
}

async function archive(built: Built): Promise<void> {
  const file = await writeArchive(built, release, into, archiveFolder(built));
  writeFileSync(file.replace(/\.tgz$/, '.cdx.json'), billOfMaterials(file, built, release));
}

async function image(all: readonly Built[]): Promise<void> {
  await writeImage(all, release, into, join(work, 'image'));
}

async function forNode(): Promise<void> {
  await packAll(await layOut(join(work, 'node')), into);
}
