/**
 * The archive that is unpacked into /opt/cni/bin: flat, of root, with the members' names of the reference's
 * (`./bridge`), so that `tar -xz ./bridge` finds them.
 *
 * Each name is a whole file. As hard links they would take a tenth of the space in the archive, but whoever unpacks some
 * of them (kind's images do) would get links to a file that is not there, and whoever copies another plugin over one
 * would write into all. They are the files that `cnitool install` writes, byte for byte.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Part } from '@cni-ts/bundle/linked-parts';
import { manualPageText } from '@cni-ts/bundle/manual-page';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { type Built, installInto, programNames } from './programs.ts';
import type { Release } from './release-notes.ts';
import { tar } from './tar.ts';

/** Writes the archive into `into`, and returns its path. `work`: an empty folder, for what is in it. */
export async function writeArchive(
  built: Built,
  { version, date }: Release,
  into: string,
  work: string,
): Promise<string> {
  mkdirSync(work, { recursive: true });
  await installInto(work, built);
  const texts = {
    LICENSE: licenceText(built.parts),
    'README.md': readme(built, version),
    'cnitool.8': manualPageText(),
  };
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(join(work, name), text);
    chmodSync(join(work, name), 0o644);
  }
  const file = join(into, `cni-ts-plugins-linux-${built.architecture}-v${version}.tgz`);
  const members = [...Object.keys(texts), ...programNames].sort().map((name) => `./${name}`);
  await tar(work, members, file, { date, gzip: true });
  return file;
}

/** Ours, then those of everything that is linked or bundled. */
export function licenceText(parts: readonly Part[]): string {
  const line = `\n${'='.repeat(78)}\n\n`;
  const others = parts.map(({ name, version, licence, role, text }) => {
    const own =
      text?.trimEnd() ?? 'Its exception lets programs that are compiled with it have terms of their own.';
    return `${name} ${version} (${licence}): ${role}\n\n${own}\n`;
  });
  const ours = readFileSync(join(workspaceRoot, 'LICENSE'), 'utf8');
  return [ours, 'The programs contain, beside what is under the licence above:\n', ...others].join(line);
}

function readme({ architecture }: Built, version: string): string {
  const template = readFileSync(join(import.meta.dirname, '../archive.md'), 'utf8');
  const plugins = programNames.filter((name) => name !== 'cnitool').join(', ');
  return template
    .replaceAll('‹version›', version)
    .replaceAll('‹architecture›', architecture)
    .replaceAll('‹plugins›', plugins);
}
