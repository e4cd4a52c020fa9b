import type { Plugin } from '@cni-ts/skeleton/plugin';
import { otherNames, registry } from './registry.ts';

/** The operator's tool: a program of its own, which has the plugins too. */
export const toolName = 'cnitool';

/** The name a program was started by: the last part of argv[0], which runtimes give as a full path. */
export function calledAs(argv0: string): string {
  return argv0.slice(argv0.lastIndexOf('/') + 1);
}

/** Whether there is a plugin of that name. */
export function isPlugin(name: string): boolean {
  return Object.hasOwn(registry, name) || Object.hasOwn(otherNames, name);
}

/** The plugin of that name; undefined for a name that none has. */
export function findPlugin(name: string): Plugin | undefined {
  if (Object.hasOwn(registry, name)) return registry[name];
  return Object.hasOwn(otherNames, name) ? otherNames[name] : undefined;
}

/** Every name the plugins' program goes by, but for those of other plugins. */
export function pluginNames(): string[] {
  return Object.keys(registry);
}

/** Every name the tool's program goes by. */
export function toolNames(): string[] {
  return [...pluginNames(), toolName];
}

/** What to tell whoever calls a program that goes by `names` by one that does not say which of them it is. */
export function unknownName(name: string, names: readonly string[]): { msg: string; details: string } {
  if (name === toolName) {
    return {
      msg: `this program has the plugins only, and ${toolName} is another`,
      details: `take the file ${toolName} of the same release; as this program may be called: ${names.join(', ')}`,
    };
  }
  return {
    msg: `${JSON.stringify(name)} does not say which plugin this is`,
    details: `call this program (a copy, hard link or symbolic link) by a name that has one of these as a part between separators, as cnv-bridge or bridge.real: ${names.join(', ')}; or let "cnitool install" put it in place, whose files may be renamed`,
  };
}
