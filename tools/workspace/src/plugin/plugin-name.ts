/** Which names a new plugin may have. */
import { exportNameOf, type Package } from '@cni-ts/bundle/workspace';

/** Files that every plugin's package has beside the one of its name. */
const ownFiles = ['main', 'config'];

/** Names in packages/multicall that no plugin has. */
const takenInProgram = ['cnitool', 'registry'];

/**
 * Why a plugin cannot be called so, as a sentence that says what to do; undefined when it can. `all`: the packages there
 * are; `sources`: the text of the template, whose own words cannot name its plugin.
 */
export function nameComplaint(
  name: string,
  all: readonly Pick<Package, 'project' | 'path'>[],
  sources: string,
): string | undefined {
  const quoted = JSON.stringify(name);
  // What a file, a package of npm, a project of nx and, with its dashes taken out, a variable can be called.
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    return `${quoted} cannot be the type of a plugin here: use small letters and digits, words joined by single dashes, such as my-plugin`;
  }
  if (name.length > 40) return `${quoted} has ${name.length} letters: use 40 at most`;
  const there = all.find(({ project }) => project === name);
  if (there) return `${quoted} exists, in ${there.path}: choose another name`;
  if (takenInProgram.includes(name)) {
    return `${quoted} is a name that the program has for something else: choose another one`;
  }
  if (ownFiles.includes(name)) {
    return `${quoted} is a file that every plugin has (src/${name}.ts): choose another name`;
  }
  const variable = exportNameOf(name);
  if (new RegExp(`(?<![\\w'./-])${variable}(?![\\w'/-])`).test(sources)) {
    return `${quoted} is a word of the sources it would be made of: choose another name, and change it when they are yours`;
  }
  return undefined;
}
