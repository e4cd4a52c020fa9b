import { loadNetworkList } from '@cni-ts/libcni/discovery';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import { configDir } from './settings.ts';
import type { VerbCall } from './verb.ts';

/**
 * The network of this name. A file that cannot be loaded hides none that comes after it: it is passed over, which is said on
 * stderr. Where no other file has the network, it may be the one, and its error is thrown.
 */
export function networkNamed(name: string, { env, note }: Pick<VerbCall, 'env' | 'note'>): NetworkList {
  const broken: { path: string; error: unknown }[] = [];
  try {
    const list = loadNetworkList(configDir(env), name, {
      onUnloadable: (path, error) => void broken.push({ path, error }),
    });
    for (const { path, error } of broken) note(`${path} was skipped: ${textOf(error)}`);
    return list;
  } catch (error) {
    const [first, ...others] = broken;
    if (!first) throw error;
    for (const other of others) note(`${other.path} was skipped: ${textOf(other.error)}`);
    note(`${first.path} cannot be read`);
    throw first.error;
  }
}
