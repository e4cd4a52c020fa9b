import type { RuntimeConf } from '@cni-ts/libcni/attachment';
import type { Operations } from '@cni-ts/libcni/operations';
import { newestVersion } from '@cni-ts/spec/released-versions';
import type { Result } from '@cni-ts/spec/result';
import { takenResult } from '@cni-ts/spec/result-version';

/** What the last ADD of an attachment gave, in the newest version's form, whatever its network is by now; `{}` where the
 *  cache has no result. Throws for an entry that is damaged. */
export function cachedResult(one: RuntimeConf & { readonly network: string }, runtime: Operations): Result {
  const list = {
    name: one.network,
    cniVersion: newestVersion,
    disableCheck: false,
    disableGC: false,
    loadOnlyInlinedPlugins: false,
    plugins: [],
    bytes: new Uint8Array(),
  };
  const result = runtime.getNetworkListCachedResult(list, one);
  return result === undefined ? {} : takenResult(result);
}
