import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Sample, Scenario } from '../scenario.ts';

/** All of one side's executables, as they lie on the disk and as an archive. */
export const size: Scenario = {
  name: 'size',
  title: 'all executables',
  needs: [],
  once: true,
  limits: { 'on disk': 115, 'as .tar.xz': 42 },
  round({ side }) {
    // A file counts once, under however many names.
    const files = new Map<number, number>();
    for (const name of readdirSync(side.folder)) {
      const { ino, blocks } = statSync(join(side.folder, name));
      files.set(ino, blocks * 512);
    }
    const disk = [...files.values()].reduce((sum, bytes) => sum + bytes, 0);
    const samples: Sample[] = [{ of: 'on disk', unit: 'MB', value: disk / 1e6 }];
    // A minute of work, for ours only: theirs is an archive of the distribution already.
    if (side.name === 'ours')
      samples.push({ of: 'as .tar.xz', unit: 'MB', value: archived(side.folder) / 1e6 });
    return samples;
  },
};

/** Bytes of the folder as an archive; hard links are in it once. */
function archived(folder: string): number {
  const script = 'tar -C "$0" -c . | xz -T0 -6 | wc -c';
  return Number(execFileSync('sh', ['-c', script, folder], { encoding: 'utf8' }));
}
