import type { Plugin } from '@cni-ts/skeleton/plugin';
import { registry } from './registry.ts';

/** The operator's tool, beside the plugins one of the program's names. */
export const toolName = 'cnitool';

/** The name a program was started by: the last part of argv[0], which runtimes give as a full path. */
export function calledAs(argv0: string): string {
  return argv0.slice(argv0.lastIndexOf('/') + 1);
}

/** Whether the program has a plugin of that name. */
export function isPlugin(name: string): boolean {
  return Object.hasOwn(registry, name);
}

/** The plugin of that name; undefined for a name the program does not have. */
export function findPlugin(name: string): Plugin | undefined {
  return isPlugin(name) ? registry[name] : undefined;
}

/** What to tell whoever calls the program by a name it does not have. */
export function unknownName(name: string): string {
  const names = [...Object.keys(registry), toolName].join(', ');
  return `${name}: this program does not go by that name. Call it (a copy, hard link or symbolic link) as one of: ${names}`;
}
