import { existsSync, mkdirSync, rmSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const record = 'node_modules/.package-lock.json';
const lock = 'package-lock.json';

/** Whether node_modules has what package-lock.json asks for, as tools/setup/with-tools tells it. */
export function isInstalled(root: string): boolean {
  return (
    existsSync(join(root, record)) &&
    statSync(join(root, record)).mtimeMs >= statSync(join(root, lock)).mtimeMs
  );
}

/** Says so, after package-lock.json has got a package that needs no installing. */
export function setInstalled(root: string): void {
  // Times of files have nanoseconds, those that are set here have not: a moment later, to be sure.
  const later = (Math.ceil(statSync(join(root, lock)).mtimeMs) + 1) / 1000;
  utimesSync(join(root, record), later, later);
}

/** Makes a package of the workspace known to Node, as `npm install` does: by a link in node_modules. `path`: its folder,
 *  relative to the root. */
export function linkPackage(root: string, name: string, path: string): void {
  const link = join(root, 'node_modules', name);
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(relative(dirname(link), join(root, path)), link);
}
