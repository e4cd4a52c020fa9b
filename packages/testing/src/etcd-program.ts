/** Where etcd is: installed, or unpacked by with-tools. It never runs as a service of the machine's. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The file of etcd's program; undefined where there is none. For `test.skipIf(etcdProgram() === undefined)`. */
export function etcdProgram(path = process.env.PATH ?? ''): string | undefined {
  return path
    .split(':')
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'etcd'))
    .find((file) => existsSync(file));
}
