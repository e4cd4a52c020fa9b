/** Where etcd is: installed, or unpacked by with-tools; and how its members are started. It never runs as a service of the
 *  machine's. */
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

/** The part of a member's command line that says who it is: its name, its folder, where clients and other members reach it. */
export function memberFlags(name: string, folder: string, client: string, peer: string): string[] {
  return [
    ...['--name', name, '--data-dir', folder, '--logger', 'zap'],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
  ];
}
