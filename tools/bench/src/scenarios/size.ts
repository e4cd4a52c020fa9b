import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from '../scenario.ts';

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
    const archive = execFileSync('sh', ['-c', `tar -C '${side.folder}' -c . | xz -T0 -6 | wc -c`], {
      encoding: 'utf8',
    });
    return [
      { of: 'on disk', unit: 'MB', value: disk / 1e6 },
      { of: 'as .tar.xz', unit: 'MB', value: Number(archive) / 1e6 },
    ];
  },
};
