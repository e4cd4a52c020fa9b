/** The configurations of a folder, each as a list, as a runtime looks for them. */
import { configFiles } from '@cni-ts/libcni/config-files';
import { type NetworkList, networkListFromFile, networkListOf } from '@cni-ts/libcni/network-list';
import { pluginConfigFromFile } from '@cni-ts/libcni/plugin-config';
import { errorText } from '@cni-ts/spec/cni-error';
import { CannotLookError } from './verb.ts';

/** The paths of a folder's configurations in their order. Throws where the folder cannot be listed. */
export function configPaths(folder: string): string[] {
  return configFiles(folder, ['.conflist', '.conf', '.json']);
}

/** The same; where that cannot be, the command could not look. */
export function wantedConfigPaths(folder: string): string[] {
  try {
    return configPaths(folder);
  } catch (error) {
    throw new CannotLookError(errorText(error));
  }
}

/** A list, or a single configuration as a list of one. Throws for a file that cannot be loaded. */
export function networkListAt(path: string): NetworkList {
  return path.endsWith('.conflist') ? networkListFromFile(path) : networkListOf(pluginConfigFromFile(path));
}
