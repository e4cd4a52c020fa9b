/** The Go plugins to compare with: the newest that Debian packages, unpacked and not installed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/** The folder with them, fetched once. Throws with what apt said when that fails. */
export async function fetchPeers(folder: string): Promise<string> {
  const bin = join(folder, 'usr/lib/cni');
  if (existsSync(join(bin, 'bridge'))) return bin;
  process.stderr.write('fetching the newest Go plugins that Debian packages\n');
  const { exitCode, all } = await execa('bash', [join(import.meta.dirname, '../fetch-peers'), folder], {
    all: true,
    reject: false,
  });
  if (exitCode !== 0 || !existsSync(join(bin, 'bridge'))) {
    throw new Error(`the Go plugins could not be fetched; name a folder with --theirs, or "none":\n${all}`);
  }
  return bin;
}
