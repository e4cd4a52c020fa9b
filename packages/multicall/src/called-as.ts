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

/** Every name the program goes by. */
export function ownNames(): string[] {
  return [...Object.keys(registry), toolName];
}

/** What to tell whoever calls the program by a name that does not say which plugin it is. */
export function unknownName(name: string): { msg: string; details: string } {
  return {
    msg: `${JSON.stringify(name)} does not say which plugin this is`,
    details: `call this program (a copy, hard link or symbolic link) by a name that has one of these as a part between separators, as cnv-bridge or bridge.real: ${ownNames().join(', ')}; or let "cnitool install" put it in place, whose files may be renamed`,
  };
}
