/** The Go plugins to compare with: the newest that Debian packages, unpacked and not installed. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Failure } from '@cni-ts/setup/command-line';
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
    throw new Failure(`the Go plugins could not be fetched; name a folder with --theirs, or "none":\n${all}`);
  }
  return bin;
}

/** Which plugins are in a folder: `Go plugins 1.9.1+ds1-2 (go1.26.5)`. Distributions build them without a version in
 *  them, so that of their package is looked for first. */
export function peersVersion(folder: string): string {
  const version = packageVersion(folder) ?? ownWords(folder) ?? 'of unknown version';
  const compiler = goVersion(join(folder, 'bridge'));
  return compiler ? `Go plugins ${version} (${compiler})` : `plugins ${version} in ${folder}`;
}

/** Of the Debian package that the folder /usr/lib/cni belongs to, wherever that was unpacked. */
function packageVersion(folder: string): string | undefined {
  const documents = resolve(folder, '../../share/doc/containernetworking-plugins');
  const file = ['changelog.Debian.gz', 'changelog.gz'].map((name) => join(documents, name)).find(existsSync);
  if (!resolve(folder).endsWith('usr/lib/cni') || !file) return undefined;
  return /^\S+ \(([^)]+)\)/.exec(gunzipSync(readFileSync(file)).toString())?.[1];
}

/** What a plugin says of itself when it is called without anything: `CNI bridge plugin v1.9.1`. */
function ownWords(folder: string): string | undefined {
  const { stdout, stderr } = spawnSync(join(folder, 'bridge'), [], { env: {}, input: '', encoding: 'utf8' });
  return /\bv(\d+\.\d+\S*)/.exec(`${stdout ?? ''}${stderr ?? ''}`)?.[1];
}

/** The Go release a program was compiled by, as its build information has it. */
function goVersion(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const program = readFileSync(file);
  const at = program.indexOf(Buffer.from('\xff Go buildinf:', 'latin1'));
  if (at < 0) return undefined;
  // Its text follows within the section: a length and `go1.26.5`.
  return /go\d+\.\d+[\w.]*/.exec(program.toString('latin1', at, at + 256))?.[0];
}
