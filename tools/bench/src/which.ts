import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { searchPath } from './host.ts';

/** The file of a program; undefined if it is not installed. */
export function which(program: string): string | undefined {
  return searchPath
    .split(':')
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));
}
